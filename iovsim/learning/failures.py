"""What goes wrong in one job's training becomes a `Failure` of that job, with a message that names it."""

from __future__ import annotations

import torch

from iovsim.domain import Failure, LossReason, TrainJob


def diverged(job: TrainJob, what: str) -> Failure:
    """`what` is no longer finite."""
    return Failure(LossReason.DIVERGED, f"{_where(job)}: {what}; lower learning_rate = {job.recipe.learning_rate}.")


def no_memory(job: TrainJob) -> Failure:
    """This computer's memory, not the vehicle's, does not suffice."""
    return Failure(
        LossReason.MEMORY,
        f"{_where(job)}: this computer has not enough memory to train it; lower batch_size = {job.recipe.batch_size}, "
        "or run fewer processes at once.",
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory; on a processor torch says so in the message alone."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def _where(job: TrainJob) -> str:
    return f"task {job.task!r}, vehicle {job.vehicle!r}, round {job.round} of {job.rsu!r}"
