"""Turns calls in a script or notebook into worlds, runs and comparisons, by the functions that the commands call too.

All names of `__all__` are had from the package itself: `iovsim.run(...)`. Every mistake ends in an `IovsimError` whose
message says where, what was found, what is allowed and what to do.
"""

from __future__ import annotations

import operator
import shutil
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, SupportsIndex, TypeAlias, TypeVar

import pandas as pd
from rich.console import Console

from iovsim import results
from iovsim.config import PolicyFile, Scenario, StudyFile, load_study, study_from
from iovsim.config import load_policy as policy_from_file
from iovsim.config import load_scenario as scenario_from_file
from iovsim.config.seeds import MAX_SEED
from iovsim.domain import Precision, TrainerKind, TrainerSpec
from iovsim.errors import IovsimError, ScenarioError, near_match
from iovsim.learning.store.folder import StoreSpec
from iovsim.learning.store.place import LIMIT_GIB, chosen_store
from iovsim.paths import usable_cache
from iovsim.progress import Report, shown
from iovsim.results import Asked, Comparison, Run, Target
from iovsim.results.metrics import DEFAULT
from iovsim.results.views import joined
from iovsim.studies.finished import Study

__all__ = [
    "Comparison",
    "IovsimError",
    "PolicyFile",
    "Run",
    "Scenario",
    "Study",
    "compare",
    "find_runs",
    "frame",
    "load_policy",
    "load_scenario",
    "open_run",
    "run",
    "study",
]

Source: TypeAlias = str | Path
"""Of a scenario or policy: the name of a built-in one, or a path that ends in `.toml`."""

Progress: TypeAlias = bool | Callable[[str, str, float], None] | None
"""True: bars or a text that changes; None or False: nothing; or a function of label, step and part that is done."""

Runs: TypeAlias = Run | str | Path | Iterable[Run | str | Path]
"""Runs, or folders that hold some."""

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


def load_scenario(
    name_or_path: Source, changes: Mapping[str, object] | None = None, /, **more_changes: object
) -> Scenario:
    """A built-in scenario or a world file, checked.

    `changes` gives dotted keys other values: `load_scenario("demo", {"time.duration_s": 60.0})`; tasks and sites are
    addressed by name, `tasks.signs.round_energy_j`. They may be given as keywords too. Raises `ScenarioError`.
    """
    return scenario_from_file(name_or_path, {**(changes or {}), **more_changes})


def load_policy(
    name_or_path: Source, changes: Mapping[str, object] | None = None, /, **more_changes: object
) -> PolicyFile:
    """A built-in policy or a policy file, checked; `changes` as of a scenario: `{"forecast.kind": "oracle"}`.

    A changed policy needs another `name` where it is to be compared with the unchanged one. Raises `ScenarioError`.
    """
    return policy_from_file(name_or_path, {**(changes or {}), **more_changes})


def run(
    scenario: Scenario | Source,
    policy: PolicyFile | Source,
    seed: SupportsIndex = 1,
    out: Source | None = None,
    *,
    overwrite: bool = False,
    trainer: str = "batched",
    precision: str = "fp32",
    device: str = "cpu",
    store: Source | bool = True,
    cache: Source | None = None,
    progress: Progress = True,
) -> Run:
    """Runs one policy on one seed of a scenario in this process, and opens what came of it.

    `out` is the run folder; a finished run of the same in it is kept, another one replaced with `overwrite` only.
    Without `out` the run lies in a temporary folder that is removed with the returned object.
    `trainer`, `precision` and `device` are those of `iovsim run`. `store` keeps finished training for later runs: True
    in the cache folder, False not at all, otherwise in the folder given. `cache` is the folder for recorded traffic.

    Raises an `IovsimError` for whatever is wrong with the input. An interrupted run is marked as such in `out`.
    Warns where `store` cannot be written: the run goes on without.
    """
    training = TrainerSpec(_choice(TrainerKind, trainer, "trainer"), _choice(Precision, precision, "precision"), device)
    world = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    file = policy if isinstance(policy, PolicyFile) else load_policy(policy)
    number = _seed(seed)
    folder, kept = _places(cache, store)

    from iovsim.experiment.batch import run_all  # late: torch takes seconds, a misspelt name must not
    from iovsim.experiment.run import RunSpec

    with _place(out) as (path, keep), _reports(progress) as report:
        (done,) = run_all(
            [RunSpec(world, file, number, path, training, kept)], folder, report, jobs=1, overwrite=overwrite
        )
        found = keep(open_run(done))
    if found.manifest.store is not None and found.manifest.store.problem:
        warnings.warn(found.manifest.store.problem, stacklevel=2)
    return found


