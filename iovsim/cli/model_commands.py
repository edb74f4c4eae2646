"""`centralised` and `download`: tasks become reference accuracies, and names of models become files on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

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
    PrecisionOption,
    RanksOption,
    SeedsOption,
    TaskOption,
    TrainerOption,
    parse_ranks,
)
from iovsim.config.seeds import parse_seeds
from iovsim.domain import Precision, TrainerKind, TrainerSpec, Tuning
from iovsim.errors import ResultsError
from iovsim.paths import usable_cache
from iovsim.progress import shown


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("centralised")(centralised)
    app.command("download")(download)


def centralised(
    scenario: ScenarioArgument,
    task: TaskOption = None,
    tuning: Annotated[
        list[Tuning] | None,
        typer.Option("--tuning", help="What is trained (default: lora); may be repeated."),
    ] = None,
    ranks: RanksOption = "8",
    epochs: EpochsOption = 1,
    seeds: SeedsOption = "1",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for centralised.csv and, with several ranks, a figure.")
    ] = Path("centralised"),
    jobs: JobsOption = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that OUT already holds.")] = False,
    trainer: TrainerOption = TrainerKind.BATCHED,
    precision: PrecisionOption = Precision.FP32,
    device: DeviceOption = "cpu",
    data: DataOption = None,
    cache: CacheOption = None,
) -> None:
    """Train a scenario's tasks with all their data in one place: the reference for federated training."""
    world = find_scenario(scenario, data or ())
    numbers, chosen = parse_seeds(seeds), parse_ranks(ranks)
    table = out / "centralised.csv"
    if table.exists() and not overwrite:
        raise ResultsError(f"{table}: is there already; choose another --out, or replace it with --overwrite.")

    from iovsim.experiment.batch import train_all
    from iovsim.experiment.centralised import plan

    training = TrainerSpec(trainer, precision, device)
    specs = plan(world, task or (), tuning or (Tuning.LORA,), chosen, epochs, numbers, training)
    console = Console()
    with interruptible("nothing was written"), shown(console) as report:
        rows = train_all(specs, usable_cache(cache), report, jobs=jobs)
    from iovsim.analysis.centralised import write_centralised
    from iovsim.cli.tables import print_centralised

    for path in write_centralised(rows, out):
        console.print(f"written: {path}", highlight=False)
    print_centralised(wide_console(), rows)


def download(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of Hugging Face's hub.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit; a commit pins what is fetched.")] = "main",
) -> None:
    """Fetch a model's weights (safetensors), configuration and vocabulary into Hugging Face's cache."""
    from iovsim.learning.backbones.pretrained import download as fetch

    print(fetch(model, revision))
