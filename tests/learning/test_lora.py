"""Adapters as arrays, as a PEFT model's state and as PEFT's own files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from iovsim.domain import Adapter
from iovsim.errors import TrainingError
from iovsim.learning import lora
from iovsim.learning.adapter import adapted_layers, factors, head_names
from iovsim.learning.roadvit import build, to_input
from iovsim.rng import stream


def _trained(rank: int = 4) -> Adapter:
    """An adapter none of whose tensors is zero, as after training."""
    start = lora.initial("signs", 5, rank, 16.0, seed=1)
    rng = stream(0, "trained")
    tensors = {n: a + rng.normal(0, 0.05, a.shape).astype(np.float32) for n, a in start.tensors.items()}
    return replace(start, tensors=tensors)


def _pictures() -> torch.Tensor:
    return to_input(stream(0, "pictures").integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))


def test_a_new_adapter_has_pefts_names_and_changes_nothing() -> None:
    adapter = lora.initial("signs", 5, 4, 16.0, seed=1)
    model = lora.peft_model(5, 4, 16.0)
    assert set(adapter.tensors) == set(lora.taken_from(model, 4, 16.0).tensors)
    assert adapted_layers(adapter) == lora.layer_names()
    assert all(not adapter.tensors[f"{layer}.lora_B.weight"].any() for layer in lora.layer_names())
    base = build(5, seed=0)
    head = {name.removeprefix(f"{lora.PREFIX}head."): adapter.tensors[name] for name in head_names(adapter)}
    base.head.load_state_dict({name: torch.from_numpy(array) for name, array in head.items()})
    lora.load_into(model, adapter)
    with torch.inference_mode():
        assert torch.allclose(model(_pictures()), base(_pictures()), atol=1e-6)


def test_a_follows_pefts_law_and_depends_on_names_only() -> None:
    small, large = (lora.initial("signs", 5, rank, 16.0, seed=1) for rank in (4, 8))
    name = f"{lora.layer_names()[3]}.lora_A.weight"
    assert np.array_equal(small.tensors[name], large.tensors[name][:4])
    assert not np.array_equal(small.tensors[name], lora.initial("other", 5, 4, 16.0, seed=1).tensors[name])
    assert not np.array_equal(small.tensors[name], small.tensors[f"{lora.layer_names()[4]}.lora_A.weight"])
    entries = np.concatenate([large.tensors[f"{layer}.lora_A.weight"].ravel() for layer in lora.layer_names()])
    bound = 128**-0.5  # kaiming_uniform_(a=sqrt(5)): sqrt(6 / ((1 + 5) inputs))
    assert np.abs(entries).max() <= bound
    assert abs(entries.std() / (bound / np.sqrt(3)) - 1) < 0.02


def test_state_comes_back_from_a_model_as_it_went_in() -> None:
    adapter = _trained()
    model = lora.peft_model(5, 4, 16.0)
    lora.load_into(model, adapter)
    back = lora.taken_from(model, 4, 16.0)
    assert all(np.array_equal(adapter.tensors[name], back.tensors[name]) for name in adapter.tensors)


def test_the_factors_are_the_update_that_the_model_applies() -> None:
    adapter = _trained()
    model = lora.peft_model(5, 4, 16.0)
    lora.load_into(model, adapter)
    base = build(5, seed=0)
    with torch.no_grad():
        for layer in lora.layer_names():
            left, right = factors(adapter, layer)
            weight = base.get_submodule(layer.removeprefix(lora.PREFIX)).weight
            assert isinstance(weight, torch.Tensor)
            weight += torch.from_numpy(left @ right).float()
        for name in ("weight", "bias"):
            base.head.get_parameter(name).copy_(torch.from_numpy(adapter.tensors[f"{lora.PREFIX}head.{name}"]))
        assert torch.allclose(model(_pictures()), base(_pictures()), atol=1e-4)


def test_peft_reads_a_saved_folder_and_gives_the_same_answers(tmp_path: Path) -> None:
    adapter = _trained()
    lora.save_peft(adapter, tmp_path / "out" / "adapter")
    lora.save_peft(adapter, tmp_path / "out" / "adapter")  # again: replaced
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["adapter"]
    read = PeftModel.from_pretrained(build(5, seed=9), tmp_path / "out" / "adapter")
    model = lora.peft_model(5, 4, 16.0)
    lora.load_into(model, adapter)
    with torch.inference_mode():
        # Not bit for bit: PEFT leaves loaded tensors where the file lay in memory, and products depend on alignment.
        assert torch.allclose(read.eval()(_pictures()), model.eval()(_pictures()), atol=1e-5)


def test_one_file_holds_an_adapter_with_its_scale(tmp_path: Path) -> None:
    adapter = _trained()
    lora.save_tensors(adapter, tmp_path / "a.safetensors")
    back = lora.load_tensors(tmp_path / "a.safetensors")
    assert (back.rank, back.alpha) == (4, 16.0)
    assert all(np.array_equal(adapter.tensors[name], back.tensors[name]) for name in adapter.tensors)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_files_that_are_no_adapters_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.safetensors: not an adapter"):
        lora.load_tensors(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"abc")
    with pytest.raises(TrainingError, match=r"bad\.safetensors: not an adapter"):
        lora.load_tensors(tmp_path / "bad.safetensors")


def test_an_adapter_that_does_not_fit_is_refused() -> None:
    model, adapter = lora.peft_model(5, 4, 16.0), _trained()
    first = next(iter(adapter.tensors))
    fewer = replace(adapter, tensors={n: a for n, a in adapter.tensors.items() if n != first})
    with pytest.raises(TrainingError, match="missing"):
        lora.load_into(model, fewer)
    more = replace(adapter, tensors={**adapter.tensors, "base_model.model.extra.weight": np.zeros(1, np.float32)})
    with pytest.raises(TrainingError, match=r"extra\.weight"):
        lora.load_into(model, more)
    with pytest.raises(TrainingError, match="does not fit the model"):
        lora.load_into(model, _trained(rank=8))


def test_merged_weights_answer_like_the_peft_model() -> None:
    adapter = _trained(rank=8)
    model = lora.peft_model(5, 8, 16.0)
    lora.load_into(model, adapter)
    base = build(5, seed=0)
    before = {n: t.clone() for n, t in base.state_dict().items()}
    with torch.inference_mode():
        torch.testing.assert_close(lora.merged(base, adapter)(_pictures()), model(_pictures()), atol=1e-4, rtol=1e-4)
    assert all(torch.equal(t, before[n]) for n, t in base.state_dict().items()), "the base itself stays as it was"
