"""`centralised` and `download`: tasks become reference accuracies, and names of models become files on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iovsim.cli.progress import wide_console
from iovsim.cli.run_commands import (
    CacheOption,
    DataOption,
    ScenarioArgument,
    find_scenario,
)
from iovsim.cli.training_options import DeviceOption, PrecisionOption, TrainerOption
from iovsim.config.seeds import parse_seeds
from iovsim.domain import Precision, TrainerKind, TrainerSpec, Tuning
from iovsim.errors import ResultsError, ScenarioError
from iovsim.paths import usable_cache
from iovsim.progress import shown


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("centralised")(centralised)
    app.command("download")(download)


def centralised(
    scenario: ScenarioArgument,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="A task (default: all); may be repeated.")
    ] = None,
    tuning: Annotated[
        list[Tuning] | None,
        typer.Option("--tuning", help="What is trained (default: lora); may be repeated."),
    ] = None,
    ranks: Annotated[str, typer.Option(help="LoRA ranks: 8, or 2,4,8.")] = "8",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the whole training pool.")] = 1,
    seeds: Annotated[str, typer.Option("--seeds", "-s", help="Seeds: 1, or 1,2,5, or 1-5.")] = "1",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for centralised.csv and, with several ranks, a figure.")
    ] = Path("centralised"),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes, one thread each.")] = 1,
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
    from iovsim.experiment.worker import INTERRUPTED

    training = TrainerSpec(trainer, precision, device)
    specs = plan(world, task or (), tuning or (Tuning.LORA,), chosen, epochs, numbers, training)
    console = Console()
    try:
        with shown(console) as report:
            rows = train_all(specs, usable_cache(cache), report, jobs=jobs)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; nothing was written")
        raise typer.Exit(INTERRUPTED) from None
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


def parse_ranks(text: str) -> list[int]:
    """`2,4,8` as numbers. Raises `ScenarioError` where it is something else."""
    parts = text.split(",")
    if not all(p.strip().isdecimal() and 1 <= int(p) <= 1024 for p in parts):
        raise ScenarioError(f"--ranks {text!r}: write numbers from 1 to 1024, for example 8, or 2,4,8.")
    return sorted({int(p) for p in parts})
