"""Turns LoRA adapters between the three forms they take: numpy arrays, a PEFT model's state, and a PEFT folder.

LoRA after Hu et al. (ICLR 2022): a frozen weight W gets the update `alpha / rank * B @ A`. PEFT (Hugging Face) defines
the names, the initial law and the file format.
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from iovsim.domain import Adapter, Float32Array
from iovsim.errors import TrainingError
from iovsim.learning.adapter import adapted_layers, draw_a, factors, head_names
from iovsim.learning.roadvit import DEPTH, WIDTH, RoadViT, build, head_tensors
from iovsim.rng import seed_of, stream

TARGETS = ("query", "value")
PREFIX = "base_model.model."
TENSORS_FILE = "adapter_model.safetensors"  # PEFT's names
CONFIG_FILE = "adapter_config.json"


def lora_config(rank: int, alpha: float) -> LoraConfig:
    """LoRA without dropout on every query and value layer; the head is trained in full."""
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT names it an int, but only divides it
        target_modules=list(TARGETS),
        modules_to_save=["head"],
        lora_dropout=0.0,
        bias="none",
    )


def layer_names() -> list[str]:
    """The adapted layers under PEFT's names, first block first."""
    return [f"{PREFIX}blocks.{k}.attention.{target}" for k in range(DEPTH) for target in TARGETS]


def initial(task: str, classes: int, rank: int, alpha: float, seed: int) -> Adapter:
    """A new adapter: A drawn from the stream of its layer's name, B = 0, and a head; the same for every policy."""
    tensors: dict[str, Float32Array] = {}
    for layer in layer_names():
        tensors[f"{layer}.lora_A.weight"] = draw_a(rank, WIDTH, stream(seed, "lora", task, layer))
        tensors[f"{layer}.lora_B.weight"] = np.zeros((WIDTH, rank), dtype=np.float32)
    for name, array in head_tensors(classes, seed_of(seed, "lora", task)).items():
        tensors[f"{PREFIX}head.{name}"] = array
    return Adapter(rank=rank, alpha=alpha, tensors=tensors)


def peft_model(classes: int, rank: int, alpha: float) -> PeftModel:
    """RoadViT with empty LoRA layers of this rank, to be filled by `load_into`."""
    return get_peft_model(build(classes, seed=0), lora_config(rank, alpha))


def load_into(model: PeftModel, adapter: Adapter) -> None:
    """Sets a PEFT model's adapter and head. Raises `TrainingError` where names or shapes differ."""
    state = {name: torch.from_numpy(array.copy()) for name, array in adapter.tensors.items()}
    try:
        outcome: Any = set_peft_model_state_dict(model, state)
    except RuntimeError as error:
        raise TrainingError(f"adapter of rank {adapter.rank}: does not fit the model ({error}).") from error
    missing = [name for name in outcome.missing_keys if ".lora_" in name or ".modules_to_save." in name]
    if missing or outcome.unexpected_keys:
        raise TrainingError(
            f"adapter: missing {missing}, unexpected {list(outcome.unexpected_keys)}; names are PEFT's."
        )


def merged(base: RoadViT, adapter: Adapter) -> RoadViT:
    """A copy of `base` with the adapter's update added to its weights: the same function at the base's own cost.

    Any rank will do, so evaluation needs no PEFT model of the global adapter's rank, which changes from merge to merge.
    """
    model = copy.deepcopy(base)
    with torch.no_grad():
        for layer in adapted_layers(adapter):
            left, right = factors(adapter, layer)
            weight = model.get_submodule(layer.removeprefix(PREFIX)).weight
            assert isinstance(weight, torch.Tensor)
            weight += torch.from_numpy(left @ right).float()
        head = {name.removeprefix(f"{PREFIX}head."): adapter.tensors[name] for name in head_names(adapter)}
        model.head.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in head.items()})
    return model


def taken_from(model: PeftModel, rank: int, alpha: float) -> Adapter:
    """A copy of a PEFT model's adapter and head, under the names of `get_peft_model_state_dict`."""
    state: Mapping[str, torch.Tensor] = get_peft_model_state_dict(model)
    return Adapter(rank, alpha, {name: tensor.detach().float().numpy().copy() for name, tensor in state.items()})


def save_peft(adapter: Adapter, folder: Path) -> None:
    """Writes a folder that `PeftModel.from_pretrained(roadvit.build(...), folder)` reads; whole or not at all.

    The two files are written to a temporary folder beside it first. An existing adapter folder is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as unfinished:
        config = lora_config(adapter.rank, adapter.alpha)
        config.inference_mode = True
        config.save_pretrained(unfinished)
        save_tensors(adapter, Path(unfinished) / TENSORS_FILE)
        folder.mkdir(exist_ok=True)
        for name in (CONFIG_FILE, TENSORS_FILE):
            (Path(unfinished) / name).replace(folder / name)


def save_tensors(adapter: Adapter, path: Path) -> None:
    """Writes one safetensors file with rank and alpha in its metadata; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    # One key: the order of several would change from process to process, and equal adapters must have equal bytes.
    facts = {"adapter": json.dumps({"alpha": adapter.alpha, "rank": adapter.rank})}
    unfinished.write_bytes(save({name: np.ascontiguousarray(a) for name, a in adapter.tensors.items()}, facts))
    unfinished.replace(path)


def load_tensors(path: Path) -> Adapter:
    """Reads what `save_tensors` wrote. Raises `TrainingError` where the file is missing, damaged or no adapter."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["adapter"])
        tensors = load_file(path)
        return Adapter(int(facts["rank"]), float(facts["alpha"]), tensors)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrainingError(f"{path}: not an adapter that iovsim wrote ({error!r}); write it again.") from error
