"""A plan becomes finished run folders: what is there is kept, the rest is run, and no failure stops the others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from iovsim.errors import IovsimError, ResultsError
from iovsim.experiment.batch import check_all, run_each
from iovsim.experiment.pool import Outcome, Report
from iovsim.experiment.run import RunSpec, states_of
from iovsim.results.state import Stage
from iovsim.studies.folder import check_folder, study_folder
from iovsim.studies.plan import Plan

Engine = Callable[[Sequence[RunSpec], Path, Report], Generator[Outcome, None, None]]
"""Runs all of them and gives how each ended as it ends; closing it ends what is still running."""


@dataclass(slots=True)
class Tally:
    """How far a study is. `failed` holds the messages of runs that ended with an error, by their labels."""

    total: int
    kept: int = 0
    finished: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def left(self) -> int:
        return self.total - self.kept - self.finished - len(self.failed)


def run_study(
    plan: Plan,
    cache: Path,
    engine: Engine,
    report: Report,
    ended: Callable[[Tally, str], None],
    *,
    overwrite: bool = False,
) -> Tally:
    """Runs whatever of the plan is not finished yet, and returns how all ended; `ended` is told after each run,
    with its label, and before the first.

    The first run's error ends the study, since then all others would most likely end so too; a later one is kept in the
    tally and the study goes on. Raises an `IovsimError` for wrong input and for a folder that cannot be used.
    """
    left = to_do(plan, overwrite=overwrite)
    with study_folder(plan):
        tally = Tally(len(plan.runs), kept=len(plan.runs) - len(left))
        ended(tally, "")
        if not left:
            return tally
        with closing(engine(left, cache, report)) as outcomes:
            for outcome in outcomes:
                _count(tally, left[outcome.number], outcome)
                ended(tally, left[outcome.number].label)
        return tally


def check_all_ended_well(tally: Tally) -> None:
    """Raises `ResultsError` where runs failed: how many, and why the first did."""
    if tally.failed:
        label, message = next(iter(tally.failed.items()))
        raise ResultsError(
            f"{len(tally.failed)} of {tally.total} runs failed, first {label}: {message} Mend the cause and give the "
            "same command again; what is finished stays."
        )


def to_do(plan: Plan, *, overwrite: bool = False) -> list[RunSpec]:
    """The runs of a plan that are still to be done; only reads.

    Raises an `IovsimError` for whatever is wrong with the plan, and where its folder is not for it.
    """
    check_all(plan.runs)
    check_folder(plan)
    return list(plan.runs) if overwrite else unfinished(plan.runs)


def unfinished(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """The runs that are still to be done. Raises `ResultsError` where a folder holds something else."""
    left = []
    for spec, state in zip(specs, states_of(specs), strict=True):
        if state.stage is Stage.OTHER:
            raise ResultsError(
                f"{spec.out}: {state.reason}; undo that, give 'iovsim study' another --out, or replace what is there "
                "with its --overwrite."
            )
        if state.stage is not Stage.COMPLETE:
            left.append(spec)
    return left


def locally(jobs: int, *, overwrite: bool) -> Engine:
    """On so many processes of this computer."""
    return lambda specs, cache, report: run_each(specs, cache, report, jobs=jobs, overwrite=overwrite)


def _count(tally: Tally, spec: RunSpec, outcome: Outcome) -> None:
    if outcome.error is None:
        tally.finished += 1
        return
    if not isinstance(outcome.error, IovsimError) or not tally.finished + tally.kept:
        raise outcome.error
    tally.failed[spec.label] = str(outcome.error)
