"""Whatever can be wrong with a model's folder is told in one line, and no code of its author is run."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from iovsim.domain import LoraRule
from iovsim.errors import TrainingError
from iovsim.learning import lora
from iovsim.learning.backbones.backbone import Backbone, layers
from iovsim.learning.backbones.pretrained import download, from_folder, from_hub

Folder = Callable[[str], Path]
Spoil = Callable[[Path], object]

WORDS = "embeddings.word_embeddings.weight"
BOMB = "raise SystemExit('code of the model was run')"


def read(folder: Path) -> Backbone:
    return from_folder(folder, folder.name, max_tokens=None if folder.name in ("vit", "swin") else 32)


def configured(name: str = "config.json", **changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        plain = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(plain))

    return spoil


def written(name: str, text: str) -> Spoil:
    return lambda folder: (folder / name).write_text(text)


def removed(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", {"format": "pt"})

    return spoil


def cut_off(left: int) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:left])

    return spoil


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def pooled_by_maximum(folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    written("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}')(folder)


def numbered_otherwise(folder: Path) -> None:
    configured(cls_token_id=2, sep_token_id=3)(folder)
    path = folder / "tokenizer.json"
    plain = json.loads(path.read_text())
    words = plain["model"]["vocab"]
    words["[CLS]"], words["[SEP]"] = words["[SEP]"], words["[CLS]"]
    plain["added_tokens"] = []
    path.write_text(json.dumps(plain))


MISTAKES: dict[str, tuple[str, Spoil, str]] = {
    "no config": ("bert", removed("config.json"), "no config.json in it; give the folder of a Hugging Face model"),
    "config is no JSON": ("bert", written("config.json", "{"), "config.json: not readable JSON"),
    "config is a list": ("bert", written("config.json", "[]"), "found a list, needed is a JSON object"),
    "unknown family": ("bert", configured(model_type="llama"), "model_type is 'llama'; allowed: 'bert', 'deit'"),
    "misspelt family": ("bert", configured(model_type="Bert"), "model_type is 'Bert'; did you mean 'bert'"),
    "no family": ("bert", configured(model_type=None), "model_type is None"),
    "width is no number": (
        "bert",
        configured(hidden_size="x"),
        "config.json: not a model's configuration .*hidden_size",
    ),
    "heads do not divide width": (
        "bert",
        configured(num_attention_heads=5),
        "not a multiple of the number of attention",
    ),
    "quantised": ("bert", configured(quantization_config={"quant_method": "fp8"}), "its weights are quantised"),
    "weights elsewhere": ("bert", configured(transformers_weights="x.bin"), "names weights of its own choice"),
    "an adapter": ("bert", written("adapter_config.json", "{}"), "it holds an adapter; give the folder of a whole"),
    "pickles": (
        "bert",
        pickled,
        r"its weights are pickles \(pytorch_model.bin\), which can run code; only safetensors",
    ),
    "no weights": ("bert", removed("model.safetensors"), "it has no model.safetensors"),
    "weights cut off": ("bert", cut_off(2000), "its weights are damaged"),
    "weights empty": ("bert", cut_off(0), "its weights are damaged"),
    "last bytes gone": ("vit", cut_off(-4), "its weights are damaged"),
    "weights missing": (
        "bert",
        weights(lambda state: state.pop("encoder.layer.1.attention.self.query.weight")),
        r"of another model than its config.json: 1 differences, for example encoder.layer.1.\S+ is missing",
    ),
    "fewer layers than configured": (
        "vit",
        configured(num_hidden_layers=3),
        "16 differences, .* layers.2.* is missing",
    ),
    "more layers than configured": ("vit", configured(num_hidden_layers=1), "16 differences, .* has no place"),
    "more layers in BERT": ("bert", configured(num_hidden_layers=1), "16 differences, .* has no place"),
    "other width": (
        "bert",
        configured(intermediate_size=48),
        r"6 differences, for example encoder.layer.0.\S+ is \(24,\) instead of \(48,\)",
    ),
    "other vocabulary": (
        "bert",
        configured(vocab_size=60),
        r"word_embeddings.weight is \(17, 16\) instead of \(60, 16\)",
    ),
    "weights not finite": (
        "vit",
        weights(lambda state: state["layernorm.weight"].fill_(float("nan"))),
        "its weights are not all finite",
    ),
    "no tokenizer": ("bert", removed("tokenizer.json"), "no tokenizer in it; add one of tokenizer.json, vocab.txt"),
    "damaged tokenizer": ("bert", written("tokenizer.json", "{"), "its tokenizer cannot be read"),
    "tokenizer of nothing": ("bert", written("tokenizer.json", '{"model": 1}'), "its tokenizer cannot be read"),
    "padding of another model": (
        "bert",
        configured("tokenizer_config.json", pad_token="[MASK]"),
        "pad_token_id is 4 in the tokenizer and 0 in the model; they belong to different models",
    ),
    "end of another model": (
        "roberta",
        configured(eos_token_id=3),
        "eos_token_id is 2 in the tokenizer and 3 in the model; they belong to different models",
    ),
    "classes exchanged with separators": (
        "bert",
        numbered_otherwise,
        "cls_token_id is 3 in the tokenizer and 2 in the model",
    ),
    "pooling by maximum": (
        "bert",
        pooled_by_maximum,
        r"it pools by \['pooling_mode_max_tokens'\]; set pooling to 'cls'",
    ),
    "no preprocessor": (
        "vit",
        removed("preprocessor_config.json"),
        "no preprocessor_config.json in it, which says how",
    ),
    "preprocessor without mean": ("vit", written("preprocessor_config.json", "{}"), "image_mean and image_std must be"),
    "two colours": ("vit", configured("preprocessor_config.json", image_mean=[0.5, 0.5]), "must be three numbers each"),
    "no factor": ("vit", configured("preprocessor_config.json", rescale_factor=0), "rescale_factor is 0; it must be"),
    "no spread": ("vit", configured("preprocessor_config.json", image_std=[0.5, 0, 0.5]), "image_std is .* above 0"),
    "one colour": ("vit", configured(num_channels=1), "only square pictures of three colours are read"),
    "not square": ("vit", configured(image_size=[16, 32]), "only square pictures of three colours are read"),
}


@pytest.mark.parametrize(("family", "spoil", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_line(family: str, spoil: Spoil, message: str, copied: Folder) -> None:
    folder = copied(family)
    spoil(folder)
    with pytest.raises(TrainingError, match=message) as told:
        read(folder)
    assert str(folder) in str(told.value)
    assert "\n" not in str(told.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nothing: no config.json in it"):
        read(tmp_path / "nothing")


def test_a_tokenizer_of_another_model(copied: Folder, saved: Folder) -> None:
    folder = copied("bert")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(saved("roberta") / name, folder / name)
    with pytest.raises(TrainingError, match="numbers tokens up to 259, the model knows 17 from 0; they belong to diff"):
        read(folder)


@pytest.mark.parametrize(("spare", "kept"), [(0, True), (128, True), (129, False)])
def test_a_tokenizer_of_fewer_tokens_than_the_model(spare: int, kept: bool, copied: Folder) -> None:
    folder = copied("bert")
    weights(lambda state: state.update({WORDS: torch.cat((state[WORDS], torch.ones(spare, 16)))}))(folder)
    configured(vocab_size=17 + spare)(folder)
    if kept:
        assert read(folder).prepare((("ice",),)).lengths.tolist() == [3]
    else:
        with pytest.raises(TrainingError, match="numbers tokens up to 16, the model knows 146 from 0; they belong"):
            read(folder)


def test_special_tokens_that_the_model_does_not_name_are_the_tokenizers(copied: Folder) -> None:
    folder = copied("bert")
    configured(bos_token_id=7, pad_token_id=None)(folder)  # the tokenizer knows no token that begins a text
    assert read(folder).prepare((("ice",),)).lengths.tolist() == [3]


@pytest.mark.parametrize("family", ["bert", "vit"])
def test_code_of_a_model_is_not_run(family: str, copied: Folder, saved: Folder) -> None:
    folder = copied(family)
    own = {"AutoConfig": "bomb.Config", "AutoModel": "bomb.Model", "AutoTokenizer": ["bomb.Tokenizer", None]}
    configured(auto_map=own, architectures=["Model"])(folder)
    written("bomb.py", BOMB)(folder)
    if family == "bert":
        configured("tokenizer_config.json", auto_map=own, tokenizer_class="Tokenizer")(folder)
    made, plain = read(folder), read(saved(family))  # the class of its model type in transformers is taken instead
    assert type(made.trunk.model) is type(plain.trunk.model)
    for name, parameter in plain.trunk.named_parameters():
        assert torch.equal(made.trunk.get_parameter(name), parameter)


def test_an_unknown_family_with_code_of_its_own_is_refused(copied: Folder) -> None:
    folder = copied("bert")
    configured(model_type="bomb", auto_map={"AutoConfig": "bomb.Config", "AutoModel": "bomb.Model"})(folder)
    written("bomb.py", BOMB)(folder)
    with pytest.raises(TrainingError, match="model_type is 'bomb'"):
        read(folder)


def test_pictures_and_sentences_are_not_mixed_up(saved: Folder) -> None:
    with pytest.raises(TrainingError, match="backbone vit: it reads pictures, found sentences; choose a text backbone"):
        read(saved("vit")).prepare((("ice",),))
    with pytest.raises(
        TrainingError, match="backbone bert: it reads sentences, found pictures; choose a picture backb"
    ):
        read(saved("bert")).prepare(np.zeros((1, 16, 16, 3), dtype=np.uint8))


@pytest.mark.parametrize("family", ["vit", "swin"])
def test_pictures_have_no_tokens_to_cut(family: str, saved: Folder) -> None:
    with pytest.raises(
        TrainingError, match=f"backbone {family}: max_tokens = 128, but it reads pictures; leave it out"
    ):
        from_folder(saved(family), family, max_tokens=128)


def test_a_swin_has_no_class_token(saved: Folder) -> None:
    with pytest.raises(TrainingError, match="pooling = 'cls', but a Swin has no class token; set 'mean'"):
        from_folder(saved("swin"), "swin", pooling="cls")


@pytest.mark.parametrize(("family", "least"), [("bert", 5), ("roberta", 6), ("distilbert", 5)])
def test_too_few_tokens_for_any_text(family: str, least: int, saved: Folder) -> None:
    pair = (("ice", "fog"),)
    assert from_folder(saved(family), family, max_tokens=least).prepare(pair).lengths[0] == least
    backbone = from_folder(saved(family), family, max_tokens=least - 1)
    with pytest.raises(
        TrainingError, match=f"max_tokens = {least - 1} leaves no room for text .* set at least {least}"
    ):
        backbone.prepare(pair)


def test_unknown_targets(saved: Folder) -> None:
    backbone = read(saved("bert"))
    with pytest.raises(TrainingError, match="here, key 'targets': no layer has the role 'quary'; did you mean 'query'"):
        layers(backbone.trunk, ["quary"], "here")
    with pytest.raises(TrainingError, match=r"backbone bert, lora, key 'targets': no layer has the role 'quary'"):
        lora.lora_config(backbone, LoraRule(8.0, targets=("quary",)), 2)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face's library, and a machine without a network."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_model_that_was_not_downloaded(cache: Path) -> None:
    with pytest.raises(TrainingError, match=re.escape("'an/owner', revision 'v2': not on this machine, and nothing")):
        from_hub("an/owner", revision="v2")
    with pytest.raises(TrainingError, match=r"run iovsim download an/owner --revision main, or give a folder"):
        from_hub("an/owner")
    assert not cache.exists()


@pytest.mark.parametrize("name", ["a/b/c", "an owner/model", "../model", "x" * 200, ""])
def test_a_name_that_cannot_be_a_model(name: str, cache: Path) -> None:
    with pytest.raises(TrainingError, match="not the name of a model of Hugging Face's hub"):
        from_hub(name)


def test_a_downloaded_model_is_read_without_network(cache: Path, saved: Folder) -> None:
    entry = cache / "models--an--owner"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text("c" * 40)
    shutil.copytree(saved("bert"), entry / "snapshots" / ("c" * 40))
    backbone = from_hub("an/owner", max_tokens=32)
    assert (backbone.name, backbone.sha256) == ("an/owner", read(saved("bert")).sha256)


def test_a_download_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise OSError("no route")

    monkeypatch.setattr("iovsim.learning.backbones.pretrained.snapshot_download", fail)
    with pytest.raises(
        TrainingError, match=r"'an/owner', revision 'main': could not be downloaded \(OSError: no route"
    ):
        download("an/owner")


def test_a_download_takes_neither_pickles_nor_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def fetch(*_: object, **how: Any) -> str:
        asked.update(how)
        return "/x"

    monkeypatch.setattr("iovsim.learning.backbones.pretrained.snapshot_download", fetch)
    assert download("an/owner", "v1") == Path("/x")
    patterns = asked["allow_patterns"]
    names = ["model.safetensors", "config.json", "vocab.txt", "1_Pooling/config.json", "pytorch_model.bin", "model.py"]
    taken = [name for name in names if any(Path(name).match(pattern) for pattern in patterns)]
    assert taken == names[:4]
    assert asked["revision"] == "v1"
