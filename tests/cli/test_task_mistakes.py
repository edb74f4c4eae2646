"""Wrong models, data and tasks: one clear line on standard error, exit code 2, nothing written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from .conftest import Refused

TASK = "round_energy_j = 100.0"
DATA = 'data = { kind = "npz", path = "data.npz" }'
SENTENCES = 'data = { kind = "tsv", path = "reviews.tsv" }'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            TASK,
            f'{TASK}\nbackbone = {{ kind = "hub", model = "nobody/nothing" }}',
            "backbone 'nobody/nothing', revision 'main': not on this machine, and nothing is downloaded unasked; run "
            "iovsim download nobody/nothing",
        ),
        (
            TASK,
            f'{TASK}\nbackbone = "roadwit"',
            "key 'tasks[0].backbone.kind': unknown 'roadwit'; did you mean 'roadvit'?",
        ),
        (TASK, f'{TASK}\nbackbone = {{ kind = "folder", path = "model" }}', "model: no config.json in it"),
        (TASK, f'{TASK}\nlora = {{ targets = ["querry"] }}', "no layer has the role 'querry'; did you mean 'query'?"),
        (
            TASK,
            f"{TASK}\nlora = {{ top_blocks = 7 }}",
            "task 'signs', lora, key 'top_blocks': found 7, but the model has 6 transformer blocks; set 1 to 6, or",
        ),
        (TASK, f"{TASK}\nlora = {{ alpa = 8 }}", "unknown key 'tasks[0].lora.alpa'; did you mean 'alpha'?"),
        (TASK, f'{TASK}\nsensor = "camera"', "task 'signs' needs the sensor 'camera'; add [sensors]"),
        (TASK, f'{TASK}\nbackbone = "minilm"', "backbone minilm: it reads sentences, found pictures"),
        ("samples = 8", "samples = 8, disjoint = true", "vehicles want"),
        ("samples = 8", "samples = 8, disjoint = true, arrival_per_s = 1.0", "'arrival_per_s' lets them be seen anew"),
        ("samples = 8", "samples = 800", "samples = 800, of which 160 for its own test, but only"),
        ("samples = 8", "samples = 8, vehicles = 5000", "shards.vehicles = 5000, but only"),
        (DATA, SENTENCES, "reviews.tsv: no such file or folder"),
        (DATA, 'data = { kind = "dataset", path = "saved" }', "saved: no folder that `save_to_disk`"),
    ],
)
def test_wrong_tasks(refused: Refused, world: Callable[..., str], old: str, new: str, message: str) -> None:
    error = refused("run", world(old, new), "-p", "random")
    assert error.startswith("error: world.toml: ")
    assert message in error


def _folder(path: Path, **config: object) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "vit", "hidden_size": 16} | config))
    return path


def test_a_folder_with_pickled_weights_only(refused: Refused, world: Callable[..., str], tmp_path: Path) -> None:
    (_folder(tmp_path / "model") / "pytorch_model.bin").write_bytes(b"\x80\x04")
    error = refused("check", world(TASK, f'{TASK}\nbackbone = {{ kind = "folder", path = "model" }}'))
    assert "its weights are pickles (pytorch_model.bin), which can run code; only safetensors are read" in error


def test_corrupt_weights(refused: Refused, world: Callable[..., str], tmp_path: Path) -> None:
    folder = _folder(tmp_path / "model")
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')
    (folder / "model.safetensors").write_bytes(b"\x00" * 40)
    error = refused("check", world(TASK, f'{TASK}\nbackbone = {{ kind = "folder", path = "model" }}'))
    assert "model: its weights are damaged" in error


def test_sentences_for_a_picture_model(refused: Refused, world: Callable[..., str], tmp_path: Path) -> None:
    rows = "".join(f"a good film\t{n % 2}\n" for n in range(60))
    (tmp_path / "reviews.tsv").write_text(f"sentence\tlabel\n{rows}")
    assert "roadvit: it reads pictures, found sentences" in refused("check", world(DATA, SENTENCES))


def test_a_label_that_training_never_saw(refused: Refused, world: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "glue").mkdir()
    for name, label in (("train", 1), ("dev", 7)):
        with gzip.open(tmp_path / "glue" / f"{name}.tsv.gz", "wt") as file:
            file.write("sentence\tlabel\n" + "".join(f"words\t{k % 2 * label}\n" for k in range(20)))
    error = refused("check", world(DATA, 'data = { kind = "tsv", path = "glue" }'))
    assert "dev.tsv.gz" in error
    assert "'7'" in error


def test_labels_outside_the_named_classes(refused: Refused, world: Callable[..., str]) -> None:
    error = refused("check", world(classes=np.array(["a", "b", "c"])))
    assert "y_train[3] is 3, but `classes` names 3 classes" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ranks", "8,x"), "--ranks '8,x': write numbers from 1 to 1024"),
        (("--task", "sings"), "world.toml: no task 'sings'; did you mean 'signs'?"),
        (("--data", "signs"), "--data 'signs': write TASK=PATH"),
        (("--data", "signs=nowhere.npz"), "nowhere.npz: no such file"),
    ],
)
def test_mistyped_references(
    refused: Refused, world: Callable[..., str], arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused("centralised", world(), *arguments)


def test_references_are_not_overwritten_unasked(refused: Refused, world: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "centralised").mkdir()
    (tmp_path / "centralised" / "centralised.csv").write_text("mine")
    assert "centralised.csv: is there already" in refused("centralised", world())
