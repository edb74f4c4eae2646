"""Adapters as arrays, as a PEFT model's state and as PEFT's own files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file

from iovsim.domain import ROLES, Adapter, LoraRule, Scaling, Tuning
from iovsim.errors import TrainingError
from iovsim.learning import lora
from iovsim.learning.adapter import HEAD, adapted_layers, factors, head_of
from iovsim.learning.adapter_files import MODEL_FILE, load_tensors, save_adapter, save_tensors
from iovsim.learning.backbones.backbone import Backbone, classifier
from iovsim.learning.backbones.roadvit import to_input
from iovsim.rng import stream

RULE = LoraRule(16.0)
QUERY = "base_model.model.trunk.blocks.0.attention.query"


def _trained(backbone: Backbone, rank: int = 4, rule: LoraRule = RULE, tuning: Tuning = Tuning.LORA) -> Adapter:
    """An adapter none of whose tensors is zero, as after training."""
    start = lora.initial(backbone, "signs", 5, rule, rank, 1, tuning)
    rng = stream(0, "trained")
    tensors = {n: a + rng.normal(0, 0.05, a.shape).astype(np.float32) for n, a in start.tensors.items()}
    return replace(start, tensors=tensors)


def _pictures() -> torch.Tensor:
    return to_input(stream(0, "pictures").integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))


def _answers(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        answers: torch.Tensor = model(_pictures())
    return answers


def test_a_new_adapter_has_pefts_names_and_changes_nothing(backbone: Backbone) -> None:
    adapter = lora.initial(backbone, "signs", 5, RULE, 4, seed=1)
    model = lora.peft_model(backbone, 5, RULE, 4)
    assert set(adapter.tensors) == set(lora.taken_from(model, adapter).tensors)
    assert adapted_layers(adapter)[0] == QUERY
    assert len(adapted_layers(adapter)) == 12
    assert all(not adapter.tensors[f"{layer}.lora_B.weight"].any() for layer in adapted_layers(adapter))
    base = classifier(backbone, 5)
    lora.load_into(base, replace(adapter, tensors=head_of(adapter)))
    lora.load_into(model, adapter)
    assert torch.allclose(_answers(model), _answers(base), atol=1e-6)


def test_a_follows_pefts_law_and_depends_on_names_only(backbone: Backbone) -> None:
    small, large = (lora.initial(backbone, "signs", 5, RULE, rank, seed=1) for rank in (4, 8))
    name = f"{QUERY}.lora_A.weight"
    assert np.array_equal(small.tensors[name], large.tensors[name][:4])
    assert not np.array_equal(small.tensors[name], lora.initial(backbone, "other", 5, RULE, 4, seed=1).tensors[name])
    assert not np.array_equal(small.tensors[name], small.tensors[name.replace("blocks.0", "blocks.1")])
    entries = np.concatenate([large.tensors[f"{layer}.lora_A.weight"].ravel() for layer in adapted_layers(large)])
    bound = 128**-0.5  # kaiming_uniform_(a=sqrt(5)): sqrt(6 / ((1 + 5) inputs))
    assert np.abs(entries).max() <= bound
    assert abs(entries.std() / (bound / np.sqrt(3)) - 1) < 0.02


def test_the_scale_follows_the_rule_in_model_and_factors_alike(backbone: Backbone) -> None:
    for scaling, scale in ((Scaling.LORA, 16 / 4), (Scaling.RSLORA, 16 / 2)):
        rule = replace(RULE, scaling=scaling)
        adapter = _trained(backbone, 4, rule)
        assert adapter.scale == scale
        model = lora.peft_model(backbone, 5, rule, 4)
        lora.load_into(model, adapter)
        assert model.get_submodule(QUERY).scaling == {"default": scale}
        assert torch.allclose(_answers(model), _answers(lora.merged(backbone, 5, adapter)), atol=1e-4)


@pytest.mark.parametrize("tuning", list(Tuning))
def test_state_comes_back_from_a_model_as_it_went_in(backbone: Backbone, tuning: Tuning) -> None:
    adapter = _trained(backbone, tuning=tuning)
    whole = {"lora": 26, "head": 2, "full": 2 + len(list(backbone.trunk.parameters()))}
    assert len(adapter.tensors) == whole[tuning]
    assert adapter.rank == (4 if tuning is Tuning.LORA else 0)
    model = (
        lora.peft_model(backbone, 5, RULE, 4) if tuning is Tuning.LORA else lora.reference_model(backbone, 5, tuning)
    )
    lora.load_into(model, adapter)
    back = lora.taken_from(model, adapter)
    assert back.tensors.keys() == adapter.tensors.keys()
    assert all(np.array_equal(adapter.tensors[name], back.tensors[name]) for name in adapter.tensors)
    assert torch.allclose(_answers(model), _answers(lora.merged(backbone, 5, adapter)), atol=1e-4)


def test_the_factors_are_the_update_that_the_model_applies(backbone: Backbone) -> None:
    adapter = _trained(backbone)
    model = lora.peft_model(backbone, 5, RULE, 4)
    lora.load_into(model, adapter)
    base = lora.reference_model(backbone, 5, Tuning.FULL)
    with torch.no_grad():
        for layer in adapted_layers(adapter):
            left, right = factors(adapter, layer)
            base.get_parameter(f"{layer.removeprefix(lora.PREFIX)}.weight").add_(torch.from_numpy(left @ right).float())
        for name in ("weight", "bias"):
            base.head.get_parameter(name).copy_(torch.from_numpy(adapter.tensors[f"{HEAD}{name}"]))
    assert torch.allclose(_answers(model), _answers(base), atol=1e-4)


@pytest.mark.parametrize("targets", [("query", "value"), ("key", "output", "mlp_in", "mlp_out")])
def test_peft_reads_a_saved_folder_and_gives_the_same_answers(
    tmp_path: Path, backbone: Backbone, targets: tuple[str, ...]
) -> None:
    rule = LoraRule(16.0, Scaling.RSLORA, 0.1, targets)
    adapter = _trained(backbone, 4, rule)
    save_adapter(adapter, backbone, rule, tmp_path / "out" / "adapter")
    save_adapter(adapter, backbone, rule, tmp_path / "out" / "adapter")  # again: replaced
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["adapter"]
    read = PeftModel.from_pretrained(classifier(backbone, 5), tmp_path / "out" / "adapter")
    # Not bit for bit: PEFT leaves loaded tensors where the file lay in memory, and products depend on alignment.
    assert torch.allclose(_answers(read.eval()), _answers(lora.merged(backbone, 5, adapter)), atol=1e-4)


@pytest.mark.parametrize(("top", "targets"), [(1, ("query", "value")), (2, ("mlp_in",)), (5, ROLES), (6, ("key",))])
def test_only_the_top_blocks_are_adapted_by_peft_too(
    tmp_path: Path, backbone: Backbone, top: int, targets: tuple[str, ...]
) -> None:
    rule = LoraRule(16.0, targets=targets, top_blocks=top)
    adapter = _trained(backbone, 4, rule)
    adapted = adapted_layers(adapter)
    assert len(adapted) == top * len(targets)
    assert {layer.split(".")[4] for layer in adapted} == {str(block) for block in range(6 - top, 6)}
    save_adapter(adapter, backbone, rule, tmp_path / "adapter")
    kept = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert sorted(kept["target_modules"]) == sorted(layer.removeprefix(lora.PREFIX) for layer in adapted)
    read = PeftModel.from_pretrained(classifier(backbone, 5), tmp_path / "adapter").eval()
    made = {name.removesuffix(".lora_A") for name, _ in read.named_modules() if name.endswith(".lora_A")}
    assert made == set(adapted)
    assert torch.allclose(_answers(read), _answers(lora.merged(backbone, 5, adapter)), atol=1e-4)


def test_more_blocks_than_there_are(backbone: Backbone) -> None:
    rule = replace(RULE, top_blocks=7)
    for make in (lora.lora_config, lambda b, r, rank: lora.initial(b, "signs", 5, r, rank, seed=1)):
        with pytest.raises(
            TrainingError, match="backbone roadvit, lora, key 'top_blocks': found 7, but the model has 6"
        ):
            make(backbone, rule, 4)


@pytest.mark.parametrize("tuning", [Tuning.HEAD, Tuning.FULL])
def test_a_reference_mode_is_kept_under_the_classifiers_own_names(
    tmp_path: Path, backbone: Backbone, tuning: Tuning
) -> None:
    adapter = _trained(backbone, tuning=tuning)
    save_adapter(adapter, backbone, RULE, tmp_path / "kept")
    assert [p.name for p in (tmp_path / "kept").iterdir()] == [MODEL_FILE]
    model = lora.reference_model(backbone, 5, tuning)
    outcome = model.load_state_dict(load_file(tmp_path / "kept" / MODEL_FILE), strict=False)
    assert not outcome.unexpected_keys
    assert torch.allclose(_answers(model), _answers(lora.merged(backbone, 5, adapter)), atol=1e-4)


def test_one_file_holds_an_adapter_with_its_rule(tmp_path: Path, backbone: Backbone) -> None:
    adapter = _trained(backbone, 4, replace(RULE, scaling=Scaling.RSLORA))
    save_tensors(adapter, tmp_path / "a.safetensors")
    back = load_tensors(tmp_path / "a.safetensors")
    assert (back.rank, back.alpha, back.scaling, back.tuning) == (4, 16.0, Scaling.RSLORA, Tuning.LORA)
    assert all(np.array_equal(adapter.tensors[name], back.tensors[name]) for name in adapter.tensors)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("tuning", list(Tuning))
def test_whatever_was_kept_comes_back_as_it_was(tmp_path: Path, backbone: Backbone, tuning: Tuning) -> None:
    adapter = _trained(backbone, tuning=tuning)
    save_adapter(adapter, backbone, RULE, tmp_path / "kept")
    back = load_tensors(next((tmp_path / "kept").glob("*.safetensors")))
    assert back.tensors.keys() == adapter.tensors.keys()
    assert torch.equal(_answers(lora.merged(backbone, 5, back)), _answers(lora.merged(backbone, 5, adapter)))


def test_heads_of_vehicles_are_kept_by_name(tmp_path: Path, backbone: Backbone) -> None:
    heads = {v: head_of(lora.initial(backbone, "signs", 5, RULE, 2, seed)) for seed, v in enumerate(("v1", "a/2"))}
    save_adapter(_trained(backbone), backbone, RULE, tmp_path / "kept", heads)
    back = load_file(tmp_path / "kept" / "heads.safetensors")
    assert sorted(back) == ["a/2/bias", "a/2/weight", "v1/bias", "v1/weight"]
    assert np.array_equal(back["v1/weight"].numpy(), heads["v1"][f"{HEAD}weight"])


def test_files_that_are_no_adapters_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.safetensors: not an adapter"):
        load_tensors(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"abc")
    with pytest.raises(TrainingError, match=r"bad\.safetensors: not an adapter"):
        load_tensors(tmp_path / "bad.safetensors")


def test_an_adapter_that_does_not_fit_is_refused(backbone: Backbone) -> None:
    model, adapter = lora.peft_model(backbone, 5, RULE, 4), _trained(backbone)
    first = next(iter(adapter.tensors))
    fewer = replace(adapter, tensors={n: a for n, a in adapter.tensors.items() if n != first})
    with pytest.raises(TrainingError, match="missing"):
        lora.load_into(model, fewer)
    more = replace(adapter, tensors={**adapter.tensors, "base_model.model.extra.weight": np.zeros(1, np.float32)})
    with pytest.raises(TrainingError, match=r"extra\.weight"):
        lora.load_into(model, more)
    with pytest.raises(TrainingError, match="does not fit the model"):
        lora.load_into(model, _trained(backbone, rank=8))
    with pytest.raises(TrainingError, match=r"missing \['head\.weight', 'head\.bias'\]"):
        lora.load_into(lora.reference_model(backbone, 5, Tuning.HEAD), replace(adapter, tensors={}))


def test_merging_leaves_the_base_as_it_was(backbone: Backbone) -> None:
    before = {n: t.clone() for n, t in backbone.trunk.state_dict().items()}
    model = lora.merged(backbone, 5, _trained(backbone, rank=8))
    assert not torch.equal(
        model.get_parameter("trunk.blocks.0.attention.query.weight"), before["blocks.0.attention.query.weight"]
    )
    assert all(torch.equal(t, before[n]) for n, t in backbone.trunk.state_dict().items())


def test_the_file_of_settings_says_what_peft_itself_would_write(backbone: Backbone, tmp_path: Path) -> None:
    rule = replace(RULE, dropout=0.1, top_blocks=2, scaling=Scaling.RSLORA)
    save_adapter(lora.initial(backbone, "signs", 5, rule, 4, seed=1), backbone, rule, tmp_path / "ours")
    config = lora.lora_config(backbone, rule, 4)
    config.inference_mode, config.base_model_name_or_path = True, backbone.name
    config.save_pretrained(str(tmp_path / "theirs"))
    ours, theirs = (LoraConfig.from_pretrained(str(tmp_path / who)).to_dict() for who in ("ours", "theirs"))
    assert {**ours, "target_modules": set(ours["target_modules"])} == {
        **theirs,
        "target_modules": set(theirs["target_modules"]),
    }
