"""Who is trained beside whom changes no bit of any update, in single precision on a processor."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import LoraRule, TrainJob
from iovsim.learning.batched import chunk
from iovsim.learning.batched.kind import Kind
from iovsim.learning.batched.trainer import BatchedTrainer
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer
from tests.learning.batched.jobs import equal_bits, make_job, with_rule

VEHICLES = [(2, 27), (4, 16), (8, 40), (16, 5), (32, 27), (8, 1), (2, 33), (8, 24), (16, 17)]
"""Rank and samples of each."""


def _jobs(learning: LearningTask) -> list[TrainJob]:
    reference = PeftTrainer({"signs": learning})
    return [make_job(reference, k, rank=r, samples=n, epochs=2) for k, (r, n) in enumerate(VEHICLES)]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("top_blocks", [None, 2, 1])
@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(len(VEHICLES))), beside=st.integers(1, len(VEHICLES)))
def test_an_update_is_the_same_in_any_company(
    one_learning: LearningTask,
    dropout: float,
    top_blocks: int | None,
    order: list[int],
    beside: int,
) -> None:
    learning = with_rule(one_learning, LoraRule(16.0, dropout=dropout, top_blocks=top_blocks))
    jobs = _jobs(learning)
    chosen = order[:beside]
    together = BatchedTrainer({"signs": learning}).train([jobs[k] for k in chosen])
    first = BatchedTrainer({"signs": learning}).train([jobs[chosen[0]]])
    last = BatchedTrainer({"signs": learning}).train([jobs[chosen[-1]]])
    assert equal_bits(together[0], first[0])
    assert equal_bits(together[-1], last[0])


def test_a_size_of_chunk_that_changes_bits_is_not_used(learning: LearningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = _jobs(learning)
    alone = [BatchedTrainer({"signs": learning}).train([job])[0] for job in jobs]
    looked_at: list[int] = []

    def differ(_: Kind, together: chunk.Chunk, *__: object) -> bool:
        looked_at.append(len(together.works))
        return False

    monkeypatch.setattr(chunk, "_same_alone", differ)
    together = BatchedTrainer({"signs": learning}).train(jobs)
    assert looked_at
    assert min(looked_at) > 1
    assert all(equal_bits(a, b) for a, b in zip(together, alone, strict=True))


def test_results_can_be_asked_for_in_any_order(learning: LearningTask) -> None:
    jobs = _jobs(learning)[:4]
    trainer = BatchedTrainer({"signs": learning})
    handles = [trainer.submit(job) for job in jobs]
    late = [trainer.result(handle) for handle in reversed(handles)][::-1]
    assert all(equal_bits(a, b) for a, b in zip(late, trainer.train(jobs), strict=True))
