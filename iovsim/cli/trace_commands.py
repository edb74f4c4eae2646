"""`trace`: a SUMO configuration becomes a recorded trace; traces are summarised, cut, merged, thinned out, exported."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from iovsim.cli import import_commands
from iovsim.cli.run_commands import CacheOption
from iovsim.cli.trace_output import OutOption, check_place, parse_box, show, store
from iovsim.errors import ScenarioError, TraceError, near_match
from iovsim.files import whole_file
from iovsim.paths import usable_cache
from iovsim.progress import shown

if TYPE_CHECKING:
    from iovsim.mobility.samples import Samples
    from iovsim.mobility.trace import Covered, Trace

MAX_TIME_S = 7 * 86400.0

TraceArgument = Annotated[
    Path, typer.Argument(metavar="TRACE", help="A folder of parts, a .parquet file of ours, or SUMO's FCD Parquet.")
]


def register(app: typer.Typer) -> None:
    """Adds this module's group of commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Record, import, look at and change traces.")
    for name, command in (
        ("info", info),
        ("record", record),
        ("export", export_trace),
        ("cut", cut_trace),
        ("merge", merge_traces),
        ("sample", sample_trace),
    ):
        group.command(name)(command)
    import_commands.register(group)
    app.add_typer(group, name="trace")


def info(trace: TraceArgument) -> None:
    """Say what a trace holds, and what was counted or mended on the way."""
    show(trace)


