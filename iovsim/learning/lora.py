"""Turns adapters between numpy arrays and trainable models: of PEFT for LoRA, plain ones for the reference modes.

LoRA after Hu et al. (ICLR 2022): a frozen weight W gets the update `scale * B @ A`, the scale alpha / r, or
alpha / sqrt(r) as rsLoRA has it (Kalajdzievski 2023, arXiv:2312.03732). PEFT (Hugging Face) defines the names and the
initial law.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from iovsim.domain import Adapter, Float32Array, LoraRule, Scaling, Tuning
from iovsim.errors import TrainingError
from iovsim.learning.adapter import HEAD, adapted_layers, draw_a, factors
from iovsim.learning.backbones.backbone import Backbone, Classifier, classifier, head_tensors, layers, leave_out
from iovsim.rng import seed_of, stream

if TYPE_CHECKING:  # PEFT takes seconds to import, and only the reference trainer computes with it
    from peft import LoraConfig, PeftModel

PREFIX = "base_model.model."
"""What PEFT puts before the names of the model's own parameters."""


def lora_config(backbone: Backbone, rule: LoraRule, rank: int, left_out: Sequence[str] = ()) -> LoraConfig:
    """The rule at one rank for the layers of this backbone but those left out; the head is trained in full.

    Raises `TrainingError` where the backbone has no layers of the rule's roles, or fewer blocks than the rule adapts.
    """
    from peft import LoraConfig

    return LoraConfig(**lora_settings(backbone, rule, rank, left_out))