def study(
    study: StudyFile | Source | Mapping[str, object],
    out: Source | None = None,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    store: Source | bool = True,
    cache: Source | None = None,
    progress: Progress = True,
) -> Study:
    """Runs what is not finished yet of a study: policies x seeds x the combinations of a grid.

    `study` is a study file, the name of a built-in one, or its content as a mapping: `{"name": "mine", "scenario":
    "tiny", "policies": ["random", "energy-budget"], "seeds": "1-5", "grid": {"rsus.count": [2, 3]}}`. `out` is its
    folder, runs/<name> by default; the same call again goes on where it was broken off. Above one, `jobs` are processes
    of their own, in which nothing of the calling script is known. Other options are those of `run`.

    Raises an `IovsimError` for whatever is wrong with the input, and where a run failed, after the others.
    """
    file = _study_file(study)
    if jobs < 1:
        raise ScenarioError(f"jobs {jobs}: must be 1 or more; a run takes one processor.")
    folder, kept = _places(cache, store)

    from iovsim.studies.plan import plan_of  # late: torch
    from iovsim.studies.run import Tally, check_all_ended_well, locally, run_study

    plan = plan_of(file, Path("runs") / file.name if out is None else Path(out), kept)
    with _reports(progress) as report, _main_kept_from_workers():

        def ended(tally: Tally, label: str) -> None:
            done = tally.total - tally.left
            report(file.name, f"{done} of {tally.total} runs", done / tally.total)

        of_runs = report if callable(progress) else _ignore
        engine = locally(jobs, overwrite=overwrite)
        check_all_ended_well(run_study(plan, folder, engine, of_runs, ended, overwrite=overwrite))
    return Study(plan.out, file, tuple(open_run(spec.out) for spec in plan.runs))


def compare(
    runs: Runs,
    baseline: str | None = None,
    *,
    metrics: Sequence[str] | None = None,
    targets: Mapping[str, float] | None = None,
    every_pair: bool = False,
    common_seeds: bool = False,
) -> Comparison:
    """Compares the runs' policies seed by seed: means and paired differences with 95 % intervals, and tests.

    Differences are to `baseline`, by default the policy of the first run; `every_pair` compares each policy with each.
    `metrics` are those to compare by (see `iovsim metrics`), by default `iovsim.results.metrics.DEFAULT`. `targets`,
    accuracies by task, add the time and the energy until they are reached. `common_seeds` leaves out seeds that not all
    policies have. Raises `ResultsError` where the runs' worlds differ, or for an unknown name.
    """
    wished = tuple(Target.parse(f"{task}={share}") for task, share in (targets or {}).items())
    asked = Asked(every_pair=every_pair, targets=wished)
    return results.compare(_runs(runs), baseline, common_seeds, asked).only(metrics or DEFAULT)


def open_run(folder: Source) -> Run:
    """Opens a run folder. Raises `ResultsError` where it is none, or where the run did not complete."""
    return results.open_run(Path(folder))


def find_runs(folders: Source | Iterable[Source]) -> list[Run]:
    """All runs in a folder, or in several, and below, sorted by path. Raises `ResultsError`."""
    return results.find_runs([Path(f) for f in ([folders] if isinstance(folders, str | Path) else folders)])


def frame(runs: Runs, table: str) -> pd.DataFrame:
    """One table of all runs, such as "jobs" (see `iovsim columns`), or "accuracy"; `policy` and `seed` come first.

    Raises `ResultsError`.
    """
    return joined(_runs(runs), table)


def _runs(runs: Runs) -> list[Run]:
    """The runs themselves, in the order given; those of a folder sorted by path."""
    if isinstance(runs, Run):
        return [runs]
    if isinstance(runs, str | Path):
        return find_runs(runs)
    return [found for one in runs for found in ([one] if isinstance(one, Run) else find_runs(one))]


@contextmanager
def _place(out: Source | None) -> Iterator[tuple[Path, Callable[[Run], Run]]]:
    """Where a run goes, and what is to be done with it: without `out`, a folder that lives as long as the run."""
    if out is not None:
        yield Path(out), lambda run: run
        return
    folder = Path(tempfile.mkdtemp(prefix="iovsim-"))

    def keep(run: Run) -> Run:
        weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
        return run

    try:
        yield folder / "run", keep
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _reports(progress: Progress) -> Iterator[Report]:
    """What reports of work are given to."""
    if callable(progress):
        yield progress
    elif progress:
        with shown(Console()) as report:
            yield report
    else:
        yield _ignore


def _ignore(label: str, step: str, done: float) -> None:
    """What reports of work are given to where nobody wants them."""


@contextmanager
def _main_kept_from_workers() -> Iterator[None]:
    """Processes begun meanwhile do not run the calling script again, as they otherwise would from its first line.

    They need nothing of it, and whoever calls needs no `if __name__ == "__main__"`.
    """
    main = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(kept)


def _places(cache: Source | None, store: Source | bool) -> tuple[Path, StoreSpec | None]:
    """The folder for recorded traffic, and the store of finished training."""
    folder = usable_cache(None if cache is None else Path(cache), "cache")
    asked = None if isinstance(store, bool) else Path(store)
    return folder, chosen_store(asked, store is False, LIMIT_GIB, folder, where="store")


def _study_file(study: StudyFile | Source | Mapping[str, object]) -> StudyFile:
    if isinstance(study, StudyFile):
        return study
    if isinstance(study, Mapping):
        return study_from(dict(study), Path("study given in Python"))
    return load_study(study)


def _seed(seed: SupportsIndex) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= MAX_SEED:
        raise ScenarioError(f"seed {seed!r}: must be a whole number from 0 to {MAX_SEED}; give for example 1.")
    return number


def _choice(kind: type[ChoiceT], name: str, what: str) -> ChoiceT:
    if name not in list(kind):
        raise ScenarioError(f"{what} {name!r}: no such {what}; {near_match(name, [str(one) for one in kind])}")
    return kind(name)
