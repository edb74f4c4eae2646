"""Loading samples: what is accepted, and one clear error for each way in which data can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from iovsim.errors import TrainingError
from iovsim.learning.data.builtin import generate, read_data, save_data
from iovsim.learning.data.pictures import load_folder, load_npz
from iovsim.learning.data.samples import Samples, Texts, take
from iovsim.rng import stream


def _arrays(**changes: Any) -> dict[str, Any]:
    rng = stream(0, "arrays")
    good: dict[str, Any] = {
        "x_train": rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8),
        "x_test": rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8),
        "y_test": np.array([0, 1, 2]),
        "classes": np.array(["a", "b", "c"]),
    }
    good |= changes
    return {name: array for name, array in good.items() if array is not None}


def _file(tmp_path: Path, arrays: dict[str, Any]) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def _load(path: Path) -> Any:
    return load_npz(path, test_fraction=0.25, seed=0)


def test_a_divided_file_is_read_as_it_is(tmp_path: Path) -> None:
    arrays = _arrays()
    data = _load(_file(tmp_path, arrays))
    assert np.array_equal(data.train.inputs, arrays["x_train"])
    assert data.train.labels.dtype == np.int64
    assert data.test.labels.tolist() == [0, 1, 2]
    assert data.test.classes == ("a", "b", "c")
    assert data.train.districts is None


def test_class_names_default_to_numbers(tmp_path: Path) -> None:
    assert _load(_file(tmp_path, _arrays(classes=None))).train.classes == ("0", "1", "2")


def test_a_single_pool_is_split_by_seed_without_overlap(tmp_path: Path) -> None:
    rng = stream(0, "pool")
    images = rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    path = _file(tmp_path, {"x": images, "y": np.arange(20) % 4})
    data, again, other = _load(path), _load(path), load_npz(path, test_fraction=0.25, seed=1)
    assert (len(data.train), len(data.test)) == (15, 5)
    both = np.concatenate([data.train.inputs, data.test.inputs])
    assert len(np.unique(both.reshape(20, -1), axis=0)) == 20
    assert np.array_equal(data.test.inputs, again.test.inputs)
    assert not np.array_equal(data.test.inputs, other.test.inputs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, r"found the keys .* needed are x_train"),
        ({"x_train": np.zeros((6, 28, 28), np.uint8)}, r"x_train has shape \(6, 28, 28\).*Resize"),
        (
            {"x_train": np.zeros((6, 28, 32, 3), np.uint8)},
            r"x_train has shape \(6, 28, 32, 3\).*allowed: \(n, side, side",
        ),
        ({"x_train": np.zeros((6, 32, 32, 3), np.float32)}, r"x_train has .*type float32; allowed: .*uint8"),
        ({"x_test": np.zeros((0, 32, 32, 3), np.uint8), "y_test": np.zeros(0, int)}, "x_test is empty"),
        ({"y_train": np.array([0, 1, 2, 0, 1])}, "y_train holds 5 labels for 6 pictures"),
        ({"y_train": np.array([0, 1, 2, 0, -1, 2])}, r"y_train\[4\] is -1"),
        ({"y_test": np.array([0, 1, 3])}, r"y_test\[2\] is 3, but `classes` names 3"),
        ({"y_train": np.array([0, 1, 2, 0, 1, 1.5])}, "y_train has .*float64; allowed: .*whole numbers"),
        ({"y_train": np.array([0, 1, 2, 0, 1, None])}, "pickles and refused"),
        ({"classes": np.array([1, 2, 3])}, "classes has .*allowed: one row of text"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        _load(_file(tmp_path, _arrays(**changes)))
    assert "data.npz" in str(caught.value)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.npz: no such file"):
        _load(tmp_path / "nowhere.npz")
    damaged = _file(tmp_path, _arrays())
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r"data\.npz: damaged or not an \.npz file"):
        _load(damaged)
    bare = tmp_path / "bare.npy"
    np.save(bare, np.zeros(3))
    with pytest.raises(TrainingError, match="one bare array"):
        _load(bare)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = _file(tmp_path, _arrays())
    content = bytearray(path.read_bytes())
    content[500] ^= 0xFF  # inside the first picture: the archive's checksum no longer agrees
    path.write_bytes(bytes(content))
    with pytest.raises(TrainingError, match="damaged"):
        _load(path)


def test_a_split_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, {"x": np.zeros((2, 32, 32, 3), np.uint8), "y": np.array([0, 1])})
    with pytest.raises(TrainingError, match="leaves training or test empty"):
        load_npz(path, test_fraction=0.01, seed=0)


def _picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 50)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_a_folder_of_pictures_is_read_and_resized(tmp_path: Path) -> None:
    for part in ("train", "test"):
        _picture(tmp_path / part / "stop" / "1.png", (200, 0, 0))
        _picture(tmp_path / part / "go" / "1.png", (0, 200, 0))
    data = load_folder(tmp_path, side=32, test_fraction=0.5, seed=0)
    assert data.train.classes == ("go", "stop")
    assert data.train.labels.tolist() == [0, 1]
    pictures = np.asarray(data.train.inputs)
    assert pictures.shape == (2, 32, 32, 3)
    assert pictures[1, 16, 16].tolist() == [200, 0, 0]


def test_an_undivided_folder_is_split(tmp_path: Path) -> None:
    for k in range(4):
        _picture(tmp_path / "stop" / f"{k}.png", (200, k, 0))
    data = load_folder(tmp_path, side=32, test_fraction=0.25, seed=0)
    assert (len(data.train), len(data.test)) == (3, 1)


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such folder"):
        load_folder(tmp_path / "nowhere", side=32, test_fraction=0.5, seed=0)
    with pytest.raises(TrainingError, match="no folder in it"):
        load_folder(tmp_path, side=32, test_fraction=0.5, seed=0)
    (tmp_path / "train" / "stop").mkdir(parents=True)
    with pytest.raises(TrainingError, match="only one of `train` and `test`"):
        load_folder(tmp_path, side=32, test_fraction=0.5, seed=0)
    (tmp_path / "test" / "stop").mkdir(parents=True)
    with pytest.raises(TrainingError, match="no picture in its class folders"):
        load_folder(tmp_path, side=32, test_fraction=0.5, seed=0)
    _picture(tmp_path / "test" / "other" / "1.png", (1, 2, 3))
    with pytest.raises(TrainingError, match="other: this class is not in `train`"):
        load_folder(tmp_path, side=32, test_fraction=0.5, seed=0)


def test_a_corrupt_picture_is_named(tmp_path: Path) -> None:
    _picture(tmp_path / "stop" / "1.png", (200, 0, 0))
    (tmp_path / "stop" / "2.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(TrainingError, match=r"2\.png: not a readable picture"):
        load_folder(tmp_path, side=32, test_fraction=0.5, seed=0)


def test_pictures_of_a_folder_may_be_larger(tmp_path: Path) -> None:
    for k in range(4):
        _picture(tmp_path / "stop" / f"{k}.png", (200, k, 0))
    assert load_folder(tmp_path, side=64, test_fraction=0.25, seed=0).train.inputs[0].shape == (64, 64, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["signs", "incidents"])
def test_builtin_data_know_their_districts_and_come_back_as_they_were_kept(name: str, tmp_path: Path) -> None:
    data = generate(name, train=20, test=10, districts=2, seed=3)
    assert data.train.districts is not None
    assert set(data.train.districts.tolist()) == {0, 1}
    assert not np.array_equal(data.train.inputs[:10], data.test.inputs)
    assert np.array_equal(data.train.inputs, generate(name, 20, 5, 2, seed=3).train.inputs)
    save_data(data, tmp_path / "kept")
    back = read_data(tmp_path / "kept")
    for one, other in ((data.train, back.train), (data.test, back.test)):
        assert np.array_equal(one.inputs, other.inputs)
        assert type(one.inputs) is type(other.inputs)
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.districts, other.districts)  # type: ignore[arg-type]
        assert one.classes == other.classes
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_wrong_builtin_data_are_named() -> None:
    with pytest.raises(TrainingError, match="signs: test = 0; it must be at least 1"):
        generate("signs", train=20, test=0, districts=2, seed=3)
    with pytest.raises(TrainingError, match="built-in task 'sings' does not exist; did you mean 'signs'"):
        generate("sings", train=20, test=5, districts=2, seed=3)


def test_taking_keeps_pictures_and_sentences_with_their_labels() -> None:
    texts: Texts = (("a", "b"), ("c", "d"), ("e", "f"))
    labels, rows = np.array([0, 1, 0]), np.array([2, 1])
    taken = take(Samples(texts, labels, ("x", "y"), np.array([5, 6, 7])), rows)
    assert taken.inputs == (("e", "f"), ("c", "d"))
    assert (taken.labels.tolist(), taken.districts.tolist()) == ([0, 1], [7, 6])  # type: ignore[union-attr]
    pictures = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    assert np.array_equal(take(Samples(pictures, labels, ("x", "y")), rows).inputs, pictures[[2, 1]])
