"""Two runs that differ in their trainer alone become how far what they learnt is apart; all else must be equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iovsim.errors import ResultsError
from iovsim.results import Run

LEARNT: Mapping[str, tuple[str, ...]] = {
    "jobs": ("loss_before", "loss_after"),
    "rounds": ("loss_before", "loss_after"),
    "merges": ("stable_rank",),
    "budgets": ("loss", "accuracy"),
    "evaluations": ("accuracy", "macro_f1", "loss", "calibration_error"),
}
"""Table -> the columns in which trainers that round otherwise differ."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two runs' trained models are apart."""

    jobs: int  # of either run
    accuracy: float  # the largest difference in held-out accuracy, over tasks and merges
    answers: float  # the most samples that one run's model knows and the other's does not, net, over all evaluated sets


def agreement(one: Run, other: Run) -> Agreement:
    """Raises `ResultsError` at the first column, not learnt, that differs: a job, its status, a second, a joule."""
    for table in one.fingerprint():
        frame, reference = one.table(table), other.table(table)
        for column in frame:
            if column not in LEARNT.get(table, ()) and not frame[column].equals(reference[column]):
                raise ResultsError(f"{other.path}: column {column!r} of {table!r} differs from that of {one.path}.")
    scores, reference = one.table("evaluations"), other.table("evaluations")
    apart = (scores["accuracy"] - reference["accuracy"]).abs()
    held_out = apart[scores["scope"] == "global"]
    return Agreement(len(one.table("jobs")), float(held_out.max()), float((apart * scores["samples"]).max()))