def lora_settings(backbone: Backbone, rule: LoraRule, rank: int, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """The arguments of `lora_config`, which are also what PEFT's file of an adapter says; raises the same."""
    names = layers(backbone.trunk, rule.targets, f"backbone {backbone.name}, lora", rule.top_blocks)
    return {
        "r": rank,
        "lora_alpha": rule.alpha,
        "target_modules": [f"trunk.{name}" for name in names if not name.startswith(tuple(f"{b}." for b in left_out))],
        "modules_to_save": ["head"],
        "lora_dropout": rule.dropout,
        "use_rslora": rule.scaling is Scaling.RSLORA,
        "bias": "none",
    }


def initial(
    backbone: Backbone, task: str, classes: int, rule: LoraRule, rank: int, seed: int, tuning: Tuning = Tuning.LORA
) -> Adapter:
    """What every policy starts from: A drawn from the stream of its layer's name, B = 0, and a head.

    Without adapters the rank is 0; `Tuning.FULL` takes the backbone's own weights along.
    """
    tensors: dict[str, Float32Array] = {}
    match tuning:
        case Tuning.LORA:
            adapted = layers(backbone.trunk, rule.targets, f"backbone {backbone.name}, lora", rule.top_blocks)
            for name, layer in adapted.items():
                key = f"{PREFIX}trunk.{name}"
                rng = stream(seed, "lora", task, key)
                tensors[f"{key}.lora_A.weight"] = draw_a(rank, layer.in_features, rng)
                tensors[f"{key}.lora_B.weight"] = np.zeros((layer.out_features, rank), dtype=np.float32)
        case Tuning.FULL:
            for name, parameter in backbone.trunk.named_parameters():
                tensors[f"{PREFIX}trunk.{name}"] = parameter.detach().float().numpy().copy()
        case Tuning.HEAD:
            pass
    for name, array in head_tensors(backbone.width, classes, seed_of(seed, "lora", task)).items():
        tensors[f"{HEAD}{name}"] = array
    return Adapter(rank if tuning is Tuning.LORA else 0, rule.alpha, tensors, rule.scaling, tuning)


def peft_model(backbone: Backbone, classes: int, rule: LoraRule, rank: int, left_out: Sequence[str] = ()) -> PeftModel:
    """The backbone with empty LoRA layers of this rank, to be filled by `load_into`; it shares the frozen weights.

    The blocks of these names (within the trunk) are left out.
    """
    from peft import get_peft_model

    whole = classifier(backbone, classes)
    leave_out(whole.trunk, left_out)
    model = get_peft_model(whole, lora_config(backbone, rule, rank, left_out))
    _drop_only_in_adapters(model)
    return model


def reference_model(backbone: Backbone, classes: int, tuning: Tuning) -> Classifier:
    """A classifier to train without adapters: its head alone, or with `Tuning.FULL` a copy of everything."""
    model = classifier(backbone, classes)
    if tuning is Tuning.FULL:
        model.trunk = copy.deepcopy(backbone.trunk).requires_grad_(True)
    return model


def load_into(model: nn.Module, adapter: Adapter) -> None:
    """Sets the adapter's tensors in a model built for it. Raises `TrainingError` where names or shapes differ."""
    from peft import PeftModel, set_peft_model_state_dict

    state = {name: torch.from_numpy(array.copy()) for name, array in adapter.tensors.items()}
    wanted = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    try:
        if isinstance(model, PeftModel):
            outcome: Any = set_peft_model_state_dict(model, state)
            missing = [n for n in outcome.missing_keys if ".lora_" in n or ".modules_to_save." in n]
        else:
            plain = {name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
            outcome = model.load_state_dict(plain, strict=False)
            missing = [n for n in outcome.missing_keys if n in wanted]
    except RuntimeError as error:
        raise TrainingError(f"adapter of rank {adapter.rank}: does not fit the model ({error}).") from error
    if missing or outcome.unexpected_keys:
        raise TrainingError(
            f"adapter of rank {adapter.rank}: does not fit the model; missing {missing}, unknown "
            f"{list(outcome.unexpected_keys)}."
        )


def merge_base(model: nn.Module, backbone: Backbone, base: Adapter | None, layers_of: Adapter) -> None:
    """Puts `W + scale * B @ A` of `base` in the place of the frozen weights W of the layers that `layers_of` has.

    Without a base they are the backbone's own again.
    """
    for layer in adapted_layers(layers_of):
        weight = backbone.trunk.get_parameter(f"{layer.removeprefix(f'{PREFIX}trunk.')}.weight")
        if base is not None:
            left, right = factors(base, layer)
            merged = weight.detach().double() + torch.from_numpy(left @ right)
            weight = nn.Parameter(merged.to(weight.dtype), requires_grad=False)
        model.get_submodule(layer).get_submodule("base_layer").weight = weight


def factors_of(model: nn.Module) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """A and B of every adapted layer of a PEFT model."""
    named = dict(model.named_parameters())
    return [(a, named[name.replace(".lora_A.", ".lora_B.")]) for name, a in named.items() if ".lora_A." in name]


def taken_from(model: nn.Module, like: Adapter) -> Adapter:
    """A copy of what was trained, as an adapter like the one that the model was filled with."""
    from peft import PeftModel, get_peft_model_state_dict

    if isinstance(model, PeftModel):
        state: Mapping[str, torch.Tensor] = get_peft_model_state_dict(
            model,
            save_embedding_layers=False,  # else it looks for the base model on the net
        )
    else:
        state = {f"{PREFIX}{name}": p for name, p in model.named_parameters() if p.requires_grad}
    tensors = {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}
    return Adapter(like.rank, like.alpha, tensors, like.scaling, like.tuning)


def merged(backbone: Backbone, classes: int, adapter: Adapter) -> Classifier:
    """A frozen classifier with `W + scale * B @ A` in its weights; the weights that nothing changes are shared.

    Any rank will do, so evaluation needs no PEFT model of the global adapter's rank, which changes from merge to merge.
    """
    model = classifier(backbone, classes)
    changed = {name.removeprefix(PREFIX): a for name, a in adapter.tensors.items() if ".lora_" not in name}
    for layer in adapted_layers(adapter):
        left, right = factors(adapter, layer)
        name = f"{layer.removeprefix(PREFIX)}.weight"
        changed[name] = model.get_parameter(name).detach().numpy() + (left @ right).astype(np.float32)
    for name, array in changed.items():
        module, _, parameter = name.rpartition(".")
        # A new parameter instead of new values: the old one belongs to the backbone.
        fresh = nn.Parameter(torch.from_numpy(np.ascontiguousarray(array)), requires_grad=False)
        setattr(model.get_submodule(module), parameter, fresh)
    return model


def _drop_only_in_adapters(model: PeftModel) -> None:
    """The frozen base runs as in evaluation, so that its features are constants of a sample; only adapters drop out."""
    model.eval()
    for name, module in model.named_modules():
        if ".lora_dropout" in name:
            module.train()
