"""What a model's folder holds, in old and new ways, is read as it is meant, quietly, and told apart by its content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from logging import Handler, getLogger
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging

from iovsim.errors import TrainingError
from iovsim.learning.backbones import model_files
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.model_files import Pooling
from iovsim.learning.backbones.pretrained import from_folder
from iovsim.learning.data.samples import Pictures

Folder = Callable[[str], Path]
PICTURE = ("vit", "deit", "swin")


def tiny(folder: Path, pooling: Pooling | None = None) -> Backbone:
    return from_folder(folder, folder.name, pooling=pooling, max_tokens=None if folder.name in PICTURE else 32)


def test_files_are_hashed_once(copied: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied("bert")
    before = tiny(folder).sha256
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", None)
        assert tiny(folder).sha256 == before
    state = load_file(folder / "model.safetensors")
    state["embeddings.LayerNorm.bias"] += 1
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    assert tiny(folder).sha256 != before


def test_another_tokenizer_is_another_model(copied: Folder, saved: Folder) -> None:
    folder = copied("bert")
    assert tiny(folder).sha256 == tiny(saved("bert")).sha256
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"ice"', '"sleet"'))
    assert tiny(folder).sha256 != tiny(saved("bert")).sha256


@pytest.mark.parametrize(("key", "expected"), [("mean_tokens", "mean"), ("cls_token", "cls")])
def test_a_folder_may_say_how_it_is_read(key: str, expected: str, copied: Folder) -> None:
    folder = copied("bert")
    (folder / "1_Pooling").mkdir()
    flags = {f"pooling_mode_{name}": name == key for name in ("mean_tokens", "cls_token", "max_tokens")}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **flags}))
    assert tiny(folder).trunk.pooling == expected
    assert tiny(folder, "cls").trunk.pooling == "cls"


def test_another_way_to_read_a_model_makes_another_model_of_it(copied: Folder) -> None:
    folder = copied("bert")
    unsaid, mean = tiny(folder), tiny(folder, "mean")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert tiny(folder).sha256 == mean.sha256 != unsaid.sha256
    assert tiny(folder, "cls").sha256 == unsaid.sha256  # nothing but how it is read can be seen in features


OLD_NAMES = {
    "bert": [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")],
    "vit": [
        (r"^layers\.", "encoder.layer."),
        (r"attention\.q_proj", "attention.attention.query"),
        (r"attention\.k_proj", "attention.attention.key"),
        (r"attention\.v_proj", "attention.attention.value"),
        (r"attention\.o_proj", "attention.output.dense"),
        (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
    ],
    "swin": [
        (r"attention\.q_proj", "attention.self.query"),
        (r"attention\.k_proj", "attention.self.key"),
        (r"attention\.v_proj", "attention.self.value"),
        (r"attention\.relative_position_bias", "attention.self"),
        (r"attention\.o_proj", "attention.output.dense"),
        (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
    ],
}
"""Names of weights in files of many years; and such files hold heads and numbers that nobody reads."""
UNREAD = {
    "bert": {"cls.predictions.bias": torch.zeros(17), "bert.embeddings.position_ids": torch.arange(40)[None]},
    "vit": {"classifier.weight": torch.zeros(5, 16), "classifier.bias": torch.zeros(5)},
    "swin": {
        "classifier.weight": torch.zeros(5, 16),
        "swin.encoder.layers.0.blocks.0.attention.self.relative_position_index": torch.zeros(16, 16, dtype=torch.int64),
    },
}


@pytest.mark.parametrize("family", OLD_NAMES)
def test_weights_of_a_whole_model_with_old_names(family: str, copied: Folder, saved: Folder) -> None:
    folder = copied(family)
    renamed = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        for new, old in OLD_NAMES[family]:
            name = re.sub(new, old, name)
        renamed[f"{family}.{name}"] = tensor
    save_file(renamed | UNREAD[family], folder / "model.safetensors", {"format": "pt"})
    made, plain = tiny(folder), tiny(saved(family))
    for name, parameter in plain.trunk.named_parameters():
        assert torch.equal(made.trunk.get_parameter(name), parameter)
    config = json.loads((folder / "config.json").read_text())
    depth = {"depths": [2, 2]} if family == "swin" else {"num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config | depth))
    with pytest.raises(TrainingError, match=r"1[67] differences"):
        tiny(folder)


def test_weights_in_parts(copied: Folder, saved: Folder, original: Callable[[str], PreTrainedModel]) -> None:
    folder = copied("vit")
    (folder / "model.safetensors").unlink()
    with model_files.quiet():
        original("vit").save_pretrained(folder, max_shard_size="8KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    whole, parts = tiny(saved("vit")), tiny(folder)
    for name, parameter in whole.trunk.named_parameters():
        assert torch.equal(parts.trunk.get_parameter(name), parameter)
    next(folder.glob("model-00002*")).unlink()
    with pytest.raises(TrainingError, match=r"index.json: .* misses some \['model-00002"):
        tiny(folder)


def features(backbone: Backbone, pictures: Pictures) -> torch.Tensor:
    made: torch.Tensor = backbone.trunk(*backbone.prepare(pictures).batch(np.arange(3)))
    return made


def test_half_precision_is_read_as_single(copied: Folder, saved: Folder, pictures: Pictures) -> None:
    folder = copied("vit")
    halves = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text()) | {"dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(config))
    read, expected = features(tiny(folder), pictures), features(tiny(saved("vit")), pictures)
    assert read.dtype == torch.float32
    torch.testing.assert_close(read, expected, atol=1e-2, rtol=1e-2)


def test_loading_says_nothing(saved: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    listener = Handler()
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    getLogger("transformers").addHandler(listener)
    try:
        tiny(saved("vit"))
        tiny(saved("roberta")).prepare((("ice", "fog"),))
        assert (said, *capsys.readouterr()) == ([], "", "")
        AutoModel.from_pretrained(saved("vit"), add_pooling_layer=False)
        assert "LOAD REPORT" in said[0]  # what it would say
        assert "Loading weights" in capsys.readouterr().err
    finally:
        getLogger("transformers").removeHandler(listener)


def test_the_library_is_as_talkative_afterwards_as_before() -> None:
    level = logging.get_verbosity()
    with model_files.quiet():
        assert logging.get_verbosity() > level
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled()
    assert logging.get_verbosity() == level


@pytest.mark.parametrize(
    ("said", "mean", "spread"),
    [
        ({}, 127.5, 63.75),
        ({"rescale_factor": 1 / 127.5}, 63.75, 31.875),
        ({"do_rescale": False}, 0.5, 0.25),
        ({"do_normalize": False}, 0.0, 255.0),
        ({"do_normalize": False, "do_rescale": False}, 0.0, 1.0),
    ],
)
def test_pixels_are_scaled_as_the_model_was_trained(
    tmp_path: Path, said: dict[str, object], mean: float, spread: float
) -> None:
    told = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3} | said
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    found = model_files.scaling(tmp_path)
    assert [part.shape for part in found] == [(1, 3, 1, 1)] * 2
    assert [float(part.mean()) for part in found] == pytest.approx([mean, spread])
