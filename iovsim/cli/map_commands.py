"""`map build|get|list|info`: extracts and names of public scenarios become maps here, and maps a few lines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from iovsim.cli.progress import wide_console
from iovsim.errors import ScenarioError, near_match
from iovsim.progress import shown

MB = 1e6


def register(app: typer.Typer) -> None:
    """Adds this module's group of commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Build maps from OpenStreetMap, fetch public ones, and look at any: roads, buildings.",
    )
    group.command("build")(build)
    group.command("get")(get)
    group.command("list")(list_maps)
    group.command("info")(info)
    app.add_typer(group, name="map")


def build(
    extract: Annotated[
        Path,
        typer.Argument(
            metavar="EXTRACT", help="OpenStreetMap data: .osm, .osm.gz or .osm.bz2, such as Overpass gives."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The map's folder.")],
    density: Annotated[
        float, typer.Option("--density", help="Cars that set out, per hour and kilometre of lane.")
    ] = 12.0,
    duration: Annotated[int, typer.Option("--duration", help="Seconds of traffic.")] = 3600,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Of starts, ends and times.")] = 1,
    left_hand: Annotated[
        bool | None,
        typer.Option("--left-hand/--right-hand", help="Where one drives (default: as the roundabouts are drawn)."),
    ] = None,
    largest: Annotated[
        float, typer.Option("--largest", metavar="KM2", help="Refuse extracts of a larger area.")
    ] = 400.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a map that OUT already holds.")] = False,
) -> None:
    """Make net, buildings, traffic and configuration from an OpenStreetMap extract, by SUMO's own tools."""
    from iovsim.mobility.map_build import Demand, build_map

    console = Console(soft_wrap=True, highlight=False, markup=False)
    demand = Demand(density, duration, seed)
    with shown(console) as report:
        record, facts = build_map(
            extract,
            out,
            demand,
            left_hand=left_hand,
            largest_km2=largest,
            overwrite=overwrite,
            progress=lambda step, done: report(extract.name, step, done),
        )
    on_left = bool(record.built["left_hand"])
    console.print(f"driving: {_side(on_left)}, {_evidence(on_left, facts.left_hand, left_hand)}")
    console.print(f"licence: {record.licence}")
    console.print(f'finished: {out / record.sumocfg}; in a world: sumocfg = "{out / record.sumocfg}"')


def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A public scenario; see 'iovsim map list'.")],
    folder: Annotated[
        Path | None, typer.Option("--from", metavar="FOLDER", help="Copy it from a folder instead of fetching it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace it where it is installed.")] = False,
) -> None:
    """Fetch a public scenario, check it, and keep it in the user's data folder; worlds then name it as their map."""
    from iovsim.mobility.catalogue import catalogue
    from iovsim.mobility.map_store import install

    entries = catalogue()
    if name not in entries:
        raise ScenarioError(f"map {name!r}: not in the catalogue; {near_match(name, entries)}")
    entry = entries[name]
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{name}: {entry.title}\nlicence: {entry.licence}\nsource: {entry.source}")
    if folder is None and entry.url:
        console.print(
            f"to fetch: {len(entry.files)} files, {_size(entry.size_bytes or _asked(entry.url, entry.files))}"
        )
    if not entry.verified and (folder is not None or entry.url):
        console.print("hashes: not known beforehand; those found now are recorded, and have to be the same from now on")
    with shown(console) as report:
        place = install(entry, folder, overwrite=overwrite, progress=lambda step, done: report(name, step, done))
    console.print(f'finished: {place}; in a world: map = "{name}"')


def list_maps() -> None:
    """List the maps that are here, and the public ones that can be fetched."""
    from iovsim.mobility.catalogue import catalogue
    from iovsim.mobility.map_store import builtin_maps, installed_maps

    entries, installed = catalogue(), installed_maps()
    table = Table("name", "state", "size", "hashes", "licence", "what it is", title="maps", title_justify="left")
    for name in builtin_maps():
        table.add_row(name, "built in", "", "", "Apache-2.0", "a generated town; see its README.md")
    for name, entry in entries.items():
        state = "installed" if name in installed else "iovsim map get" if entry.url else "by hand, then get --from"
        hashes = "known" if entry.verified else "recorded at first"
        table.add_row(name, state, _size(entry.size_bytes), hashes, entry.licence, entry.title)
    wide_console().print(table)


def info(
    name: Annotated[
        str, typer.Argument(metavar="MAP", help="A map's name, a built map's folder, or any SUMO configuration.")
    ],
) -> None:
    """Show what a map holds: extent, roads, junctions, buildings, traffic, licence, and errors in its routes."""
    from iovsim.mobility.map_record import NAME, read_record
    from iovsim.mobility.map_store import map_config
    from iovsim.mobility.map_summary import summarise

    path = Path(name)
    if (path / "map.sumocfg").is_file():
        path /= "map.sumocfg"
    sumocfg = path if path.suffix in (".sumocfg", ".cfg") or path.is_file() else map_config(name)
    found = summarise(sumocfg)
    west, south, east, north = found.location.bounds
    junctions = found.roadmap.junctions
    rows = {
        "configuration": str(sumocfg),
        "extent": f"{east - west:.0f} m x {north - south:.0f} m, from ({west:.0f}, {south:.0f}) m",
        "projection": found.location.projection or "none: metres of its own",
        "roads": f"{len(found.roadmap.roads)}, {found.road_m / 1000:.1f} km, each direction by itself",
        "junctions": f"{len(junctions)}, {sum(j.signals for j in junctions)} with signals",
        "buildings": f"{len(found.roadmap.buildings)}",
        "traffic": ", ".join(f"{count} {kind}s" for kind, count in sorted(found.demand.items())) or "none",
        "route errors": "SUMO stops at the first",
    }
    if found.location.degrees is not None:
        low_x, low_y, high_x, high_y = found.location.degrees
        rows["projection"] += f"; {low_y:.5f} to {high_y:.5f} N, {low_x:.5f} to {high_x:.5f} E"
    if found.broken is not None:
        rows["route errors"] = f"ignored by its configuration; vehicles with a broken route: {found.broken.vehicles}"
    if (sumocfg.parent / NAME).is_file():
        record = read_record(sumocfg.parent)
        rows |= {"title": record.title, "source": record.source, "licence": record.licence}
    table = Table("what", "value", title=f"map {name}", title_justify="left")
    for what, value in rows.items():
        table.add_row(what, value)
    wide_console().print(table)


def _side(on_left: bool) -> str:
    return "on the left" if on_left else "on the right"


def _evidence(on_left: bool, seen: bool | None, asked: bool | None) -> str:
    """Why the map is driven as it is, and what to do if that is wrong."""
    other = "--right-hand" if on_left else "--left-hand"
    if asked is None:
        return (
            f"which no roundabout told; if that is wrong: {other}" if seen is None else "as its roundabouts are drawn"
        )
    return (
        f"as asked, though its roundabouts are drawn for driving {_side(seen)}" if seen is (not asked) else "as asked"
    )


def _asked(url: str, files: Iterable[str]) -> int:
    """What the server says of the size of all files; 0 where it does not say it of each."""
    from iovsim.mobility.download import size_bytes

    sizes = [size_bytes(f"{url}/{file}") for file in files]
    return 0 if None in sizes else sum(size for size in sizes if size is not None)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / MB:.1f} MB" if size_bytes else "size unknown"
