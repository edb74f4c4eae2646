"""The plan of a study, and how far one is, become tables on the screen."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from iovsim.cli.study_progress import duration
from iovsim.studies.estimate import Estimate
from iovsim.studies.plan import Plan
from iovsim.studies.status import Progress, RunProgress, StudyStatus, failed

MOST_LINES = 20


def print_plan(console: Console, plan: Plan, left: int, guess: Estimate, jobs: int) -> None:
    """Variants, policies, seeds, and the time that all that is not finished will take."""
    study = plan.study
    console.print(
        f"study {study.name}: {study.title}" if study.title else f"study {study.name}", highlight=False, soft_wrap=True
    )
    table = Table("what", "how many", "which", box=None)
    if len(plan.variants) > 1:
        table.add_row("variants", str(len(plan.variants)), ", ".join(f"{k} = {v}" for k, v in study.grid.items()))
    policies = list(dict.fromkeys(run.policy.name for run in plan.runs))
    table.add_row("policies", str(len(policies)), ", ".join(policies))
    seeds = study.seed_numbers
    table.add_row("seeds", str(len(seeds)), study.seeds)
    table.add_row("runs", str(len(plan.runs)), f"{left} to do, in {plan.out}")
    console.print(table)
    total_s = guess.run_s * left
    console.print(
        f"about {duration(guess.run_s)} of one processor a run ({guess.basis}): "
        f"{duration(total_s / jobs)} with {jobs} process{'es' if jobs > 1 else ''}",
        highlight=False,
        soft_wrap=True,
    )


def print_status(console: Console, status: StudyStatus, *, every: bool) -> None:
    """A table of policies by how far their runs are; then what failed, or every run."""
    record = status.record
    at_work = "a process is at it" if status.at_work else "nobody is at it"
    console.print(f"study {record.name}, {len(record.runs)} runs, {at_work}", highlight=False)
    kinds = [p for p in Progress if status.count(p)]
    table = Table("variant", "policy", *(str(kind) for kind in kinds), box=None)
    for variant, policy in dict.fromkeys((run.variant, run.policy) for run in record.runs):
        of_both = [run for run in status.runs if (run.run.variant, run.run.policy) == (variant, policy)]
        counts = [str(sum(run.progress is kind for run in of_both) or "") for kind in kinds]
        table.add_row(escape(variant), escape(policy), *counts)
    console.print(table)
    shown = list(status.runs) if every else failed(status.runs)
    for run in shown if every else shown[:MOST_LINES]:
        console.print(f"{run.run.folder}: {_words(run)}", highlight=False, soft_wrap=True, markup=False)
    if len(shown) > MOST_LINES and not every:
        console.print(f"and {len(shown) - MOST_LINES} more that failed; --all shows every run", highlight=False)
    if not status.at_work and status.count(Progress.COMPLETE) < len(record.runs):
        console.print(f"go on: iovsim resume {status.folder}", highlight=False, soft_wrap=True)


def _words(run: RunProgress) -> str:
    if run.wall_s is not None:
        return f"{run.progress} in {duration(run.wall_s)}"
    return f"{run.progress}: {run.error}" if run.error else str(run.progress)
