"""`study`: a study file becomes run folders, and the folder of a study how far it is."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from iovsim.cli.run_commands import CacheOption
from iovsim.cli.store_options import LimitOption, NoStoreOption, StoreOption
from iovsim.config.study import StudyFile, load_study
from iovsim.errors import ScenarioError
from iovsim.learning.store.place import LIMIT_GIB, chosen_store
from iovsim.paths import usable_cache


class EngineName(StrEnum):
    """Where runs are done."""

    LOCAL = "local"
    RAY = "ray"


class RunByDefault(TyperGroup):
    """`iovsim study FILE` is `iovsim study run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and args[0] not in ("--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


study_app = typer.Typer(
    cls=RunByDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run policies x seeds x variants over identical worlds: iovsim study STUDY.toml; look: iovsim study status.",
)

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file (*.toml), or the name of a built-in one, such as 'tiny'.")
]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    study_app.command("run")(run)
    study_app.command("status")(status)
    app.add_typer(study_app, name="study")


def run(
    study: StudyArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the study (default: runs/<name of the study>).")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes, one thread each.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be run, and for how long.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace runs that OUT already holds.")] = False,
    engine: Annotated[
        EngineName, typer.Option("--engine", help="local: processes of this computer; ray: tasks of a Ray cluster.")
    ] = EngineName.LOCAL,
    address: Annotated[
        str | None, typer.Option("--address", help="Of the Ray cluster (default: $RAY_ADDRESS, else one made here).")
    ] = None,
    cpus: Annotated[float, typer.Option("--cpus", min=0.0, help="Processors that Ray keeps for a run.")] = 1.0,
    gpus: Annotated[float, typer.Option("--gpus", min=0.0, help="GPUs, or the part of one, likewise.")] = 0.0,
    memory: Annotated[
        float | None, typer.Option("--memory", metavar="GIB", help="Memory that Ray keeps for a run.")
    ] = None,
    store: StoreOption = None,
    no_store: NoStoreOption = False,
    store_limit: LimitOption = LIMIT_GIB,
    cache: CacheOption = None,
) -> None:
    """Run what is not finished yet of a study; the same command again goes on where it was broken off."""
    if engine is EngineName.LOCAL and address is not None:
        raise ScenarioError(f"--address {address}: is that of a Ray cluster; add --engine ray, or leave it out.")
    file = load_study(study)
    folder = usable_cache(cache)
    kept = chosen_store(store, no_store, store_limit, folder)
    place = out or Path("runs") / file.name

    from iovsim.studies.plan import plan_of  # late: torch takes seconds, a misspelt name must not

    plan = plan_of(file, place, kept)
    console = Console()
    if dry_run:
        _show(plan, folder, jobs, console, overwrite=overwrite)
        return
    if engine is EngineName.RAY:
        run_and_tell(plan, folder, _on_ray(address, cpus, gpus, memory), console, overwrite=overwrite)
    else:
        run_and_tell(plan, folder, _locally(jobs, overwrite=overwrite), console, overwrite=overwrite)


def status(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a study.")],
    every: Annotated[bool, typer.Option("--all", help="Show every run.")] = False,
) -> None:
    """How far the runs of a study are."""
    from iovsim.cli.study_tables import print_status
    from iovsim.studies.status import study_status

    print_status(Console(), study_status(folder), every=every)


def resume_study(folder: Path, cache: Path, store: Any, jobs: int) -> None:
    """Goes on with the study that `folder` was made for, as its `study.json` has it."""
    from iovsim.studies.folder import planned_again

    run_and_tell(planned_again(folder, store), cache, _locally(jobs, overwrite=False), Console(), overwrite=False)


def run_and_tell(plan: Any, cache: Path, engine: Any, console: Console, *, overwrite: bool) -> None:
    """Runs what is not finished, showing how far it is. Raises `ResultsError` at the end where some runs failed."""
    from iovsim.cli.study_progress import printed, study_line
    from iovsim.experiment.worker import INTERRUPTED
    from iovsim.studies.run import Tally, check_all_ended_well, run_study

    last_s = -math.inf
    try:
        with study_line(console) as (line, report):

            def ended(tally: Tally, label: str) -> None:
                nonlocal last_s
                line.tally = tally
                line.steps.pop(label, None)
                last_s = printed(console, line, last_s)

            tally = run_study(plan, cache, engine, report, ended, overwrite=overwrite)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; the same command again goes on from here")
        raise typer.Exit(INTERRUPTED) from None
    console.print(f"{tally.kept + tally.finished} of {tally.total} runs are in {plan.out}", highlight=False)
    check_all_ended_well(tally)
    console.print(f"compare them: {_comparison(plan.study, plan.out)}", highlight=False, soft_wrap=True)


def _locally(jobs: int, *, overwrite: bool) -> Any:
    from iovsim.studies.run import locally

    return locally(jobs, overwrite=overwrite)


def _on_ray(address: str | None, cpus: float, gpus: float, memory_gib: float | None) -> Any:
    """Raises `ScenarioError` where Ray is not installed."""
    from iovsim.studies.on_ray import each_on_ray  # first: it says what to do where Ray is not installed
    from iovsim.studies.ray_cluster import Demands

    demands = Demands(cpus, gpus, None if memory_gib is None else int(memory_gib * 2**30))
    return lambda specs, cache, report: each_on_ray(specs, cache, report, address=address, demands=demands)


def _show(plan: Any, cache: Path, jobs: int, console: Console, *, overwrite: bool) -> None:
    from iovsim.cli.study_tables import print_plan
    from iovsim.progress import shown
    from iovsim.studies.estimate import estimate
    from iovsim.studies.run import to_do

    left = to_do(plan, overwrite=overwrite)
    with shown(console) as report:
        guess = estimate(plan.runs, cache, lambda step, done: report("estimate", step, done))
    print_plan(console, plan, len(left), guess, min(jobs, max(len(left), 1)))


def _comparison(study: StudyFile, out: Path) -> str:
    """The command that compares the runs."""
    baseline = f" --baseline {study.baseline}" if study.baseline else ""
    targets = "".join(f" --target {task}={accuracy:g}" for task, accuracy in study.targets.items())
    return f"iovsim compare {out}{baseline}{targets}"
