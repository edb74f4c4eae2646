"""`trace import`: a file of trajectories from elsewhere becomes a trace that says what was mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from iovsim.cli.trace_output import OutOption, check_place, parse_box, store
from iovsim.errors import TraceError

if TYPE_CHECKING:
    from iovsim.mobility.planes import Plane
    from iovsim.mobility.samples import Samples

Parked = Literal["keep", "drop"]
Present = Literal["commanded", "always"]
TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]

STEP_S, MAX_SPEED_MPS, GAP_S = 1.0, 70.0, 300.0


def register(group: typer.Typer) -> None:
    """Adds this module's command to the group `trace`."""
    group.command("import")(import_trace)


def import_trace(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="SUMO's FCD (XML, CSV, Parquet), tracks (CSV, GPX, GeoJSON, a folder of them), or ns-2.",
        ),
    ],
    out: OutOption,
    kind: Annotated[str | None, typer.Option("--kind", help="fcd, gps or ns2 (default: by the content).")] = None,
    map_columns: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE=COLUMN,...",
            help="Roles: id, time, lat and lon, or x and y (metres), speed (m/s), heading (degrees from north). "
            "Numbers count the columns of a file without header.",
        ),
    ] = None,
    time_unit: Annotated[TimeUnit, typer.Option(help="Of the column of times (auto: by their size).")] = "auto",
    timezone: Annotated[str, typer.Option(help="Of times without one, and of the midnight that is second 0.")] = "UTC",
    begin: Annotated[str | None, typer.Option(help="Leave out what is before: a second, or ISO 8601 (gps).")] = None,
    end: Annotated[str | None, typer.Option(help="Leave out what is from then on: as --begin.")] = None,
    step_s: Annotated[float, typer.Option("--step", help="Seconds between samples (gps, ns2).")] = STEP_S,
    geographic: Annotated[bool, typer.Option("--geographic", help="The FCD is in degrees (--fcd-output.geo).")] = False,
    net: Annotated[
        Path | None, typer.Option(help="SUMO net in whose plane degrees are laid (default: a UTM zone).")
    ] = None,
    match: Annotated[bool, typer.Option("--match", help="Move tracks onto the roads of --net.")] = False,
    max_speed_mps: Annotated[
        float, typer.Option("--max-speed", help="Metres a second; faster moves are errors.")
    ] = MAX_SPEED_MPS,
    gap_s: Annotated[float, typer.Option("--gap", help="Seconds of silence after which a vehicle is gone.")] = GAP_S,
    box: Annotated[
        str | None,
        typer.Option(metavar="W,S,E,N", help="Leave out points outside (default: 200 km from the median)."),
    ] = None,
    parked: Annotated[Parked, typer.Option(help="drop: vehicles that stand for 10 minutes are gone.")] = "keep",
    present: Annotated[Present, typer.Option(help="When nodes of ns-2 are there.")] = "commanded",
) -> None:
    """Turn trajectories from elsewhere into a trace; what was mended or left out is counted, shown, and noted in it."""
    from iovsim.mobility.importers.cleaning import Cleaning
    from iovsim.mobility.importers.columns import parse_columns
    from iovsim.mobility.importers.fcd import geographic_plane, read_fcd
    from iovsim.mobility.importers.gps import GpsOptions, read_gps
    from iovsim.mobility.importers.kinds import kind_named, kind_of
    from iovsim.mobility.importers.matching import Matching
    from iovsim.mobility.importers.ns2 import read_ns2
    from iovsim.mobility.planes import plane_of
    from iovsim.mobility.samples import Repairs
    from iovsim.mobility.trace import Covered

    chosen = kind_of(file) if kind is None else kind_named(kind)
    only_gps = {
        "--map-columns": map_columns is not None,
        "--time-unit": time_unit != "auto",
        "--timezone": timezone != "UTC",
        "--match": match,
        "--max-speed": max_speed_mps != MAX_SPEED_MPS,
        "--gap": gap_s != GAP_S,
        "--box": box is not None,
        "--parked": parked != "keep",
    }
    for option, given, kinds in (
        *((option, given, ("gps",)) for option, given in only_gps.items()),
        ("--step", step_s != STEP_S, ("gps", "ns2")),
        ("--net", net is not None, ("gps", "fcd")),
        ("--geographic", geographic, ("fcd",)),
        ("--present", present != "commanded", ("ns2",)),
    ):
        if given and chosen not in kinds:
            raise TraceError(f"{option}: only for --kind {' and '.join(kinds)}; {file} is read as {chosen}.")
    if match and net is None:
        raise TraceError("--match: needs the roads to move tracks to; add --net NET.net.xml.")
    check_place(out)
    console = Console(soft_wrap=True, highlight=False)
    plane: Plane | None = None

    def tell(line: str) -> None:
        console.print(line, markup=False)

    def lay(found: Plane) -> None:
        nonlocal plane
        plane = found

    tell(f"kind: {chosen}")
    repairs = Repairs()
    samples: Iterator[Samples]
    if chosen == "gps":
        options = GpsOptions(
            columns=parse_columns(map_columns or ""),
            time_unit=time_unit,
            timezone=timezone,
            begin=begin,
            end=end,
            step_s=step_s,
            net=net,
            matching=Matching() if match else None,
            cleaning=Cleaning(max_speed_mps=max_speed_mps, gap_s=gap_s, box=parse_box(box), parked=parked),
        )
        samples = read_gps(file, repairs, options, work=out.absolute().parent, told=tell, laid=lay)
    elif chosen == "ns2":
        seconds = {"begin_s": _second("--begin", begin), "end_s": _second("--end", end)}
        work = out.absolute().parent
        samples = read_ns2(file, repairs, step_s=step_s, present=present, work=work, **seconds)
    else:
        geographic_of = geographic_plane(file, net) if geographic else None
        seconds = {"begin_s": _second("--begin", begin), "end_s": _second("--end", end)}
        samples = read_fcd(file, repairs, geographic=geographic_of, **seconds)
        plane = geographic_of or (plane_of(net) if net is not None else None)
        if plane is not None:
            tell(f"plane: {plane}")
    on_net = net is not None or (chosen == "fcd" and not geographic)
    store(
        out,
        samples,
        source=f"trace import of {file.name}, {chosen}",
        net=on_net,
        step_s=None if chosen == "fcd" else step_s,
        covered=lambda: Covered(counts=dict(repairs.counts), plane=plane),
    )
    tell(f'finished: {out}; in a world: mobility = {{ trace = "{out}" }}, alone or with a map')


def _second(option: str, text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        raise TraceError(f"{option} {text!r}: must be a second of the trace; dates are for --kind gps.") from None
