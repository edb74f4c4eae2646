"""Folders of Hugging Face `datasets`: text and pictures, one table or several splits, and an error for each fault."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from iovsim.errors import TrainingError
from iovsim.learning.data.hf_data import load_hf
from iovsim.learning.data.samples import Data
from iovsim.rng import stream

datasets = pytest.importorskip("datasets", reason="the optional extra `datasets` is not installed")
datasets.disable_progress_bars()

GOOD = {"sentence": ["good", "bad", "fine"], "label": [1, 0, 1]}


def _saved(path: Path, splits: Mapping[str, Any] | Any) -> Path:
    tables = datasets.DatasetDict(splits) if isinstance(splits, Mapping) else splits
    tables.save_to_disk(str(path / "saved"))
    return path / "saved"


def _table(columns: Mapping[str, Any], **features: Any) -> Any:
    table = datasets.Dataset.from_dict(dict(columns))
    for name, feature in features.items():
        table = table.cast_column(name, feature)
    return table


def _load(path: Path) -> Data:
    return load_hf(path, test_fraction=0.5, seed=0)


def _pixels(count: int) -> Any:
    return stream(0, "pixels").integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_pairs_of_sentences_with_named_classes_keep_their_names(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=["yes", "no", "maybe"])
    train = _table({"sentence": ["a", "b"], "question": ["p", "q"], "label": [1, 0], "idx": [0, 1]}, label=names)
    test = _table({"question": ["r"], "sentence": ["c"], "label": ["no"]})
    data = _load(_saved(tmp_path, {"train": train, "test": test}))
    assert data.train.inputs == (("p", "a"), ("q", "b"))
    assert data.train.classes == data.test.classes == ("yes", "no", "maybe")
    assert data.train.labels.tolist() == [1, 0]
    assert data.test.inputs == (("r", "c"),)
    assert data.test.labels.tolist() == [1]


def test_a_test_split_without_labels_gives_way_to_validation(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=["bad", "good"])
    train = _table(GOOD, label=names)
    hidden = _table({"sentence": ["hidden"], "label": [-1]}, label=names)
    shown = _table({"sentence": ["shown"], "label": [0]}, label=names)
    data = _load(_saved(tmp_path, {"train": train, "test": hidden, "validation": shown}))
    assert data.test.inputs == (("shown",),)


def test_a_single_table_is_split_by_seed(tmp_path: Path) -> None:
    path = _saved(tmp_path, _table({"text": [str(k) for k in range(20)], "labels": ["b", "a"] * 10}))
    data, other = _load(path), load_hf(path, test_fraction=0.5, seed=1)
    assert (len(data.train), len(data.test)) == (10, 10)
    assert data.train.classes == ("a", "b")
    assert all(
        data.train.classes[k] == "ba"[int(text) % 2]
        for (text,), k in zip(data.train.inputs, data.train.labels, strict=True)
    )
    assert {*data.train.inputs, *data.test.inputs} == {(str(k),) for k in range(20)}
    assert data.test.inputs != other.test.inputs


def test_pictures_are_read_as_they_are_or_resized(tmp_path: Path) -> None:
    pixels = _pixels(4)
    pictures = [Image.fromarray(p) for p in pixels]
    pictures[3] = pictures[3].convert("L")
    table = _table({"img": pictures, "label": [0, 1, 0, 1]})
    path = _saved(tmp_path, {"train": table, "test": table})
    data = _load(path)
    assert isinstance(data.train.inputs, np.ndarray)
    assert np.array_equal(data.train.inputs[:3], pixels[:3])
    grey = data.train.inputs[3]
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(grey[..., 0], grey[..., 2])
    small = load_hf(path, side=16, test_fraction=0.5, seed=0).train.inputs
    assert isinstance(small, np.ndarray)
    assert small.shape == (4, 16, 16, 3)
    assert abs(small.mean() - data.train.inputs.mean()) < 2


def _with_cells(path: Path, cells: list[Any]) -> Path:
    """A saved table of pictures that hold these bytes and paths as they are, which the package itself would refuse."""
    bare = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"image": bare, "label": datasets.Value("int64")})
    columns = {"image": cells, "label": list(range(len(cells)))}
    folder = _saved(path, datasets.Dataset.from_dict(columns, features=features))
    description = json.loads((folder / "dataset_info.json").read_text())
    description["features"]["image"] = {"_type": "Image"}
    (folder / "dataset_info.json").write_text(json.dumps(description))
    return folder


def test_a_damaged_or_missing_picture_is_refused_and_no_path_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(_pixels(1)[0]).save(file)
    good = {"bytes": file.read_bytes(), "path": None}
    for k, (cell, message) in enumerate(
        (
            (None, "row 1: no picture is stored there"),
            ({"bytes": None, "path": str(file)}, "row 1: no picture is stored there"),
            ({"bytes": b"nonsense", "path": str(file)}, "row 1: not a readable picture"),
        )
    ):
        with pytest.raises(TrainingError, match=message):
            _load(_with_cells(tmp_path / str(k), [good, cell]))
    assert len(_load(_with_cells(tmp_path / "good", [good, good])).train) == 1


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": GOOD, "dev": GOOD}, "found the splits train, dev; needed are train and, with labels, test or valid"),
        ({"training": GOOD, "test": GOOD}, "found the splits training, test; needed are train"),
        (
            {"train": GOOD, "test": {"sentence": ["so so"], "label": [2]}},
            r"'test', row 0: label '2' is not in the train",
        ),
        ({"train": GOOD, "test": {"text": ["good"], "label": [1]}}, "split 'test': found the columns 'text', 'label'"),
        ({"train": {"sentense": ["a"], "label": [1]}, "test": GOOD}, r"split 'train': .*did you mean 'sentence'\?"),
        ({"train": {"sentence": ["a"], "lable": [1]}, "test": GOOD}, r"split 'train': .*did you mean 'label'\?"),
        ({"all": {"sentence": ["a", None], "label": [1, 0]}}, r"split 'all', row 1: no sentence in 'sentence'"),
        ({"all": {"sentence": ["a", "b"], "label": [1, None]}}, "split 'all', row 1: no label"),
        ({"all": {"sentence": ["a", "b"], "label": [0.5, 1.5]}}, "column 'label' is of type float64; allowed"),
        ({"all": {"sentence": [1, 2], "label": [0, 1]}}, "column 'sentence' is of type int64; allowed: text"),
        ({"all": {"image": ["a.png"], "label": [0]}}, r"column 'image' holds no pictures; cast it with cast_column"),
        (
            {"all": {"image": ["a.png"], "text": ["a"], "label": [0]}},
            "both pictures and sentences in image, text, label",
        ),
        ({"train": GOOD, "test": {"sentence": [], "label": []}}, "damaged or empty"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, splits: Mapping[str, Any], message: str) -> None:
    path = _saved(tmp_path, {name: _table(columns) for name, columns in splits.items()})
    with pytest.raises(TrainingError, match=message):
        _load(path)


def test_a_split_that_holds_a_file_but_no_row_is_refused(tmp_path: Path) -> None:
    empty = datasets.Dataset.from_dict({name: [] for name in GOOD})
    datasets.DatasetDict(train=_table(GOOD), test=empty).save_to_disk(str(tmp_path), num_shards={"train": 1, "test": 1})
    with pytest.raises(TrainingError, match="split 'test': empty; it must hold at least one sample"):
        _load(tmp_path)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(TrainingError, match="no folder that `save_to_disk` of Hugging Face `datasets` has written"):
            _load(path)


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    path = _saved(tmp_path, _table(GOOD))
    (arrow,) = path.glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:200])
    with pytest.raises(TrainingError, match=r"saved: damaged or empty \("):
        _load(path)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TrainingError, match=r"pip install 'iovsim\[datasets\]'"):
        _load(tmp_path)
