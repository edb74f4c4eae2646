"""Adapters become figures: merged into the weights, and nothing worked out that the last question has worked out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import Adapter, Evaluation, FloatArray, Head, IntArray, Metrics, Tuning
from iovsim.errors import TrainingError
from iovsim.learning import lora
from iovsim.learning.adapter import HEAD, adapted_layers, head_of
from iovsim.learning.backbones.backbone import Inputs
from iovsim.learning.batched.models import Models
from iovsim.learning.evaluate import evaluation, logits, mean_evaluation, mean_metrics, metrics
from iovsim.learning.lora import PREFIX
from iovsim.learning.precision import computed, trained
from iovsim.learning.prepared import Prepared

BATCH = 64
"""Samples at once."""

ONE_TOKEN_BATCH = 256
"""The same where the last block alone is worked out, for one token."""


class Evaluator:
    """Evaluates the adapters of the tasks that `prepared` knows by name."""

    def __init__(self, prepared: Callable[[str], Prepared], models: Models) -> None:
        self._prepared = prepared
        self._models = models
        self._last: dict[tuple[str, str], tuple[bytes, Tensor]] = {}

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

    def _features(self, task: str, adapter: Adapter, name: str, inputs: Inputs, rows: IntArray) -> Tensor:
        """Features (n, width) of the samples at `rows`; those of the last adapter and rows are kept."""
        asked = _digest(adapter, rows)
        if self._last.get((task, name), (b"",))[0] != asked:
            with torch.no_grad():
                self._last[task, name] = asked, self._worked_out(task, adapter, inputs, rows)
        return self._last[task, name][1]

    def _worked_out(self, task: str, adapter: Adapter, inputs: Inputs, rows: IntArray) -> Tensor:
        learning = self._prepared(task).learning
        if adapter.tuning is Tuning.FULL:
            cut = None
            upper = self._models.own(lora.merged(learning.backbone, learning.task.classes, adapter).trunk)
        else:
            adapted = [layer.removeprefix(f"{PREFIX}trunk.") for layer in adapted_layers(adapter)]
            cut = self._models.cut(learning.backbone, adapted, dropout=0.0)
            upper = self._models.merged(learning.backbone, cut, inputs, adapter)
        source = self._models.source(learning.backbone, cut, inputs)
        batch = ONE_TOKEN_BATCH if cut is not None and cut.readout else BATCH
        order = np.argsort(source.lengths[rows], kind="stable")
        dtype = computed(self._models.precision)
        parts = [upper.features(*source(rows[order[k : k + batch]], dtype)) for k in range(0, len(rows), batch)]
        joined = torch.cat(parts).to("cpu", trained(self._models.precision))
        back = torch.empty_like(joined)
        back[torch.from_numpy(order)] = joined
        return back


def _digest(adapter: Adapter, rows: IntArray) -> bytes:
    """Of all that features depend on: the adapter without its head, and the samples."""
    digest = hashlib.blake2b(rows.tobytes(), digest_size=16)
    digest.update(repr((adapter.rank, adapter.alpha, adapter.scaling, adapter.tuning)).encode())
    for name, array in adapter.tensors.items():
        if not name.startswith(HEAD):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
