"""Work of one kind becomes finished adapters: a chunk of jobs trains together, and where one is done the next joins.

On a processor, a step of each new composition of a chunk is worked out again for its outer vehicles alone; where any
bit differs, chunks of that size are not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iovsim.domain import Failure, Update
from iovsim.learning.adapter import adapted_layers
from iovsim.learning.batched.flat import Flat, begun, beside
from iovsim.learning.batched.kind import Kind
from iovsim.learning.batched.many import Dropout
from iovsim.learning.batched.model import Heads, Parameters, losses_and_gradients, put_in_place, release
from iovsim.learning.batched.optimise import step
from iovsim.learning.batched.upcoming import Part, Upcoming, upcoming_of
from iovsim.learning.batched.work import Work
from iovsim.learning.failures import diverged, no_memory, out_of_memory
from iovsim.learning.pruning import add_gradient, kept_rank, pruned

LOOK_AFTER = 64
"""Steps after which losses are looked at, so that a diverged job does not go on for long."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Jobs in training and their parameters; those of one part lie beside each other."""

    works: Sequence[Work]
    flat: Flat

    def parts(self) -> tuple[Part, ...]:
        starts = [k for k, work in enumerate(self.works) if k == 0 or work.group() != self.works[k - 1].group()]
        ends = [*starts[1:], len(self.works)]
        return tuple(Part(slice(a, b), self.works[a:b]) for a, b in zip(starts, ends, strict=True))


def train_alike(kind: Kind, works: Sequence[Work]) -> list[Update | Failure]:
    """Their outcomes, in their order. Long jobs begin first, so that none is left over alone."""
    outcomes: dict[Work, Update | Failure] = {}
    waiting = sorted(works, key=lambda work: -work.left)
    chunk: Chunk | None = None
    while waiting or chunk is not None:
        running = len(chunk.works) if chunk is not None else 0
        size = kind.size(running + len(waiting))
        if chunk is not None and size < running:
            waiting = _anew(chunk.works[size:]) + waiting
            chunk = _kept(chunk, range(size))
        new, waiting = waiting[: max(size - running, 0)], waiting[max(size - running, 0) :]
        together = [*(chunk.works if chunk is not None else ()), *new]
        chunk = _some_steps(kind, chunk, new)
        if chunk is not None:
            outcomes |= {work: found for k, work in enumerate(chunk.works) if (found := _outcome(work, chunk, k))}
            chunk = _kept(chunk, [k for k, work in enumerate(chunk.works) if work not in outcomes])
        elif len(together) == 1:
            outcomes[together[0]] = no_memory(together[0].job)
        else:
            waiting = _anew(together) + waiting
    return [outcomes[work] for work in works]


def _anew(works: Sequence[Work]) -> list[Work]:
    for work in works:
        work.begin_anew()
    return list(works)


def _topped_up(kind: Kind, chunk: Chunk | None, new: Sequence[Work]) -> Chunk:
    """The chunk with more jobs, those of one part beside each other and, there, those that are equally far."""
    if not new and chunk is not None:
        return chunk
    works = [*(chunk.works if chunk is not None else ()), *new]
    adapters, layouts = [w.job.adapter.tensors for w in new], [w.layout for w in new]
    flat = begun(adapters, layouts, kind.trained, kind.device)
    if chunk is not None:
        flat = beside(chunk.flat, flat)
    groups = {group: number for number, group in enumerate(dict.fromkeys(work.group() for work in works))}
    order = sorted(range(len(works)), key=lambda k: (groups[works[k].group()], works[k].done, k))
    if order != list(range(len(works))):
        flat = flat.picked(order)
    return Chunk([works[k] for k in order], flat)


def _kept(chunk: Chunk, rows: Sequence[int]) -> Chunk | None:
    """What is left where only these vehicles go on; None: nobody does."""
    if len(rows) == len(chunk.works):
        return chunk
    return Chunk([chunk.works[k] for k in rows], chunk.flat.picked(rows)) if rows else None


def _outcome(work: Work, chunk: Chunk, row: int) -> Update | Failure | None:
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
    adapter = work.adapter(chunk.flat.values[row].cpu().numpy())
    if adapter is None:
        return diverged(job, "its weights are no longer finite")
    if job.pruning is not None:
        adapter = pruned(job.adapter, adapter, job.pruning)
    return Update(adapter, len(job.samples), epochs[0], epochs[-1], len(work.batches) / job.planned_steps)


