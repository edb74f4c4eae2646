"""`rsus`: where a scenario's RSUs stand, and what they are worth, without training anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from iovsim.cli.progress import interruptible, wide_console
from iovsim.cli.run_commands import CacheOption, DataOption, ScenarioArgument, SetOption, find_scenario
from iovsim.files import explained, write_whole
from iovsim.paths import usable_cache
from iovsim.progress import shown

if TYPE_CHECKING:
    from iovsim.experiment.reach import Reach


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("rsus")(rsus)


def rsus(
    scenario: ScenarioArgument,
    seed: Annotated[int, typer.Option("--seed", "-s", help="The run whose traffic the RSUs meet.")] = 1,
    data: DataOption = None,
    changes: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write rsus.csv and a map (PNG, PDF, SVG) into this folder.")
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Place the RSUs of a scenario, and show what they cover, for how long, and how often vehicles change them."""
    world = find_scenario(scenario, data or (), changes or ())
    from iovsim.experiment.reach import reached

    console = Console()
    with interruptible("recorded traffic is kept, the rest is not"), shown(console) as report:
        found = reached(world, seed, usable_cache(cache), lambda step, part: report(world.name, step, part))
    title = f"RSUs of {world.name}, placement {world.rsus.placement}, seed {seed}"
    _print(wide_console(), found, title)
    if found.optimistic:
        console.print(
            "These RSUs were planned for this very traffic: optimistic. Change rsus.traffic_seed or the seed."
        )
    for what, times in sorted(found.counted.items()):
        console.print(f"{what}: {times}", highlight=False)
    if out is not None:
        _write(out, found, title)


def _print(console: Console, found: Reach, title: str) -> None:
    from iovsim.results import METRICS

    table = Table(
        *("RSU", "east [m]", "north [m]", "range [m]", "contacts", "mean contact [s]", "vehicle time [h]", "seen"),
        title=escape(title),
        title_justify="left",
    )
    for rsu in found.rsus.to_dict("records"):
        told = [f"{rsu[name]:.{digits}f}" for name, digits in (("x_m", 0), ("y_m", 0), ("range_m", 0))]
        served = [f"{rsu['contact_s']:.1f}", f"{rsu['attached_h']:.2f}", f"{rsu['seen_share']:.2f}"]
        table.add_row(
            str(rsu["rsu"]), *told, str(rsu["contacts"]), *(served if rsu["contacts"] else ("-", "0.00", "-"))
        )
    console.print(table)
    figures = Table("figure", "value", "meaning", title="of all RSUs together", title_justify="left")
    for name, value in found.figures().items():
        metric = METRICS[name]
        figures.add_row(escape(metric.heading), "-" if value is None else f"{value:.4g}", metric.meaning)
    console.print(figures)


def _write(out: Path, found: Reach, title: str) -> None:
    from iovsim.analysis.maps import placement_map
    from iovsim.analysis.style import save

    with explained(out, "create the folder"):
        out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "rsus.csv", found.rsus.rename(columns={"rsu": "name"}).to_csv(index=False).encode())
    for path in (
        out / "rsus.csv",
        *save(placement_map(found.rsus, found.density, found.shapes, f"{title}."), out, "rsus"),
    ):
        print(path)