def record(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A .sumocfg, or a map's name.")],
    seed: Annotated[int, typer.Option("--seed", "-s", help="SUMO's seed.")] = 1,
    begin_s: Annotated[float | None, typer.Option("--begin", help="Start at this simulated second.")] = None,
    end_s: Annotated[float | None, typer.Option("--end", help="Stop at this simulated second.")] = None,
    step_s: Annotated[float | None, typer.Option("--step", help="Step length in seconds.")] = None,
    mesoscopic: Annotated[
        bool | None,
        typer.Option(
            "--mesoscopic/--microscopic",
            help="By queues of road segments, or vehicle by vehicle (default: as the configuration says).",
        ),
    ] = None,
    ignore_route_errors: Annotated[
        bool, typer.Option("--ignore-route-errors", help="Accept vehicles with a broken route, and count them.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Also copy the trace to this .parquet file; or record into this new folder, which keeps what was "
            "recorded if SUMO or the machine stops.",
        ),
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Record the traffic of a SUMO configuration (or take it from the cache) and summarise the trace."""
    from iovsim.mobility import sumo
    from iovsim.mobility.map_store import builtin_maps, installed_maps, map_config
    from iovsim.mobility.route_check import refuse_ignored_routes

    for option, seconds in (("--begin", begin_s), ("--end", end_s), ("--step", step_s)):
        if seconds is not None and not (0 if option == "--begin" else 1e-9) <= seconds < MAX_TIME_S:
            raise ScenarioError(f"{option} {seconds:g}: must be above 0 and below {MAX_TIME_S:g} seconds.")
    if out is not None:
        check_place(out)
    maps = {*builtin_maps(), *installed_maps()}
    path = Path(source)
    if not path.suffix and source not in maps:
        raise ScenarioError(
            f"trace {source!r}: no such map here; {near_match(source, maps)} A file must end in '.sumocfg'."
        )
    console = Console()
    with shown(console) as report:

        def progress(done: float) -> None:
            report(source, "recording traffic", done)

        config = map_config(source) if source in maps else path
        if not ignore_route_errors:
            refuse_ignored_routes(sumo.inputs(config))
        how: dict[str, Any] = {
            "seed": seed,
            "begin_s": begin_s,
            "end_s": end_s,
            "step_s": step_s,
            "mesoscopic": mesoscopic,
            "ignore_route_errors": ignore_route_errors,
            "progress": progress,
        }
        if out is not None and out.suffix != ".parquet":
            sumo.record_into(out, config, **how)
            recorded = out
        else:
            recorded = sumo.record(config, cache=usable_cache(cache), **how)
    if out is not None and out.suffix == ".parquet" and out.resolve() != recorded.resolve():
        with whole_file(out) as part:
            shutil.copyfile(recorded, part)
    show(out or recorded)


def export_trace(
    trace: TraceArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file; text is packed where it ends in .gz.")],
    kind: Annotated[
        str | None,
        typer.Option("--format", help="fcd-xml, fcd-csv, fcd-parquet or csv (default: as the file's name ends)."),
    ] = None,
) -> None:
    """Write a trace as SUMO's floating-car data, or as plain CSV."""
    from iovsim.mobility.trace import Trace
    from iovsim.mobility.trace.export import export

    export(Trace(trace), out, kind)


def cut_trace(
    trace: TraceArgument,
    out: OutOption,
    begin_s: Annotated[float | None, typer.Option("--begin", help="From this second on.")] = None,
    end_s: Annotated[float | None, typer.Option("--end", help="Before this second.")] = None,
    box: Annotated[str | None, typer.Option(metavar="W,S,E,N", help="Within this box, in metres.")] = None,
) -> None:
    """Keep a part of a trace: of its time, of its plane, or of both."""
    from iovsim.mobility.trace import Trace
    from iovsim.mobility.trace.edit import cut, cut_times

    opened = Trace(trace)
    begins_s, ends_s = opened.begin_s if begin_s is None else begin_s, opened.end_s if end_s is None else end_s
    if begins_s >= ends_s or begins_s > opened.end_s or ends_s <= opened.begin_s:
        raise TraceError(
            f"--begin {begins_s:g}, --end {ends_s:g}: {trace} covers {opened.begin_s:g} s to {opened.end_s:g} s; cut a "
            "part of that."
        )
    _store(out, cut(opened, begin_s, end_s, parse_box(box)), [opened], "cut", cut_times(opened, begin_s, end_s))


def merge_traces(
    traces: Annotated[list[Path], typer.Argument(metavar="TRACE...", help="Two or more traces with the same step.")],
    out: OutOption,
    align: Annotated[bool, typer.Option("--align", help="Let all begin when the first does.")] = False,
) -> None:
    """Put several traces into one; vehicle v of the k-th (from 0) is called k:v."""
    from iovsim.mobility.trace import Covered, Trace
    from iovsim.mobility.trace.edit import merge

    opened = [Trace(path) for path in traces]
    _store(out, merge(opened, align=align), opened, "merge", Covered())


def sample_trace(
    trace: TraceArgument,
    out: OutOption,
    share: Annotated[float, typer.Option("--share", help="Of the vehicles, each by its name and the seed.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Which vehicles are taken.")] = 1,
    step_s: Annotated[float | None, typer.Option("--step", help="A multiple of the trace's step.")] = None,
) -> None:
    """Keep a share of a trace's vehicles, or fewer of its steps, or both."""
    from iovsim.mobility.trace import Covered, Trace
    from iovsim.mobility.trace.edit import sample

    opened = Trace(trace)
    samples = sample(opened, share=share, seed=seed, step_s=step_s)
    _store(out, samples, [opened], "sample", Covered(opened.begin_s), step_s)


def _store(
    out: Path, samples: Iterator[Samples], of: list[Trace], how: str, covered: Covered, step_s: float | None = None
) -> None:
    """A trace that is made of others."""
    source = f"trace {how} of {', '.join(trace.path.name for trace in of)}"
    net = all(trace.net for trace in of)
    planes = {trace.plane for trace in of}
    known = sorted(str(plane) for plane in planes if plane is not None)
    if len(known) > 1:
        raise TraceError(f"{source}: their metres are of different planes ({'; '.join(known)}); import all in one.")
    covered = replace(covered, plane=planes.pop() if len(planes) == 1 else None)
    store(out, samples, source=source, net=net, step_s=step_s or of[0].step_s, covered=lambda: covered)
