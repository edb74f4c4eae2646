"""Turns a user's `.sumocfg` and a seed into a recorded trace in our format: in a cache by its content, or in a folder.

SUMO runs in a process of its own (`sumo_process`), and nothing is written into the user's folder.
"""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from iovsim.errors import TraceError
from iovsim.files import clear_leftovers, explained, scratch
from iovsim.mobility import sumo_process
from iovsim.mobility.planes import plane_of
from iovsim.mobility.route_check import refuse_broken_routes
from iovsim.mobility.samples import Samples
from iovsim.mobility.sumo_config import (
    SumoConfig,
    SumoInputs,
    content_hash,
    inputs,
    read_bytes,
    read_config,
    sumo_environment,
    sumo_message,
    sumo_value,
    sumo_version,
)
from iovsim.mobility.sumo_process import Frame, frames
from iovsim.mobility.trace import Covered, Trace, write_trace

__all__ = ["SumoInputs", "inputs", "record", "record_into"]

FORMAT = 4
"""Counts up when recording changes what a trace holds; part of every trace's name."""

DROPPED = ("output", "report", "gui_only", "traci_server")
"""Sections of the user's configuration that must not take part: outputs would be written into the user's folder, an
open TraCI port would make SUMO wait for a client for ever."""

KEPT_REPORT = ("xml-validation", "xml-validation.net", "xml-validation.routes")

Options = dict[str, float | str]
"""What goes before a configuration, by SUMO's names."""

DEPART = re.compile(rb'\bdepart="(\d+(?:\.\d+)?)"')


def traffic_sha256(sumocfg: Path | str) -> str:
    """SHA-256 over all of a configuration that takes part in a recording: its options, and every input's content.

    Raises `TraceError` for a configuration that SUMO refuses, or that names a file that does not exist.
    """
    inputs(sumocfg)
    return content_hash(read_config(sumocfg), DROPPED, {})


