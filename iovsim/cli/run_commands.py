"""`run`: a scenario becomes run folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from iovsim.cli.store_options import LimitOption, NoStoreOption, StoreOption
from iovsim.cli.training_options import DeviceOption, PrecisionOption, TrainerOption
from iovsim.config import Scenario, load_policy, load_scenario
from iovsim.config.changes import parse_changes
from iovsim.config.seeds import parse_seeds
from iovsim.domain import Precision, TrainerKind, TrainerSpec
from iovsim.errors import ScenarioError
from iovsim.learning.store.place import LIMIT_GIB, chosen_store
from iovsim.paths import usable_cache
from iovsim.progress import shown

ScenarioArgument = Annotated[
    str,
    typer.Argument(metavar="SCENARIO", help="A world file (*.toml), or the name of a built-in one, such as 'demo'."),
]
PolicyOption = Annotated[
    list[str],
    typer.Option("--policy", "-p", help="A built-in policy (see 'iovsim policies') or a policy file; may be repeated."),
]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder for recorded traffic (default: the user's cache folder).")
]
DataOption = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="TASK=PATH", help="Take a task's data from this file or folder; may be repeated."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change the scenario, such as time.duration_s=60.0; may be repeated."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("run")(run)


def run(
    scenario: ScenarioArgument,
    policy: PolicyOption,
    seeds: Annotated[str, typer.Option("--seeds", "-s", help="Seeds: 1, or 1,2,5, or 1-5.")] = "1",
    out: Annotated[Path, typer.Option("--out", "-o", help="Results go to OUT/<policy>/seed-<seed>/.")] = Path("runs"),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes, one thread each.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace runs that OUT already holds.")] = False,
    trainer: TrainerOption = TrainerKind.BATCHED,
    precision: PrecisionOption = Precision.FP32,
    device: DeviceOption = "cpu",
    store: StoreOption = None,
    no_store: NoStoreOption = False,
    store_limit: LimitOption = LIMIT_GIB,
    data: DataOption = None,
    changes: SetOption = None,
    cache: CacheOption = None,
) -> None:
    """Run every policy on every seed of a scenario. All policies of a seed meet the identical world."""
    world = find_scenario(scenario, data or (), changes or ())
    files = [load_policy(p) for p in policy]
    numbers = parse_seeds(seeds)
    folder = usable_cache(cache)
    kept = chosen_store(store, no_store, store_limit, folder)

    from iovsim.experiment.batch import run_all  # late: torch takes seconds, a misspelt name must not
    from iovsim.experiment.run import RunSpec
    from iovsim.experiment.worker import INTERRUPTED

    training = TrainerSpec(trainer, precision, device)
    specs = [RunSpec(world, f, s, out / f.name / f"seed-{s}", training, kept) for s in numbers for f in files]
    console = Console()
    try:
        with shown(console) as report:
            folders = run_all(specs, folder, report, jobs=jobs, overwrite=overwrite)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; runs that had begun are marked as unfinished")
        raise typer.Exit(INTERRUPTED) from None
    for finished in folders:
        console.print(f"finished: {finished}", highlight=False)
    _warn(folders)


def _warn(folders: Sequence[Path]) -> None:
    """Says once what several runs may have met: a store that could not be written."""
    from iovsim.results import read_manifest

    records = [read_manifest(folder).store for folder in folders]
    for problem in sorted({record.problem for record in records if record is not None and record.problem}):
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold yellow]warning:[/] {escape(problem)}")


def find_scenario(name_or_path: str, data: Sequence[str] = (), changes: Sequence[str] = ()) -> Scenario:
    """A world file by path, or a built-in one by name: changed by KEY=VALUE, the data of some tasks by TASK=PATH."""
    scenario = load_scenario(name_or_path, parse_changes(changes))
    for text in data:
        task, found, path = text.partition("=")
        if not found or not task or not path:
            raise ScenarioError(f"--data {text!r}: write TASK=PATH, for example --data sentiment=glue/SST-2.")
        scenario = scenario.with_data(task, Path(path).absolute())
    return scenario
