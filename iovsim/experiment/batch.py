"""Several runs become several run folders, in worker processes; what runs of one world share is made once a process."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from iovsim.errors import ScenarioError
from iovsim.experiment.centralised import CentralSpec, train_centrally
from iovsim.experiment.ground import check_here
from iovsim.experiment.method import method_for
from iovsim.experiment.pool import Outcome, Piece, Report, work_here, work_through
from iovsim.experiment.run import RunSpec, check_out, make_ready, run_one
from iovsim.experiment.worker import Desk
from iovsim.learning.trainers import check_trainer


def run_all(specs: Sequence[RunSpec], cache: Path, report: Report, *, jobs: int, overwrite: bool) -> list[Path]:
    """Runs everything on at most `jobs` processes and returns the folders, in the order of `specs`.

    The first error ends the other workers and is raised; what was finished stays.
    """
    check_all(specs)
    check_trainers(specs)
    check_out(list(specs), overwrite=overwrite)
    with closing(run_each(specs, cache, report, jobs=jobs, overwrite=overwrite)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
    return [spec.out for spec in specs]


def run_each(
    specs: Sequence[RunSpec], cache: Path, report: Report, *, jobs: int, overwrite: bool
) -> Generator[Outcome, None, None]:
    """Runs everything on at most `jobs` processes; how each ended comes as it ends, with its number in `specs`.

    Closing the iterator ends the workers, each of which marks its run as unfinished.
    """
    pieces = [Piece(s.label, _Run(s, cache, overwrite), world_of(s)) for s in specs]
    return work_here(pieces, report) if jobs == 1 else work_through(pieces, min(jobs, len(specs)), report)


def train_all(specs: Sequence[CentralSpec], cache: Path, report: Report, *, jobs: int) -> pd.DataFrame:
    """Trains every reference on at most `jobs` processes and returns their rows, in the order of `specs`.

    The first error ends the other workers and is raised.
    """
    pieces = [Piece(s.label, partial(_train, s, cache)) for s in specs]
    rows: dict[int, pd.DataFrame] = {}
    outcomes = work_here(pieces, report) if jobs == 1 else work_through(pieces, min(jobs, len(specs)), report)
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            rows[outcome.number] = outcome.result
    return pd.concat([rows[number] for number in range(len(specs))], ignore_index=True)


def check_all(specs: Sequence[RunSpec]) -> None:
    """Raises `ScenarioError` where two runs would write into one folder: policies of the same name, a seed twice.

    Also for a policy file that can never work, or not in its scenario, and for a map or a trace that is not here.
    """
    seen: set[Path] = set()
    for spec in specs:
        if spec.out in seen:
            raise ScenarioError(
                f"{spec.label}: asked for twice; give each policy file its own 'name' and each seed once."
            )
        seen.add(spec.out)
    for spec in {(id(s.scenario), id(s.policy)): s for s in specs}.values():
        method_for(spec.scenario, spec.policy)
        check_here(spec.scenario)


def check_trainers(specs: Sequence[RunSpec]) -> None:
    """Raises `TrainingError` for a way to train that this computer does not have."""
    for training in {s.training for s in specs}:
        check_trainer(training)


def world_of(spec: RunSpec) -> Hashable:
    """Equal for runs that share a world and a trainer."""
    return spec.scenario.model_dump_json(), str(spec.scenario.resolved(Path())), spec.seed, spec.training


@dataclass(frozen=True, slots=True)
class _Run:
    """A run as a piece of work."""

    spec: RunSpec
    cache: Path
    overwrite: bool

    def __call__(self, desk: Desk) -> Path:
        spec = self.spec
        ready = desk.shared(
            world_of(spec),
            lambda: make_ready(spec.scenario, spec.seed, spec.training, self.cache, desk.progress, desk.worker),
        )
        return run_one(spec, self.cache, desk.progress, overwrite=self.overwrite, ready=ready)


def _train(spec: CentralSpec, cache: Path, desk: Desk) -> pd.DataFrame:
    desk.progress("training centrally", 0.0)
    rows = train_centrally(spec, cache)
    desk.progress("training centrally", 1.0)
    return rows
