"""Adapters become features of samples: merged into the weights, and nothing worked out that was just worked out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from iovsim.domain import Adapter, IntArray, Tuning
from iovsim.learning import lora
from iovsim.learning.adapter import HEAD, adapted_layers
from iovsim.learning.backbones.backbone import Inputs
from iovsim.learning.batched.models import Models
from iovsim.learning.lora import PREFIX
from iovsim.learning.precision import computed, trained
from iovsim.learning.prepared import Prepared

BATCH = 128
"""Samples at once, on a processor."""

ONE_TOKEN_BYTES = 2048
"""The same where the last block alone is worked out, for one token: over the bytes of a number."""

GPU_BYTES = 2**27
"""On a GPU: of the states of the samples at once."""


class MergedFeatures:
    """Features by merged adapters, of the tasks that `prepared` knows by name; those last asked for are kept."""

    def __init__(self, prepared: Callable[[str], Prepared], models: Models) -> None:
        self._prepared = prepared
        self._models = models
        self._last: dict[tuple[str, str], tuple[bytes, Tensor]] = {}

    def __call__(self, task: str, adapter: Adapter, name: str, inputs: Inputs, rows: IntArray) -> Tensor:
        """Features (n, width) of the samples at `rows`; those of the last adapter and rows are kept."""
        asked = _digest(adapter, rows)
        if self._last.get((task, name), (b"",))[0] != asked:
            with torch.inference_mode():
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
        source.work_out(rows)
        order = np.argsort(source.lengths[rows], kind="stable")
        sorted_rows = torch.from_numpy(rows[order]).to(self._models.device)
        dtype = computed(self._models.precision)
        batch = ONE_TOKEN_BYTES // dtype.itemsize if cut is not None and cut.one_token else BATCH
        if self._models.on_gpu:
            batch = max(1, GPU_BYTES // (source.computed * dtype.itemsize))
        parts = [upper.features(*source(part, dtype)) for part in torch.split(sorted_rows, batch)]
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
