"""Turns a user's `.sumocfg` and a seed into a recorded trace: a Parquet file in a cache, named by its content.

SUMO runs as a program and writes the trace itself; nothing of it passes through Python, and nothing is written into
the user's folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.errors import TraceError
from iovsim.files import clear_leftovers, whole_file
from iovsim.mobility.sumo_config import (
    SumoConfig,
    SumoInputs,
    content_hash,
    inputs,
    read_bytes,
    read_config,
    sumo_command,
    sumo_environment,
    sumo_message,
    sumo_version,
)

__all__ = ["SumoInputs", "inputs", "record"]

FORMAT = 1
"""Counts up when recording changes what a trace holds; part of every trace's name."""

DROPPED = ("output", "report", "gui_only", "traci_server")
"""Sections of the user's configuration that must not take part: outputs would be written into the user's folder, an
open TraCI port would make SUMO wait for a client for ever."""

KEPT_REPORT = ("xml-validation", "xml-validation.net", "xml-validation.routes")

STEP = re.compile(rb"Step #(\d+(?:\.\d+)?)\s")
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
    cache: Path,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Run SUMO once and return the trace `cache/traces/<hash>.parquet`; a trace already there is returned at once.

    The hash covers the configuration, the content of every input, the options and SUMO's version. `begin_s, end_s,
    step_s` replace what the configuration says (None: keep it). Vehicles only; a `device.fcd` section in the
    configuration still chooses which. `progress` is told the fraction of simulated time done.

    Raises `TraceError` if the seed is not in [0, 2^31), if the configuration is missing, broken or random, if SUMO
    refuses or fails (in SUMO's words), or if no vehicle ever drives. Whatever is raised, KeyboardInterrupt too, leaves
    no process and no partial file.
    """
    if not 0 <= seed < 2**31:
        raise TraceError(f"{sumocfg}: seed {seed} is not one that SUMO takes; it must be in 0 to {2**31 - 1}.")
    config = read_config(sumocfg)
    if (config.get("random") or "false").lower() in ("true", "1", "yes", "on", "x"):
        raise TraceError(
            f'{config.path}: sets <random value="true"/>, with which SUMO ignores every seed and no run can be '
            f"repeated; remove it."
        )
    inputs(sumocfg)
    times = {"begin": begin_s, "end": end_s, "step-length": step_s}
    options: dict[str, float] = {
        "seed": seed,
        **{name: float(time) for name, time in times.items() if time is not None},
    }
    name = content_hash(config, DROPPED, {**options, "format": FORMAT, "sumo": sumo_version()})
    traces = Path(cache).absolute() / "traces"
    clear_leftovers(traces)
    path = traces / f"{name}.parquet"
    if not _readable(path):
        if "TIME" in str(traces):
            raise TraceError(f"{traces}: SUMO replaces 'TIME' in output paths; choose a cache folder without it.")
        with whole_file(path) as trace:
            _run(config, trace, options, progress)
            _check(config, trace)
    if progress is not None:
        progress(1.0)
    return path


def _run(config: SumoConfig, trace: Path, options: dict[str, float], progress: Callable[[float], None] | None) -> None:
    """Run SUMO in the folder of `trace`, which it writes."""
    folder = trace.parent
    begin_s = options.get("begin", _seconds(config.get("begin") or "0"))
    end_s = options.get("end", _seconds(config.get("end") or "-1"))
    if progress is not None and end_s < 0:
        end_s = _last_departure_s(config)
    step_s = options.get("step-length", _seconds(config.get("step-length") or "1"))
    _write_config(config, folder / "run.sumocfg")
    # The prefix goes before the *name* of each output, also of those that additional files declare (detectors): it
    # leads from wherever they would lie up to the root and down into our folder.
    into_folder = "../" * 64 + folder.relative_to(folder.anchor).as_posix() + "/"
    command = [*sumo_command(), "--configuration-file", "run.sumocfg", "--output-prefix", into_folder]
    for option, value in options.items():
        command += [f"--{option}", str(value)]
    command += ["--fcd-output", trace.name, "--fcd-output.attributes", "x,y,speed,angle"]
    command += ["--person-fcd-output", "persons.xml"]  # keeps pedestrians out of the trace
    command += ["--threads", "1", "--device.rerouting.threads", "0"]  # several threads do not repeat: sumo#15994
    command += ["--no-step-log", "true" if progress is None else "false"]
    # SUMO's output comes in blocks of 4 KiB, about 45 lines of its step log: some 100 blocks a run
    command += ["--step-log.period", str(max(1, round((end_s - begin_s) / step_s / 4500)))]
    with (folder / "stderr.txt").open("w+b") as stderr:
        with subprocess.Popen(
            command, cwd=folder, env=sumo_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        ) as process:
            try:
                _follow(process, begin_s, end_s, progress)
                process.wait()
            except BaseException:
                process.kill()
                raise
        stderr.seek(0)
        message = sumo_message(stderr.read().decode(errors="replace"))
    if process.returncode != 0:
        raise TraceError(f"{config.path}: SUMO stopped with exit code {process.returncode}: {message}")


def _follow(
    process: subprocess.Popen[bytes], begin_s: float, end_s: float, progress: Callable[[float], None] | None
) -> None:
    """Read SUMO's step log to its end and tell how far it is."""
    assert process.stdout is not None
    tail = b""
    while chunk := os.read(process.stdout.fileno(), 1 << 16):
        tail = (tail + chunk)[-200:]
        steps = STEP.findall(tail)
        if progress is not None and steps and end_s > begin_s:
            progress(min(1.0, max(0.0, (float(steps[-1]) - begin_s) / (end_s - begin_s))))


def _check(config: SumoConfig, trace: Path) -> None:
    """Refuse a recording that is not whole, and one without a vehicle."""
    try:
        with pq.ParquetFile(trace) as file:
            at = file.schema_arrow.names.index("vehicle_id")
            groups = [file.metadata.row_group(group).column(at).statistics for group in range(file.num_row_groups)]
    except (pa.ArrowException, OSError):  # on a full disk SUMO goes on to the end and says nothing
        raise TraceError(
            f"{trace.parent.parent}: SUMO's recording is not whole, as where the disk is full; free space there, or "
            "choose another --cache."
        ) from None
    except ValueError:
        groups = []
    if not any(group.num_values for group in groups):
        raise TraceError(
            f"{config.path}: SUMO ran to the end, but no vehicle ever drove; check the route files, and that begin and "
            f"end enclose the departures."
        )


def _write_config(config: SumoConfig, path: Path) -> None:
    root = ET.Element("configuration")
    for section, options in config.sections.items():
        if section in DROPPED and section != "report":
            continue
        kept = {o: v for o, v in options.items() if o != "seed" and (section != "report" or o in KEPT_REPORT)}
        if kept:  # SUMO takes an empty section for an option
            element = ET.SubElement(root, section)
            for option, value in kept.items():
                ET.SubElement(element, option, value=value)
    ET.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def _readable(path: Path) -> bool:
    """Whether a whole Parquet file lies there; one that is damaged is recorded again."""
    try:
        return path.is_file() and pq.read_metadata(path).num_rows > 0
    except (pa.ArrowException, OSError):
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
