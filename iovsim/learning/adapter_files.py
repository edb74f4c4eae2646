"""An adapter becomes a folder in PEFT's format or one safetensors file, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from iovsim.domain import Adapter, Head, LoraRule, Scaling, Tuning
from iovsim.errors import TrainingError
from iovsim.files import whole_folder, write_whole
from iovsim.learning.adapter import HEAD
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.lora import PREFIX, lora_settings

CONFIG_FILE = "adapter_config.json"  # PEFT's names
TENSORS_FILE = "adapter_model.safetensors"
MODEL_FILE = "model.safetensors"
HEADS_FILE = "heads.safetensors"


def save_adapter(
    adapter: Adapter, backbone: Backbone, rule: LoraRule, folder: Path, heads: Mapping[str, Head] | None = None
) -> None:
    """Writes a folder that `PeftModel.from_pretrained(classifier(backbone, classes), folder)` reads.

    What was trained without adapters is one safetensors file under the names of `Classifier`'s own parameters. `heads`
    that stay in their vehicles lie beside it, as `vehicle/weight` and `vehicle/bias`. The folder appears when it is
    whole; an existing one is replaced. Raises `ResultsError` where it cannot be written.
    """
    with whole_folder(folder) as unfinished:
        if adapter.tuning is Tuning.LORA:
            # Written without PEFT, which takes seconds to import; it fills in its defaults when it reads.
            config = lora_settings(backbone, rule, adapter.rank)
            config |= {"peft_type": "LORA", "inference_mode": True, "base_model_name_or_path": backbone.name}
            (unfinished / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
            (unfinished / TENSORS_FILE).write_bytes(_packed(adapter))
        else:
            plain = {name.removeprefix(PREFIX): array for name, array in adapter.tensors.items()}
            (unfinished / MODEL_FILE).write_bytes(_packed(replace(adapter, tensors=plain)))
        if heads:
            (unfinished / HEADS_FILE).write_bytes(_packed_heads(heads))


def save_tensors(adapter: Adapter, path: Path) -> None:
    """Writes one safetensors file with its rank and rule in the metadata, whole or not at all.

    Raises `ResultsError` where it cannot be written.
    """
    write_whole(path, _packed(adapter))


def _packed(adapter: Adapter) -> bytes:
    # One key: the order of several would change from process to process, and equal adapters must have equal bytes.
    rule = {"alpha": adapter.alpha, "rank": adapter.rank, "scaling": adapter.scaling, "tuning": adapter.tuning}
    facts = {"adapter": json.dumps(rule, sort_keys=True)}
    return save({name: np.ascontiguousarray(a) for name, a in adapter.tensors.items()}, facts)


def _packed_heads(heads: Mapping[str, Head]) -> bytes:
    named = ((f"{v}/{k.removeprefix(HEAD)}", a) for v, head in heads.items() for k, a in head.items())
    return save({name: np.ascontiguousarray(a) for name, a in named})


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
