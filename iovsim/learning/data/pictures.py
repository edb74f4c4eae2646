"""A file or a folder of pictures with class labels becomes samples, checked on the way in."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from iovsim.domain import IntArray
from iovsim.errors import TrainingError
from iovsim.learning.data.samples import Data, Pictures, Samples, split

LEAST_SIDE = 8
SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".bmp")
DIVIDED_KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: Path, *, test_fraction: float, seed: int) -> Data:
    """Reads `x_train, y_train, x_test, y_test` or, split by `seed`, one pool `x, y`; `classes` (names) may be added.

    Raises `TrainingError` where the file or a key is missing or damaged, or an array has another shape, type or range.
    """
    arrays = read_arrays(path)
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
        return split(Samples(*checked[0], names), str(path), test_fraction, seed)
    return Data(train=Samples(*checked[0], names), test=Samples(*checked[1], names))


def load_folder(path: Path, *, side: int, test_fraction: float, seed: int) -> Data:
    """Reads `train/<class>/*` and `test/<class>/*`, or `<class>/*` split by `seed`; pictures become `side` x `side`.

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
        return split(_read_classes(path, _folders(path), side), str(path), test_fraction, seed)
    train, test = _folders(path / "train"), _folders(path / "test")
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise TrainingError(
            f"{path / 'test' / unknown[0]}: this class is not in `train`, which has {', '.join(train)}."
        )
    return Data(train=_read_classes(path / "train", train, side), test=_read_classes(path / "test", train, side))


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of an `.npz` file. Raises `TrainingError` where it is missing, damaged or holds pickles."""
    if not path.is_file():
        raise TrainingError(f"{path}: no such file; a path in a scenario starts at its folder, that of --data here.")
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


def _images(path: Path, key: str, array: NDArray[np.generic]) -> Pictures:
    square = array.ndim == 4 and array.shape[1] == array.shape[2] >= LEAST_SIDE and array.shape[3] == 3
    if not square or array.dtype != np.uint8:
        raise TrainingError(
            f"{path}: {key} has shape {array.shape} and type {array.dtype}; allowed: (n, side, side, 3), uint8, "
            f"side at least {LEAST_SIDE}. Resize the pictures to one square, put colour last, and scale to 0-255."
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


def _read_classes(path: Path, classes: Sequence[str], side: int) -> Samples:
    images: list[Pictures] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = path / name
        files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        images += [_read_picture(file, side) for file in files]
        labels += [label] * len(files)
    if not images:
        raise TrainingError(f"{path}: no picture in its class folders; allowed endings: {', '.join(SUFFIXES)}.")
    return Samples(np.stack(images), np.array(labels, dtype=np.int64), tuple(classes))


def _read_picture(path: Path, side: int) -> Pictures:
    try:
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise TrainingError(f"{path}: not a readable picture ({error}); replace it or take it away.") from error
    return np.asarray(small, dtype=np.uint8)
