"""A backbone becomes the architecture that it is charged as: parameters, FLOPs and memory, measured on one sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from iovsim.domain import Architecture, LoraRule
from iovsim.learning.backbone import Backbone, layers
from iovsim.learning.lora import peft_model
from iovsim.learning.samples import Pictures, Texts

LOOKED_AT = 1000
"""Samples whose lengths are averaged."""

PARAMETER_BITS = 32


def footprint(backbone: Backbone, inputs: Pictures | Texts, targets: Sequence[str], classes: int) -> Architecture:
    """What training this backbone costs with LoRA on the layers of the roles `targets` and a head for `classes`.

    Measured in single precision on the sample of `inputs` whose length is nearest above the mean (of 1000 spread evenly
    over them). FLOPs are torch's count of matrix products, convolutions and attention, 2 for a multiply-accumulate.
    `tokens` is the mean over the adapted layers, weighted by their parameters: layers need not see equally many.
    Raises `TrainingError` where the backbone cannot take the inputs or has no such layers.
    """
    sample = _sample(backbone, inputs)
    adapted = layers(backbone.trunk, targets, f"backbone {backbone.name}, targets")
    rows, flops = _rows_and_flops(backbone.trunk, list(adapted.values()), sample)
    widths = tuple((layer.in_features, layer.out_features) for layer in adapted.values())
    sizes = np.array([inputs + outputs for inputs, outputs in widths])
    model = peft_model(backbone, classes, LoraRule(alpha=1.0, targets=tuple(targets)), rank=1)
    trained = {name: p.detach().requires_grad_() for name, p in backbone.trunk.named_parameters()}
    # What rank 1 keeps inside the adapters is charged by rank, on top.
    inside = sum(rows) * PARAMETER_BITS
    return Architecture(
        name=backbone.name,
        forward_flops=float(flops),
        tokens=round(float(np.average(rows, weights=sizes))),
        widths=widths,
        base_parameters=sum(parameter.numel() for parameter in backbone.trunk.parameters()),
        activation_bits=_kept_bits(lambda: model(*sample), model) - inside,
        full_activation_bits=_kept_bits(lambda: functional_call(backbone.trunk, trained, sample), backbone.trunk),
        parameter_bits=PARAMETER_BITS,
        head_parameters=(backbone.width + 1) * classes,
    )


def _sample(backbone: Backbone, inputs: Pictures | Texts) -> tuple[Tensor, ...]:
    prepared = backbone.prepare(inputs[:: max(1, len(inputs) // LOOKED_AT)])
    lengths = prepared.lengths
    above = np.where(lengths >= lengths.mean(), lengths, lengths.max())
    return prepared.batch(np.array([int(above.argmin())]))


def _rows_and_flops(
    trunk: nn.Module, adapted: Sequence[nn.Linear], sample: tuple[Tensor, ...]
) -> tuple[list[int], int]:
    """How many rows each layer multiplies for one sample, and the FLOPs of the whole forward pass."""
    rows = [0] * len(adapted)

    def counter(place: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def count(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            rows[place] += arguments[0].shape[:-1].numel()

        return count

    hooks = [layer.register_forward_pre_hook(counter(place)) for place, layer in enumerate(adapted)]
    try:
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as flops:
            trunk(*sample)
    finally:
        for hook in hooks:
            hook.remove()
    return rows, flops.get_total_flops()


def _kept_bits(forward: Callable[[], Tensor], model: nn.Module) -> float:
    """Bits that a forward pass keeps for the backward pass, parameters and buffers aside, each storage counted once."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}  # held on to, so that no address is given out twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return 8.0 * sum(storage.nbytes() for storage in kept.values())


def _cpu_attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    flops: int = sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]
    return flops


_UNCOUNTED = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention_flops}
"""torch's counter knows the fused attention of GPUs alone."""
