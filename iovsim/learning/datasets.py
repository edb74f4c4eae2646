"""Turns a file, a folder or a seed into samples: pictures of 32 x 32 with their class labels, checked on the way in."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from iovsim.domain import IntArray
from iovsim.errors import TrainingError
from iovsim.learning import signs
from iovsim.learning.threads import use_one_thread
from iovsim.rng import stream

SIDE = 32
SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".bmp")
DIVIDED_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Pictures uint8 (n, 32, 32, 3), labels (n,) in [0, classes), class names and, if known, each one's district."""

    images: NDArray[np.uint8]
    labels: IntArray
    classes: tuple[str, ...]
    districts: IntArray | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A task's training pool, from which vehicles' shards are drawn, and its global held-out set."""

    train: Samples
    test: Samples


def builtin_signs(train: int, test: int, districts: int, seed: int) -> Data:
    """The built-in road signs: `train` and `test` pictures, classes and districts drawn evenly and by seed."""
    for name, count in (("train", train), ("test", test), ("districts", districts)):
        if count < 1:
            raise TrainingError(f"signs: {name} = {count}; it must be at least 1.")
    use_one_thread()
    parts = []
    for part, count in (("train", train), ("test", test)):
        rng = stream(seed, "signs", part)
        labels = rng.integers(len(signs.SIGNS), size=count)
        places = rng.integers(districts, size=count)
        images = signs.render(labels, places, seed, part=part)
        parts.append(Samples(images, labels, signs.CLASSES, places))
    return Data(train=parts[0], test=parts[1])


def load_npz(path: Path, *, test_fraction: float, seed: int) -> Data:
    """Reads `x_train, y_train, x_test, y_test` or, split by `seed`, one pool `x, y`; `classes` (names) may be added.

    Raises `TrainingError` where the file or a key is missing or damaged, or an array has another shape, type or range.
    """
    arrays = _read_arrays(path)
    if all(key in arrays for key in DIVIDED_KEYS):
        pairs = [("x_train", "y_train"), ("x_test", "y_test")]
    elif "x" in arrays and "y" in arrays:
        pairs = [("x", "y")]
    else:
        raise TrainingError(
            f"{path}: found the keys {sorted(arrays)}; needed are {', '.join(DIVIDED_KEYS)}, or x and y to be split."
        )
    checked = [(_images(path, x, arrays[x]), _labels(path, y, arrays[y], len(arrays[x]))) for x, y in pairs]
    names = _class_names(path, arrays.get("classes"), max(int(labels.max()) for _, labels in checked))
    for (_, key), (_, labels) in zip(pairs, checked, strict=True):
        if labels.max() >= len(names):
            row = int(np.argmax(labels >= len(names)))
            raise TrainingError(
                f"{path}: {key}[{row}] is {labels[row]}, but `classes` names {len(names)} classes; labels run from 0."
            )
    if len(checked) == 1:
        return _split(Samples(*checked[0], names), path, test_fraction, seed)
    return Data(train=Samples(*checked[0], names), test=Samples(*checked[1], names))


def load_folder(path: Path, *, test_fraction: float, seed: int) -> Data:
    """Reads `train/<class>/*` and `test/<class>/*`, or `<class>/*` split by `seed`; pictures are resized to 32 x 32.

    Classes are the folders' names sorted. Raises `TrainingError` where a folder is missing or empty, `test` has
    a class that `train` has not, or a picture cannot be read.
    """
    if not path.is_dir():
        raise TrainingError(
            f"{path}: no such folder; it must hold one folder a class, or `train` and `test` with these."
        )
    if (path / "train").is_dir() != (path / "test").is_dir():
        raise TrainingError(f"{path}: only one of `train` and `test` is there; give both, or one folder a class.")
    if not (path / "train").is_dir():
        return _split(_read_classes(path, _folders(path)), path, test_fraction, seed)
    train, test = _folders(path / "train"), _folders(path / "test")
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise TrainingError(
            f"{path / 'test' / unknown[0]}: this class is not in `train`, which has {', '.join(train)}."
        )
    return Data(train=_read_classes(path / "train", train), test=_read_classes(path / "test", train))


def save_data(data: Data, path: Path) -> None:
    """Keeps data for `read_data`, districts included; whole or not at all."""
    arrays: dict[str, NDArray[np.generic]] = {"classes": np.array(data.train.classes)}
    for part, samples in (("train", data.train), ("test", data.test)):
        arrays |= {f"x_{part}": samples.images, f"y_{part}": samples.labels}
        if samples.districts is not None:
            arrays[f"districts_{part}"] = samples.districts
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    unfinished.replace(path)


def read_data(path: Path) -> Data:
    """What `save_data` wrote. Raises `TrainingError` like `load_npz`."""
    data = load_npz(path, test_fraction=0.5, seed=0)
    places = _read_arrays(path)
    train, test = (places.get(f"districts_{part}") for part in ("train", "test"))
    if train is None or test is None:
        return data
    return Data(
        train=replace(data.train, districts=train.astype(np.int64)),
        test=replace(data.test, districts=test.astype(np.int64)),
    )


def _read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise TrainingError(
            f"{path}: no such file; a task's data may be an .npz file, a folder of pictures, or `signs`."
        )
    try:
        with path.open("rb") as file:  # numpy itself leaves a damaged file open
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise TrainingError(f"{path}: one bare array; save several with numpy.savez, by their names.")
            with archive:
                return {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise TrainingError(
            f"{path}: damaged or not an .npz file ({error}); write it again with numpy.savez."
        ) from error
    except ValueError as error:  # numpy's refusal to unpickle, or a broken header
        raise TrainingError(
            f"{path}: {error}. Arrays of Python objects are pickles and refused; store numbers and text only."
        ) from error


def _images(path: Path, key: str, array: NDArray[np.generic]) -> NDArray[np.uint8]:
    shape = (SIDE, SIDE, 3)
    if array.ndim != 4 or array.shape[1:] != shape or array.dtype != np.uint8:
        raise TrainingError(
            f"{path}: {key} has shape {array.shape} and type {array.dtype}; allowed: (n, {SIDE}, {SIDE}, 3), uint8. "
            f"Resize the pictures to {SIDE} x {SIDE}, put colour last, and scale to 0-255."
        )
    if not len(array):
        raise TrainingError(f"{path}: {key} is empty; it must hold at least one picture.")
    return np.ascontiguousarray(array, dtype=np.uint8)


def _labels(path: Path, key: str, array: NDArray[np.generic], images: int) -> IntArray:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise TrainingError(
            f"{path}: {key} has shape {array.shape} and type {array.dtype}; allowed: (n,), whole numbers."
        )
    if len(array) != images:
        raise TrainingError(f"{path}: {key} holds {len(array)} labels for {images} pictures; give one for each.")
    labels = array.astype(np.int64)
    if labels.min() < 0:
        row = int(np.argmax(labels < 0))
        raise TrainingError(
            f"{path}: {key}[{row}] is {labels[row]}; labels run from 0 to the number of classes less one."
        )
    return labels


def _class_names(path: Path, array: NDArray[np.generic] | None, largest: int) -> tuple[str, ...]:
    if array is None:
        return tuple(str(k) for k in range(largest + 1))
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise TrainingError(
            f"{path}: classes has shape {array.shape} and type {array.dtype}; allowed: one row of text."
        )
    return tuple(str(name) for name in array.astype(np.str_))


def _folders(path: Path) -> list[str]:
    names = sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise TrainingError(f"{path}: no folder in it; it must hold one folder of pictures for each class.")
    return names


def _read_classes(path: Path, classes: Sequence[str]) -> Samples:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = path / name
        files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        images += [_read_picture(file) for file in files]
        labels += [label] * len(files)
    if not images:
        raise TrainingError(f"{path}: no picture in its class folders; allowed endings: {', '.join(SUFFIXES)}.")
    return Samples(np.stack(images), np.array(labels, dtype=np.int64), tuple(classes))


def _read_picture(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise TrainingError(f"{path}: not a readable picture ({error}); replace it or take it away.") from error
    return np.asarray(small, dtype=np.uint8)


def _split(pool: Samples, path: Path, test_fraction: float, seed: int) -> Data:
    """Holds back a part of the pool, drawn by seed."""
    count = round(len(pool) * test_fraction)
    if not 0 < count < len(pool):
        raise TrainingError(
            f"{path}: holding back {test_fraction} of {len(pool)} samples leaves training or test empty; "
            "choose a fraction between 0 and 1, or give more samples."
        )
    order = stream(seed, "split").permutation(len(pool))
    test, train = np.sort(order[:count]), np.sort(order[count:])
    return Data(
        train=Samples(pool.images[train], pool.labels[train], pool.classes),
        test=Samples(pool.images[test], pool.labels[test], pool.classes),
    )
