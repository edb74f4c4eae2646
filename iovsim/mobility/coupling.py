"""A SUMO simulation that this process steps: in it, through libsumo, or beside it, through a TraCI socket.

Both give the same functions under the same names, and the same traffic.
"""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import traci
from sumolib.miscutils import getFreeSocketPort

from iovsim.errors import TraceError
from iovsim.mobility.sumo_config import sumo_command, sumo_environment, sumo_message, sumo_version

LOST = (traci.TraCIException, traci.FatalTraCIError, ConnectionError, subprocess.TimeoutExpired)
"""What a socket raises where the SUMO behind it refuses something, or is gone."""

CLOSING_S = 60.0
"""How long SUMO may take to write out its files once it was told to end."""


@dataclass(frozen=True, slots=True)
class Sumo:
    """SUMO's functions (`api.vehicle`, `api.simulation` and so on), and what they raise where they refuse something."""

    api: Any
    refusal: type[Exception]


@contextmanager
def in_process(options: Sequence[str], where: str) -> Iterator[Sumo]:
    """libsumo, with a simulation loaded.

    Raises `TraceError` where libsumo is missing, where a simulation is loaded already (it holds only one a process),
    and for whatever SUMO refuses inside the block, in its words.
    """
    libsumo = _libsumo()
    if libsumo.simulation.isLoaded():
        raise TraceError(
            f"{where}: libsumo steps another simulation in this process, and can only one; set mobility.coupling = "
            "'traci', or use processes of their own."
        )
    with _explained(where, libsumo.TraCIException, libsumo.libsumo.FatalTraCIError):
        try:
            libsumo.start([*sumo_command(), *options])
            yield Sumo(libsumo, libsumo.TraCIException)
        finally:
            libsumo.close()


@contextmanager
def by_socket(options: Sequence[str], where: str, *, gui: bool, errors: Path) -> Iterator[Sumo]:
    """A TraCI connection to a SUMO program of its own, with a window if `gui`; it ends with the block.

    `errors` is a file for what SUMO has to say. Raises `TraceError` where the program is of another version than
    libsumo, does not start, or is lost.
    """
    _check_program(where)
    command = sumo_command()
    program = [command[0] + "-gui", "--start", "true", "--quit-on-end", "true"] if gui else command
    port = getFreeSocketPort()
    with (
        _explained(where, *LOST, errors=errors),
        errors.open("wb") as stderr,
        subprocess.Popen(
            [*program, *options, "--remote-port", str(port)],
            env=sumo_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        ) as process,
    ):
        try:
            with redirect_stdout(StringIO()):  # it tells of every try
                api = traci.connect(port, numRetries=600, proc=process, waitBetweenRetries=0.1)
            yield Sumo(api, traci.TraCIException)
            api.close(wait=False)
            process.wait(CLOSING_S)
        finally:
            process.kill()


@contextmanager
def _explained(where: str, *kinds: type[Exception], errors: Path | None = None) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        said = ""
        with suppress(OSError):
            said = "" if errors is None else errors.read_text(errors="replace")
        told = sumo_message(said) if said.strip() else str(error).strip().rstrip(".")
        remedy = "put that right, or run it again"
        if "unable to open display" in told:
            remedy = "a window needs a screen: set DISPLAY to one, use xvfb-run, or set mobility.gui = false"
        raise TraceError(f"{where}: SUMO broke the live run off: {told}; {remedy}.") from None


def _check_program(where: str) -> None:
    """The world was recorded by libsumo."""
    found = version("eclipse-sumo")
    if found != sumo_version():
        raise TraceError(
            f"{where}: SUMO's program is version {found}, libsumo {sumo_version()}, and their traffic may differ; run: "
            f"pip install eclipse-sumo=={sumo_version()}, or set mobility.coupling = 'libsumo'."
        )


def _libsumo() -> Any:
    sumo_version()  # raises where there is none
    environment = sumo_environment()
    os.environ |= {name: environment[name] for name in ("SUMO_HOME", "PROJ_DATA", "PROJ_LIB")}
    asked = os.environ.get("LIBSUMO_AS_TRACI")
    os.environ["LIBSUMO_AS_TRACI"] = "quiet"  # else it warns of pyarrow, beside which it works (Linux)
    try:
        return importlib.import_module("libsumo")
    finally:
        del os.environ["LIBSUMO_AS_TRACI"]
        if asked is not None:
            os.environ["LIBSUMO_AS_TRACI"] = asked
