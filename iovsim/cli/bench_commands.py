"""`bench precision`: what computing the frozen model in bf16 costs in accuracy, on a scenario's own tasks."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from iovsim.cli.progress import interruptible, wide_console
from iovsim.cli.run_commands import (
    CacheOption,
    DataOption,
    ScenarioArgument,
    find_scenario,
)
from iovsim.cli.training_options import (
    DeviceOption,
    EpochsOption,
    JobsOption,
    RanksOption,
    SeedsOption,
    TaskOption,
    parse_ranks,
)
from iovsim.config.seeds import parse_seeds
from iovsim.domain import Precision, TrainerKind, TrainerSpec, Tuning
from iovsim.paths import usable_cache
from iovsim.progress import shown

COMPARED = (Precision.FP32, Precision.BF16)


def register(app: typer.Typer) -> None:
    """Adds this module's group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Measure this program on this machine.")
    group.callback()(_group)
    group.command("precision")(precision)
    app.add_typer(group, name="bench")


def _group() -> None:
    """Without a callback typer would make the only command the group itself."""


def precision(
    scenario: ScenarioArgument,
    task: TaskOption = None,
    ranks: RanksOption = "8",
    epochs: EpochsOption = 1,
    seeds: SeedsOption = "1-3",
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    data: DataOption = None,
    cache: CacheOption = None,
) -> None:
    """Train a scenario's tasks in fp32 and in bf16 from the same beginnings, and print the difference in accuracy."""
    world = find_scenario(scenario, data or ())
    numbers, chosen = parse_seeds(seeds), parse_ranks(ranks)

    from iovsim.experiment.batch import train_all
    from iovsim.experiment.centralised import plan

    ways = [TrainerSpec(TrainerKind.BATCHED, one, device) for one in COMPARED]
    specs = [s for way in ways for s in plan(world, task or (), [Tuning.LORA], chosen, epochs, numbers, way)]
    with interruptible("nothing was measured"), shown(Console()) as report:
        rows = train_all(specs, usable_cache(cache), report, jobs=jobs)
    from iovsim.results.intervals import interval, rounded

    after = rows[rows["epoch"] > 0]
    halves = [after.iloc[: len(after) // 2], after.iloc[len(after) // 2 :]]  # in the order of the specs
    table = Table("task", "rank", "steps", "seeds", *COMPARED, "difference", title="held-out accuracy")
    for (name, rank), full in halves[0].groupby(["task", "rank"], sort=False):
        low = halves[1].loc[(halves[1]["task"] == name) & (halves[1]["rank"] == rank), "accuracy"]
        differences = low.to_numpy() - full["accuracy"].to_numpy()
        cells = [rounded(interval(values.tolist()), len(full)) for values in (full["accuracy"], low)]
        change = rounded(interval(differences.tolist()), len(full), signed=True)
        table.add_row(escape(str(name)), str(rank), str(full["steps"].iloc[0]), str(len(full)), *cells, change)
    out = wide_console()
    out.print(table)
    out.print("±: half-width of a 95 % Student t interval; the difference is paired by seed, bf16 minus fp32.")
