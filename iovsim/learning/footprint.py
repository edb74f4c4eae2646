"""A backbone becomes the architecture that it is charged as: its parameters, FLOPs and memory, measured on samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from iovsim.domain import Architecture, IntArray, LoraRule
from iovsim.learning.backbones.backbone import Backbone, adapted_blocks, layers, lowest_adapted
from iovsim.learning.data.samples import Pictures, Texts
from iovsim.learning.lora import peft_model

LOOKED_AT = 1000
"""Samples whose lengths are looked at."""

LONG = 0.99
"""Part of the samples that are no longer than a long one."""

PARAMETER_BITS = 32


def footprint(backbone: Backbone, inputs: Pictures | Texts, rule: LoraRule, classes: int) -> Architecture:
    """What training this backbone costs with LoRA by this rule and a head for `classes`.

    Measured in single precision, FLOPs on a usual sample of `inputs` and memory on a long one (see `usual_and_long`).
    FLOPs are torch's count of matrix products, convolutions and attention, 2 for a multiply-accumulate. Numbers of
    tokens are means over the adapted layers, weighted by their parameters: layers need not see equally many. The
    backward pass is counted as the forward pass from the lowest adapted block on, or the whole where all are adapted.
    Raises `TrainingError` where the backbone cannot take the inputs, or lacks layers of the rule's roles or blocks.
    """
    prepared = backbone.prepare(_looked_at(inputs))
    usual, long = (prepared.batch(np.array([row])) for row in usual_and_long(prepared.lengths))
    adapted = list(layers(backbone.trunk, rule.targets, f"backbone {backbone.name}, lora", rule.top_blocks).values())
    widths = tuple((layer.in_features, layer.out_features) for layer in adapted)
    sizes = [inputs + outputs for inputs, outputs in widths]
    lowest = lowest_adapted(backbone.trunk, rule.top_blocks)
    blocks = adapted_blocks(backbone.trunk, rule.top_blocks)
    rows, flops, frozen_flops = _rows_and_flops(backbone.trunk, adapted, lowest, usual)
    long_rows, _, _ = _rows_and_flops(backbone.trunk, adapted, lowest, long)
    trained = {name: p.detach().requires_grad_() for name, p in backbone.trunk.named_parameters()}
    with torch.random.fork_rng(devices=[]):  # of new adapters and their dropout
        model = peft_model(backbone, classes, rule, rank=1)
        kept = _kept_bits(lambda: model(*long), model)
    return Architecture(
        name=backbone.name,
        forward_flops=float(flops),
        backward_flops=float(flops - frozen_flops),
        tokens=round(float(np.average(rows, weights=sizes))),
        long_tokens=round(float(np.average(long_rows, weights=sizes))),
        widths=widths,
        base_parameters=_parameters([backbone.trunk]),
        activation_bits=kept - sum(long_rows) * PARAMETER_BITS,  # what is inside the adapters is charged by rank
        full_activation_bits=_kept_bits(lambda: functional_call(backbone.trunk, trained, long), backbone.trunk),
        parameter_bits=PARAMETER_BITS,
        head_parameters=(backbone.width + 1) * classes,
        blocks=len(blocks),
        block_flops=_block_flops(backbone.trunk, blocks, usual),
        block_parameters=_parameters([backbone.trunk.get_submodule(name) for name in blocks]) // max(len(blocks), 1),
    )


def usual_and_long_tokens(backbone: Backbone, inputs: Pictures | Texts) -> tuple[int, int]:
    """Tokens of a usual sample and of a long one, as this backbone cuts texts up."""
    lengths = backbone.prepare(_looked_at(inputs)).lengths
    usual, long = usual_and_long(lengths)
    return int(lengths[usual]), int(lengths[long])


def usual_and_long(lengths: IntArray) -> tuple[int, int]:
    """Where among `lengths` (n,) the nearest above their mean stands, and the 99th percentile or nearest above."""
    too_short = np.iinfo(np.int64).max
    usual, long = (
        int(np.where(lengths >= least, lengths, too_short).argmin())
        for least in (lengths.mean(), np.quantile(lengths, LONG))
    )
    return usual, long


def _looked_at(inputs: Pictures | Texts) -> Pictures | Texts:
    """About 1000 samples, spread evenly."""
    return inputs[:: max(1, len(inputs) // LOOKED_AT)]


def _rows_and_flops(
    trunk: nn.Module, adapted: Sequence[nn.Linear], lowest: nn.Module, sample: tuple[Tensor, ...]
) -> tuple[list[int], int, int]:
    """How many rows each layer multiplies for one sample, and FLOPs: of the forward pass, and of it before `lowest`."""
    rows, before = [0] * len(adapted), list[int]()

    def counter(place: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def count(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            rows[place] += arguments[0].shape[:-1].numel()

        return count

    flops = FlopCounterMode(display=False, custom_mapping=_UNCOUNTED)
    hooks = [layer.register_forward_pre_hook(counter(place)) for place, layer in enumerate(adapted)]
    hooks.append(lowest.register_forward_pre_hook(lambda *_: before.append(flops.get_total_flops())))
    try:
        with torch.no_grad(), flops:
            trunk(*sample)
    finally:
        for hook in hooks:
            hook.remove()
    return rows, flops.get_total_flops(), before[0]


def _block_flops(trunk: nn.Module, blocks: Sequence[str], sample: tuple[Tensor, ...]) -> float:
    """FLOPs of the forward pass from the first to the last of the blocks, by their number."""
    if not blocks:
        return 0.0
    flops, seen = FlopCounterMode(display=False, custom_mapping=_UNCOUNTED), list[int]()
    first, last = (trunk.get_submodule(blocks[k]) for k in (0, -1))
    hooks = [
        first.register_forward_pre_hook(lambda *_: seen.append(flops.get_total_flops())),
        last.register_forward_hook(lambda *_: seen.append(flops.get_total_flops())),
    ]
    try:
        with torch.no_grad(), flops:
            trunk(*sample)
    finally:
        for hook in hooks:
            hook.remove()
    return (seen[-1] - seen[0]) / len(blocks)


def _parameters(modules: Sequence[nn.Module]) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


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
