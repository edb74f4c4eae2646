"""An adapter becomes a folder in PEFT's format or one safetensors file, and back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from iovsim.domain import Adapter, Head, LoraRule, Scaling, Tuning
from iovsim.errors import TrainingError
from iovsim.learning.adapter import HEAD
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.lora import PREFIX, lora_settings

CONFIG_FILE = "adapter_config.json"  # PEFT's names
TENSORS_FILE = "adapter_model.safetensors"
MODEL_FILE = "model.safetensors"


def save_adapter(adapter: Adapter, backbone: Backbone, rule: LoraRule, folder: Path) -> None:
    """Writes a folder that `PeftModel.from_pretrained(classifier(backbone, classes), folder)` reads.

    What was trained without adapters is one safetensors file under the names of `Classifier`'s own parameters. Files
    are written to a temporary folder beside it first, so each is whole or not there. An existing folder is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as unfinished:
        if adapter.tuning is Tuning.LORA:
            # Written without PEFT, which takes seconds to import; it fills in its defaults when it reads.
            config = lora_settings(backbone, rule, adapter.rank)
            config |= {"peft_type": "LORA", "inference_mode": True, "base_model_name_or_path": backbone.name}
            (Path(unfinished) / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
            save_tensors(adapter, Path(unfinished) / TENSORS_FILE)
        else:
            plain = {name.removeprefix(PREFIX): array for name, array in adapter.tensors.items()}
            save_tensors(replace(adapter, tensors=plain), Path(unfinished) / MODEL_FILE)
        folder.mkdir(exist_ok=True)
        for file in sorted(Path(unfinished).iterdir()):
            file.replace(folder / file.name)


def save_heads(heads: Mapping[str, Head], path: Path) -> None:
    """Writes the heads that stay in their vehicles into one safetensors file: `vehicle/weight`, `vehicle/bias`."""
    tensors = {
        f"{v}/{k.removeprefix(HEAD)}": np.ascontiguousarray(a) for v, head in heads.items() for k, a in head.items()
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(save(tensors))
    unfinished.replace(path)


def save_tensors(adapter: Adapter, path: Path) -> None:
    """Writes one safetensors file with its rank and rule in the metadata; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    # One key: the order of several would change from process to process, and equal adapters must have equal bytes.
    rule = {"alpha": adapter.alpha, "rank": adapter.rank, "scaling": adapter.scaling, "tuning": adapter.tuning}
    facts = {"adapter": json.dumps(rule, sort_keys=True)}
    unfinished.write_bytes(save({name: np.ascontiguousarray(a) for name, a in adapter.tensors.items()}, facts))
    unfinished.replace(path)


def load_tensors(path: Path) -> Adapter:
    """Reads what `save_tensors` wrote. Raises `TrainingError` where the file is missing, damaged or no adapter."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["adapter"])
        tensors = load_file(path)
        scaling, tuning = Scaling(facts["scaling"]), Tuning(facts["tuning"])
        if tuning is not Tuning.LORA:
            tensors = {f"{PREFIX}{name.removeprefix(PREFIX)}": array for name, array in tensors.items()}
        return Adapter(int(facts["rank"]), float(facts["alpha"]), tensors, scaling, tuning)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrainingError(f"{path}: not an adapter that iovsim wrote ({error!r}); write it again.") from error
