"""`run`: a scenario becomes run folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from iovsim.cli.progress import interruptible
from iovsim.cli.store_options import LimitOption, NoStoreOption, StoreOption
from iovsim.cli.training_options import DeviceOption, JobsOption, PrecisionOption, SeedsOption, TrainerOption
from iovsim.config import Scenario, load_policy, load_scenario
from iovsim.config.changes import parse_changes
from iovsim.config.seeds import parse_seeds
from iovsim.domain import Precision, TrainerKind, TrainerSpec
from iovsim.errors import ScenarioError
from iovsim.learning.store.place import LIMIT_GIB, chosen_store
from iovsim.mobility.sumo_process import BROKEN
from iovsim.paths import usable_cache
from iovsim.progress import shown

if TYPE_CHECKING:
    from iovsim.experiment.run import RunSpec

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
    typer.Option(
        "--data",
        metavar="TASK=PATH",
        help="Take a task's data, or the file of a key such as mobility.trace, from here; may be repeated.",
    ),
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
    seeds: SeedsOption = "1",
    out: Annotated[Path, typer.Option("--out", "-o", help="Results go to OUT/<policy>/seed-<seed>/.")] = Path("runs"),
    jobs: JobsOption = 1,
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
    """Run every policy on every seed of a scenario. All policies of a seed meet the identical world.

    Given again, the command keeps the runs that are complete and runs what was left unfinished.
    """
    world = find_scenario(scenario, data or (), changes or ())
    files = [load_policy(p) for p in policy]
    numbers = parse_seeds(seeds)
    folder = usable_cache(cache)
    kept = chosen_store(store, no_store, store_limit, folder)

    from iovsim.experiment.run import RunSpec  # late: torch takes seconds, a misspelt name must not

    training = TrainerSpec(trainer, precision, device)
    specs = [RunSpec(world, f, s, out / f.name / f"seed-{s}", training, kept) for s in numbers for f in files]
    run_and_tell(specs, folder, jobs=jobs, overwrite=overwrite)


def run_and_tell(specs: Sequence[RunSpec], cache: Path, *, jobs: int, overwrite: bool) -> None:
    """Runs what is not complete yet, and says of each folder what became of it."""
    from iovsim.experiment.batch import check_all, run_all
    from iovsim.experiment.run import states_of
    from iovsim.results import Stage

    check_all(specs)
    states = states_of(specs)
    kept = [] if overwrite else [s.out for s, state in zip(specs, states, strict=True) if state.stage is Stage.COMPLETE]
    left = [spec for spec in specs if spec.out not in kept]
    console = Console()
    for folder in kept:
        console.print(f"complete, kept: {folder}", highlight=False, markup=False, soft_wrap=True)
    with interruptible("what had begun is marked as unfinished; the same command goes on"), shown(console) as report:
        folders = run_all(left, cache, report, jobs=jobs, overwrite=overwrite) if left else []
    for folder in folders:
        console.print(f"finished: {folder}", highlight=False, markup=False, soft_wrap=True)
    warn(folders)


def warn(folders: Sequence[Path]) -> None:
    """Says once what several runs may have met: a store that could not be written, vehicles with broken routes."""
    from iovsim.results import read_manifest

    manifests = [read_manifest(folder) for folder in folders]
    problems = {m.store.problem for m in manifests if m.store is not None and m.store.problem}
    broken = [m.traffic[BROKEN] for m in manifests if BROKEN in m.traffic]
    if broken:
        problems.add(
            f"{BROKEN}, accepted: up to {max(broken)} in a run; each stands at the gap until it is teleported."
        )
    for problem in sorted(problems):
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold yellow]warning:[/] {escape(problem)}")


def find_scenario(name_or_path: str, data: Sequence[str] = (), changes: Sequence[str] = ()) -> Scenario:
    """A world file by path, or a built-in one by name: changed by KEY=VALUE, its files by TASK=PATH or KEY=PATH."""
    scenario = load_scenario(name_or_path, parse_changes(changes))
    for text in data:
        task, found, path = text.partition("=")
        if not found or not task or not path:
            raise ScenarioError(f"--data {text!r}: write TASK=PATH, for example --data sentiment=glue/SST-2.")
        scenario = scenario.with_data(task, Path(path).absolute())
    return scenario
