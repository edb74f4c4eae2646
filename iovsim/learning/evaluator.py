"""A trainer's features of samples become the figures that `domain.Trainer` promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import Adapter, Evaluation, FloatArray, Head, IntArray, Metrics
from iovsim.errors import TrainingError
from iovsim.learning.adapter import head_of
from iovsim.learning.backbones.backbone import Inputs
from iovsim.learning.evaluate import evaluation, logits, mean_evaluation, mean_metrics, metrics
from iovsim.learning.prepared import Prepared

Features = Callable[[str, Adapter, str, Inputs, IntArray], Tensor]
"""Task, adapter, name of the set ("test", "validation", "pool"), the set and rows of it -> features (n, width)."""


class Evaluator:
    """Evaluates the adapters of the tasks that `prepared` knows by name, in the same way for every trainer."""

    def __init__(self, prepared: Callable[[str], Prepared], features: Features) -> None:
        self._prepared = prepared
        self._features = features

    def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
        """On the task's held-out set; with heads, the mean over them."""
        prepared = self._prepared(task)
        answers = self._logits(task, adapter, "test", prepared.test, heads)
        return mean_evaluation([evaluation(a, prepared.learning.data.test) for a in answers])

    def validate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Metrics:
        """On the task's validation samples."""
        prepared = self._prepared(task)
        labels = prepared.learning.validation.labels
        answers = self._logits(task, adapter, "validation", prepared.validation, heads)
        return mean_metrics([metrics(a, labels) for a in answers])

    def evaluate_shards(
        self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]
    ) -> list[Metrics]:
        """On sets of training-pool indices, none empty; a sample that several sets share is looked at once."""
        if not shards:
            return []
        empty = [k for k, shard in enumerate(shards) if not len(shard)]
        if empty:
            raise TrainingError(f"task {task!r}: evaluation set {empty[0]} is empty; raise the shards' test_fraction.")
        prepared = self._prepared(task)
        labels = prepared.learning.data.train.labels
        looked_at, back = np.unique(np.concatenate(shards), return_inverse=True)
        seen = self._features(task, adapter, "pool", prepared.pool, looked_at)
        rows = np.split(back, np.cumsum([len(shard) for shard in shards])[:-1])
        return [
            metrics(logits(seen[torch.from_numpy(row)], head_of(adapter) if head is None else head), labels[shard])
            for row, shard, head in zip(rows, shards, heads, strict=True)
        ]

    def _logits(
        self, task: str, adapter: Adapter, name: str, inputs: Inputs, heads: Sequence[Head]
    ) -> Iterator[FloatArray]:
        """Logits (n, classes) by each head, or by the adapter's own if none is given."""
        seen = self._features(task, adapter, name, inputs, np.arange(len(inputs.lengths)))
        return (logits(seen, head) for head in heads or (head_of(adapter),))
