"""Work of one kind becomes finished adapters: some jobs at a time, until the first of them is done, then the next join.

On a processor, the first gradient of each size of chunk is worked out again for its outer vehicles alone; where any bit
differs, that size is not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import Failure, Float32Array, IntArray, Update
from iovsim.learning.batched.many import Dropout
from iovsim.learning.batched.model import Batch, Parameters, Upper, losses_and_gradients, put_in_place, release
from iovsim.learning.batched.models import Source
from iovsim.learning.batched.optimise import Flat, step
from iovsim.learning.batched.work import Work, filled, gathered, scattered
from iovsim.learning.failures import diverged, no_memory, out_of_memory

LOOK_AFTER = 64
"""Steps after which losses are looked at, so that a diverged job does not go on for long."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What jobs that can be trained together share, and which sizes of chunk were found to change nothing."""

    upper: Upper
    source: Source
    labels: IntArray
    class_weights: Float32Array  # (classes,)
    dtype: torch.dtype  # of the computed part of the trunk
    trained: torch.dtype  # of adapters and heads
    device: torch.device
    most: int  # at once
    proven: dict[int, bool] = field(default_factory=lambda: {1: True})

    def size(self, jobs: int) -> int:
        """How many of so many jobs to train at once: chunks about equally full, none of a size that changes bits."""
        chunks = -(-jobs // self.most)
        return max(k for k in range(1, -(-jobs // chunks) + 1) if self.proven.get(k, True))


def train_alike(kind: Kind, works: Sequence[Work]) -> list[Update | Failure]:
    """Their outcomes, in their order. Long jobs begin first, so that none is left over alone."""
    outcomes: dict[int, Update | Failure] = {}
    waiting = sorted(range(len(works)), key=lambda k: -works[k].left)
    while waiting:
        size = kind.size(len(waiting))
        chunk = [works[k] for k in waiting[:size]]
        try:
            _some_steps(kind, chunk)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if size == 1:
                outcomes[waiting.pop(0)] = no_memory(chunk[0].job)
            else:
                kind.proven.update(dict.fromkeys(range(size // 2 + 1, kind.most + 1), False))
            continue
        for k in waiting[:size]:
            outcome = _outcome(works[k])
            if outcome is not None:
                outcomes[k] = outcome
        waiting = [k for k in waiting if k not in outcomes]
    return [outcomes[k] for k in range(len(works))]


def _outcome(work: Work) -> Update | Failure | None:
    """None: there are steps left."""
    job = work.job
    epochs = work.epoch_losses()
    for epoch, loss in enumerate(epochs):
        if not math.isfinite(loss):
            return diverged(job, f"the loss is {loss} in epoch {epoch}")
    if not all(math.isfinite(loss) for loss in work.losses):
        return diverged(job, f"the loss is {work.losses[-1]} in epoch {len(epochs)}")
    if work.left:
        return None
    adapter = work.adapter()
    if adapter is None:
        return diverged(job, "its weights are no longer finite")
    return Update(adapter, len(job.samples), loss_before=epochs[0], loss_after=epochs[-1], fraction=1.0)


def _some_steps(kind: Kind, works: list[Work]) -> None:
    """As many steps as all of them have left, and not too many to look at the losses between."""
    generators = _generators(works)
    before = [g.get_state() for g in generators]
    try:
        flat, losses = _stepped(kind, works)
    except (MemoryError, RuntimeError):
        _reset(generators, before)
        raise
    finally:
        release(kind.upper)
    if losses:
        scattered(works, flat, losses)
    else:
        _reset(generators, before)


def _stepped(kind: Kind, works: list[Work]) -> tuple[Flat, list[Tensor]]:
    """The works' states after some steps, and the losses (V,) of each; none where this size of chunk changes bits."""
    flat = gathered(works, kind.trained, kind.device)
    parameters = _parameters(kind, works, flat)
    put_in_place(kind.upper, parameters)
    losses: list[Tensor] = []
    count = min(LOOK_AFTER, *(w.left for w in works))
    for done in range(count):
        rows = [w.batches[w.done + done] for w in works]
        # At the last step, since new adapters have factors of zero, and then much is equal that need not be.
        looked_at = len(works) not in kind.proven and done == count - 1
        drawn = [g.get_state() for g in parameters.dropout.generators] if looked_at else []
        found = losses_and_gradients(kind.upper, parameters, _batch(kind, rows, works[0].batch_size))
        if looked_at:
            kind.proven[len(works)] = _same_alone(kind, works, parameters, rows, drawn)
            if not kind.proven[len(works)]:
                return flat, []
        step(flat, works[0].job.recipe)
        losses.append(found)
    return flat, losses


def _generators(works: Sequence[Work]) -> list[torch.Generator]:
    """Of dropout; none where there is none."""
    return [w.generator for w in works if w.generator is not None]


def _reset(generators: Sequence[torch.Generator], before: Sequence[Tensor]) -> None:
    """Draws of dropout are taken back."""
    for generator, state in zip(generators, before, strict=True):
        generator.set_state(state)


def _parameters(kind: Kind, works: Sequence[Work], flat: Flat) -> Parameters:
    scales = [w.job.adapter.scale if w.job.adapter.rank else 1.0 for w in works]
    return Parameters(
        layout=works[0].layout,
        values=flat.values,
        gradients=flat.gradients,
        used=flat.values.to(kind.dtype),
        scale=torch.tensor(scales, dtype=kind.dtype, device=kind.device)[:, None, None],
        dropout=Dropout(works[0].job.dropout, _generators(works)),
    )


def _batch(kind: Kind, batches: list[IntArray], size: int) -> Batch:
    """The next batch of each work, filled up where samples have one shape, so that every batch has the same."""
    rows, counts = filled(batches, size if kind.source.alike else len(batches[0]))
    labels = kind.labels[rows]
    real = np.arange(rows.shape[1]) < np.array(counts)[:, None]
    weights = kind.class_weights[labels] * real / np.array(counts)[:, None]
    states, beside = kind.source(rows.ravel(), kind.dtype)
    return Batch(
        states,
        beside,
        torch.from_numpy(labels).to(kind.device),
        torch.from_numpy(weights).to(kind.device, kind.trained),
        counts,
    )


def _same_alone(
    kind: Kind, works: list[Work], together: Parameters, rows: list[IntArray], before: list[Tensor]
) -> bool:
    """Whether the first and the last vehicle of a chunk have the very gradient that they have alone."""
    if kind.device.type != "cpu":
        return True
    for place in (0, len(works) - 1):
        own = _generators([works[place]])
        after = [g.get_state() for g in own]
        _reset(own, before[place : place + 1])
        flat = gathered([works[place]], kind.trained, kind.device)
        flat.values.copy_(together.values[place])
        alone = _parameters(kind, [works[place]], flat)
        put_in_place(kind.upper, alone)
        losses_and_gradients(kind.upper, alone, _batch(kind, [rows[place]], works[place].batch_size))
        _reset(own, after)
        if not torch.equal(alone.gradients[0], together.gradients[place]):
            return False
    put_in_place(kind.upper, together)
    return True