def record(
    sumocfg: Path | str,
    *,
    seed: int,
    begin_s: float | None = None,
    end_s: float | None = None,
    step_s: float | None = None,
    mesoscopic: bool | None = None,
    ignore_route_errors: bool = False,
    cache: Path,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Run SUMO once and return the trace `cache/traces/<hash>.parquet`; a trace already there is returned at once.

    The hash covers the configuration, the content of every input, the options and SUMO's version. `begin_s, end_s,
    step_s, mesoscopic` replace what the configuration says (None: keep it). A mesoscopic simulation has signals and
    right of way unless the configuration sets `meso-junction-control` itself. Vehicles only; a `device.fcd` section in
    the configuration still chooses which. Vehicles whose route has a gap are an error, or, with `ignore_route_errors`,
    drive up to it, and are counted in the trace. `progress` is told the fraction of simulated time done.

    Raises `TraceError` if the seed is not in [0, 2^31), if the configuration is missing, broken or random, if SUMO
    refuses or fails (in SUMO's words), or if no vehicle ever drives. Whatever is raised, KeyboardInterrupt too, leaves
    no process and no partial file.
    """
    config = _checked(sumocfg)
    options = options_of(config, seed, begin_s, end_s, step_s, mesoscopic, ignore_route_errors)
    name = content_hash(config, DROPPED, {**options, "format": FORMAT, "sumo": sumo_version()})
    traces = Path(cache).absolute() / "traces"
    path = traces / f"{name}.parquet"
    if not _readable(path):
        _record(config, options, path, traces, progress)
    if progress is not None:
        progress(1.0)
    return path


def record_into(
    folder: Path,
    sumocfg: Path | str,
    *,
    seed: int,
    begin_s: float | None = None,
    end_s: float | None = None,
    step_s: float | None = None,
    mesoscopic: bool | None = None,
    ignore_route_errors: bool = False,
    progress: Callable[[float], None] | None = None,
) -> None:
    """The same into a folder of parts: what ends it, a crash too, leaves a trace of what was recorded until then."""
    config = _checked(sumocfg)
    options = options_of(config, seed, begin_s, end_s, step_s, mesoscopic, ignore_route_errors)
    _record(config, options, folder, folder.absolute().parent, progress)


def _checked(sumocfg: Path | str) -> SumoConfig:
    config = read_config(sumocfg)
    if config.on("random"):
        raise TraceError(
            f'{config.path}: sets <random value="true"/>, with which SUMO ignores every seed and no run can be '
            f"repeated; remove it."
        )
    for option in ("device.fcd.begin", "device.fcd.period", "device.fcd.radius"):
        if config.get(option) is not None:
            raise TraceError(
                f"{config.path}: sets {option}, which a recording here does not follow; remove it. `iovsim trace cut` "
                f"and `sample` make less of a trace."
            )
    inputs(sumocfg)
    return config


def options_of(
    config: SumoConfig,
    seed: int,
    begin_s: float | None,
    end_s: float | None,
    step_s: float | None,
    mesoscopic: bool | None,
    ignore_route_errors: bool,
) -> Options:
    """The options that go before a configuration. Raises `TraceError` for a seed that SUMO does not take."""
    if not 0 <= seed < 2**31:
        raise TraceError(f"{config.path}: seed {seed} is not one that SUMO takes; it must be in 0 to {2**31 - 1}.")
    times = {"begin": begin_s, "end": end_s, "step-length": step_s}
    options: Options = {"seed": seed, **{name: float(time) for name, time in times.items() if time is not None}}
    if mesoscopic if mesoscopic is not None else config.on("mesosim"):
        options |= {"mesosim": "true", "meso-interpolate-pos": "true"}
        if config.get("meso-junction-control") is None:
            options["meso-junction-control"] = "true"
    elif config.on("mesosim"):
        options["mesosim"] = "false"
    if ignore_route_errors and not config.on("ignore-route-errors"):
        options["ignore-route-errors"] = "true"
    return options


def _record(
    config: SumoConfig, options: Options, path: Path, beside: Path, progress: Callable[[float], None] | None
) -> None:
    """Run SUMO in a scratch folder in `beside`, and write `path`."""
    if "TIME" in str(beside.absolute()):
        raise TraceError(f"{beside}: SUMO replaces 'TIME' in output paths; choose a folder without it.")
    clear_leftovers(beside)
    source = f"SUMO {sumo_version()}, {config.path.name}, seed {options['seed']:g}"
    if is_mesoscopic(options):
        source += ", mesoscopic"
    plane = plane_of(Path(config.get("net-file") or ""))
    with explained(beside, "write"), scratch(beside) as folder:
        run = _Run(config, options, folder.absolute(), progress)
        with closing(run.samples()) as samples:
            write_trace(
                path, samples, source=source, step_s=run.step_s, covered=lambda: replace(run.covered, plane=plane)
            )


class _Run:
    """One run of SUMO, and what became known on the way."""

    def __init__(
        self, config: SumoConfig, options: Options, folder: Path, progress: Callable[[float], None] | None
    ) -> None:
        self.config, self.options, self.folder, self.progress = config, options, folder, progress
        self.begin_s, self.end_s, self.step_s = (
            float(options[name]) if name in options else _seconds(config.get(name) or default)
            for name, default in (("begin", "0"), ("end", "-1"), ("step-length", "1"))
        )
        self.covered = Covered(self.begin_s)

    def samples(self) -> Generator[Samples]:
        """The vehicles at each step. Raises `TraceError` where SUMO fails, or no vehicle drove to the end."""
        driven = 0
        statistics: dict[str, int] | None = None
        with (self.folder / "stderr.txt").open("w+b") as stderr:
            with subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env=sumo_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=1 << 20,
            ) as process:
                try:
                    assert process.stdout is not None
                    for frame in self._frames(process.stdout):
                        driven += len(frame.names)
                        statistics = frame.statistics
                        yield _samples(frame)
                    process.wait()
                except BaseException:
                    process.kill()
                    raise
            stderr.seek(0)
            if process.returncode != 0 or statistics is None:
                message = sumo_message(stderr.read().decode(errors="replace"))
                if "no valid route" in message:
                    refuse_broken_routes(inputs(self.config.path))  # which counts them
                raise TraceError(f"{self.config.path}: SUMO stopped with exit code {process.returncode}: {message}")
            counts = Counter(statistics)
            counts["warnings"] = sum(line.startswith(b"Warning:") for line in stderr)
        self.covered = Covered(self.begin_s, self.covered.end_s, {what: n for what, n in sorted(counts.items()) if n})
        if not driven:
            raise TraceError(
                f"{self.config.path}: SUMO ran to the end, but no vehicle ever drove; check the route files, and that "
                f"begin and end enclose the departures."
            )

    def _frames(self, stdout: IO[bytes]) -> Iterator[Frame]:
        """The process's frames; tells how far they are."""
        until_s = self.end_s
        if self.progress is not None and until_s < 0:
            until_s = _last_departure_s(self.config)
        for frame in frames(stdout):
            if frame.statistics is None:
                self.covered = Covered(self.begin_s, frame.time_s)
                if self.progress is not None and until_s > self.begin_s:
                    self.progress(min(1.0, max(0.0, (frame.time_s - self.begin_s) / (until_s - self.begin_s))))
            yield frame

    def _command(self) -> list[str]:
        looks = ["fcd"] if chooses_vehicles(self.config) else []
        if self.config.on("ignore-route-errors") or "ignore-route-errors" in self.options:
            looks.append("routes")  # of which SUMO then says nothing
        looks += ["segments"] if is_mesoscopic(self.options) else []
        command = [sys.executable, "-P", str(sumo_process.__file__), repr(self.end_s), ",".join(looks)]
        return [*command, *simulation_options(self.config, self.folder, self.options)]


def is_mesoscopic(options: Options) -> bool:
    return options.get("mesosim") == "true"


def chooses_vehicles(config: SumoConfig) -> bool:
    """Whether a `device.fcd` section says which vehicles are recorded."""
    return any(option.startswith("device.fcd.") for options in config.sections.values() for option in options)


def simulation_options(config: SumoConfig, folder: Path, options: Mapping[str, float | str]) -> list[str]:
    """What SUMO is to be started with; all that it writes comes to lie in `folder`, which is absolute."""
    _write_config(config, folder / "run.sumocfg")
    # The prefix goes before the *name* of each output, also of those that additional files declare (detectors): it
    # leads from wherever they would lie up to the root and down into our folder.
    into_folder = "../" * 64 + folder.relative_to(folder.anchor).as_posix() + "/"
    command = ["--configuration-file", str(folder / "run.sumocfg"), "--output-prefix", into_folder]
    for option, value in options.items():
        command += [f"--{option}", str(value)]
    command += ["--threads", "1", "--device.rerouting.threads", "0"]  # several threads do not repeat: sumo#15994
    return [*command, "--no-step-log", "true"]


def _samples(frame: Frame) -> Samples:
    time_s = np.full(len(frame.names), frame.time_s)
    return Samples(time_s, frame.names, frame.x_m, frame.y_m, frame.speed_mps, frame.angle_deg)


def _write_config(config: SumoConfig, path: Path) -> None:
    root = ET.Element("configuration")
    for section, options in config.sections.items():
        if section in DROPPED and section != "report":
            continue
        kept = {o: v for o, v in options.items() if o != "seed" and (section != "report" or o in KEPT_REPORT)}
        if kept:  # SUMO takes an empty section for an option
            element = ET.SubElement(root, section)
            for option, value in kept.items():
                ET.SubElement(element, option, value=sumo_value(value))
    ET.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def _readable(path: Path) -> bool:
    """Whether a whole trace lies there; one that is damaged is recorded again."""
    try:
        return path.is_file() and Trace(path).complete
    except TraceError:
        return False


def _seconds(value: str) -> float:
    """SUMO's times: seconds, or [days:]hours:minutes:seconds."""
    total = 0.0
    for part, unit in zip(reversed(value.split(":")), (1.0, 60.0, 3600.0, 86400.0), strict=False):
        total += float(part) * unit
    return total


def _last_departure_s(config: SumoConfig) -> float:
    """The latest departure in the route files: the best guess at the end of a run that has none set (else -1)."""
    files = [Path(name) for name in (config.get("route-files") or "").split(",") if name]
    return max((float(depart) for file in files for depart in DEPART.findall(read_bytes(file))), default=-1.0)
