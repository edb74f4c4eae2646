"""`trace`: a SUMO configuration becomes a recorded trace, and a trace a summary."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from iovsim.cli.run_commands import CacheOption
from iovsim.errors import ScenarioError, near_match
from iovsim.files import whole_file
from iovsim.paths import usable_cache
from iovsim.progress import shown

MAX_TIME_S = 7 * 86400.0


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("trace")(trace)


def trace(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A .sumocfg, a map's name, or a recorded .parquet trace.")
    ],
    seed: Annotated[int, typer.Option("--seed", "-s", help="SUMO's seed.")] = 1,
    end_s: Annotated[float | None, typer.Option("--end", help="Stop at this simulated second.")] = None,
    step_s: Annotated[float | None, typer.Option("--step", help="Step length in seconds.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also copy the trace to this .parquet file.")] = None,
    cache: CacheOption = None,
) -> None:
    """Record the traffic of a SUMO configuration (or take it from the cache) and summarise the trace."""
    from iovsim.mobility import sumo
    from iovsim.mobility.map_store import builtin_maps, installed_maps, map_config
    from iovsim.mobility.trace import Trace

    for option, seconds in (("--end", end_s), ("--step", step_s)):
        if seconds is not None and not 0 < seconds < MAX_TIME_S:
            raise ScenarioError(f"{option} {seconds:g}: must be above 0 and below {MAX_TIME_S:g} seconds.")
    if out is not None and out.suffix != ".parquet":
        raise ScenarioError(f"--out {out}: a trace is a Parquet file; let the name end in '.parquet'.")
    console = Console()
    path = Path(source)
    if path.suffix == ".parquet":
        recorded = path
    else:
        maps = {*builtin_maps(), *installed_maps()}
        if not path.suffix and source not in maps:
            raise ScenarioError(
                f"trace {source!r}: no such map here; {near_match(source, maps)} A file must end in '.sumocfg' or "
                "'.parquet'."
            )
        with shown(console) as report:
            recorded = sumo.record(
                map_config(source) if source in maps else path,
                seed=seed,
                end_s=end_s,
                step_s=step_s,
                cache=usable_cache(cache),
                progress=lambda done: report(source, "recording traffic", done),
            )
    summary = Trace(recorded).summary()
    if out is not None:
        _copy(recorded, out)
    table = Table("what", "value", title=f"trace {out or recorded}", title_justify="left")
    for name, value in (
        ("begin", f"{summary.begin_s:g} s"),
        ("end", f"{summary.end_s:g} s"),
        ("step", f"{summary.step_s:g} s"),
        ("vehicles", f"{summary.vehicles}"),
        ("most vehicles at once", f"{summary.peak_vehicles}"),
        ("vehicle-seconds", f"{summary.vehicle_s:.0f}"),
        ("mean speed", f"{summary.mean_speed_mps:.2f} m/s"),
        ("size", f"{summary.bytes / 1e6:.2f} MB, {summary.bytes / summary.vehicle_s:.1f} bytes a vehicle-second"),
    ):
        table.add_row(name, value)
    console.print(table)


def _copy(trace_file: Path, out: Path) -> None:
    if out.resolve() == trace_file.resolve():
        return
    with whole_file(out) as part:
        shutil.copyfile(trace_file, part)