def _some_steps(kind: Kind, chunk: Chunk | None, new: Sequence[Work]) -> Chunk | None:
    """The chunk with more jobs, after as many steps as all have left, and not too many to look at the losses between.

    None where it has to be given up, since memory does not suffice or bits would change; `kind` then knows.
    """
    try:
        chunk = _topped_up(kind, chunk, new)
        losses = _stepped(kind, chunk)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        count = len(new) if chunk is None else len(chunk.works)
        if count > 1:
            kind.proven.update(dict.fromkeys(range(count // 2 + 1, kind.most + 1), False))
        return None
    finally:
        release(kind.upper)
    if losses is None:
        return None
    for work, found in zip(chunk.works, torch.stack(losses).cpu().T.tolist(), strict=True):
        work.losses += found
    return chunk


def _stepped(kind: Kind, chunk: Chunk) -> list[Tensor] | None:
    """The losses (V,) of each step; None where this size of chunk changes bits."""
    parts = chunk.parts()
    count = min(LOOK_AFTER, *(work.left for work in chunk.works))
    parameters = _parameters(kind, chunk.works, parts, chunk.flat)
    put_in_place(kind.upper, parameters)
    upcoming = upcoming_of(kind, parts, count)
    losses: list[Tensor] = []
    for done in range(count):
        batch = upcoming.batch(kind, done)
        # At the last step, since new adapters have factors of zero, and then much is equal that need not be.
        looked_at = done == count - 1 and not _is_proven(kind, parts)
        drawn = [g.get_state() for g in parameters.dropout.generators] if looked_at else []
        losses.append(losses_and_gradients(kind.upper, parameters, batch))
        if looked_at:
            if not _same_alone(kind, chunk, upcoming, done, drawn):
                kind.proven[len(chunk.works)] = False
                return None
            put_in_place(kind.upper, parameters)
            kind.proven.update(dict.fromkeys(_sizes(parts), True))
        for part in parts:
            _penalise(chunk.flat.part(part.rows), part.works)
            steps = [work.done + done for work in part.works]
            first = part.works[0]
            step(chunk.flat.part(part.rows), steps, first.layout.length, first.job.recipe)
    return losses


def _penalise(flat: Flat, works: Sequence[Work]) -> None:
    """Adds the gradient of the regulariser with which one part's clients give up ranks, where they do."""
    pruning = works[0].job.pruning
    if pruning is None:
        return
    view, adapters = works[0].layout.view, [work.job.adapter for work in works]
    keep = torch.tensor([kept_rank(adapter.rank, pruning) for adapter in adapters], device=flat.values.device)
    for layer in adapted_layers(adapters[0]):
        names = f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"
        a, b = (view(flat.values, name) for name in names)
        into_a, into_b = (view(flat.gradients, name) for name in names)
        add_gradient(pruning.penalty, keep, a, b, into_a, into_b)


def _parameters(kind: Kind, works: Sequence[Work], parts: Sequence[Part], flat: Flat) -> Parameters:
    scales = [w.job.adapter.scale if w.job.adapter.rank else 1.0 for w in works]
    return Parameters(
        heads=tuple(Heads(part.rows, part.works[0].layout) for part in parts),
        values=flat.values,
        gradients=flat.gradients,
        used=flat.values.to(kind.dtype),
        scale=torch.tensor(scales, dtype=kind.dtype, device=kind.device)[:, None, None],
        dropout=Dropout(works[0].job.dropout, [w.generator for w in works if w.generator is not None]),
    )


def _sizes(parts: Sequence[Part]) -> list[object]:
    """What decides the shapes of all products: how many vehicles there are, and how many of each task."""
    return [parts[-1].rows.stop, *((part.task, len(part.works)) for part in parts)]


def _is_proven(kind: Kind, parts: Sequence[Part]) -> bool:
    if not kind.exact or parts[-1].rows.stop == 1:
        return True
    return all(size in kind.proven for size in _sizes(parts))


def _same_alone(kind: Kind, chunk: Chunk, upcoming: Upcoming, step: int, drawn: Sequence[Tensor]) -> bool:
    """Whether the outer vehicles of each part have the very gradient that they have alone, in this step.

    `drawn` are the states of the generators of dropout before it.
    """
    for number, part in enumerate(upcoming.parts):
        for row in {part.rows.start, part.rows.stop - 1}:
            work, own = chunk.works[row], upcoming.alone(number, row)
            flat = begun([work.job.adapter.tensors], [work.layout], kind.trained, kind.device)
            flat.values.copy_(chunk.flat.values[row : row + 1, : work.layout.length])
            alone = _parameters(kind, [work], own.parts, flat)
            put_in_place(kind.upper, alone)
            generators = alone.dropout.generators
            after = [generator.get_state() for generator in generators]
            _set_states(generators, drawn[row : row + 1])
            losses_and_gradients(kind.upper, alone, own.batch(kind, step))
            _set_states(generators, after)
            if not torch.equal(flat.gradients[0], chunk.flat.gradients[row, : work.layout.length]):
                return False
    return True


def _set_states(generators: Sequence[torch.Generator], states: Sequence[Tensor]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
