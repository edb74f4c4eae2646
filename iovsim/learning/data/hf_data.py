"""Turns a folder that Hugging Face `datasets` has written with `save_to_disk` into samples, checked on the way in.

Nothing is fetched and no code of a data set is run: such a folder holds Arrow tables and their description only.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from iovsim.errors import TrainingError
from iovsim.learning.data.samples import Data, Pictures, Samples, Texts, split
from iovsim.learning.data.texts import LABELS, SENTENCES, class_names, find_columns, number

PICTURES = ("image", "img")
HELD_OUT = ("test", "validation")  # the first with labels is taken: the `test` of GLUE has none


@dataclass(frozen=True, slots=True)
class _Split:
    """One table of the folder; `table` is a `datasets.Dataset`, whose package has no types."""

    path: Path
    name: str
    table: Any

    def __str__(self) -> str:
        return f"{self.path}, split {self.name!r}"

    def where(self, row: int) -> str:
        return f"{self}, row {row}"


def load_hf(path: Path, *, side: int = 32, test_fraction: float, seed: int) -> Data:
    """Reads a saved `DatasetDict` with `train` and `test` (else `validation`), or one `Dataset`, split by `seed`.

    Inputs are the column `image` or `img`, resized to `side` x `side`, or the sentences in the columns that `load_tsv`
    knows; `label` or `labels` is a `ClassLabel`, whose names are kept, or holds whole numbers or names.
    Raises `TrainingError` where `datasets` is not installed, the folder is none of its own or damaged, a split, a
    column or a value is missing or of another kind, or the held-out split has a label that the training split has not.
    """
    splits = _open(path)
    if len(splits) == 1:
        (pool,) = splits.values()
        return split(_samples(pool, _columns(pool), _classes(pool), side), str(path), test_fraction, seed)
    held_out = [splits[name] for name in HELD_OUT if name in splits and any(_labels(splits[name]))]
    if "train" not in splits or not held_out:
        raise TrainingError(
            f"{path}: found the splits {', '.join(splits)}; needed are train and, with labels, test or validation. "
            "Rename them, or save a single one, which is then split by seed."
        )
    columns, classes = _columns(splits["train"]), _classes(splits["train"])
    train, test = (_samples(part, columns, classes, side) for part in (splits["train"], held_out[0]))
    return Data(train=train, test=test)


def _open(path: Path) -> dict[str, _Split]:
    """The folder's splits by name; a `Dataset` that was saved alone is named `all`."""
    try:
        import datasets
    except ImportError as error:
        raise TrainingError(
            f"{path}: this needs the package `datasets`, which is not installed; pip install 'iovsim[datasets]'."
        ) from error
    if not (path / "dataset_dict.json").is_file() and not (path / "state.json").is_file():
        raise TrainingError(
            f"{path}: no folder that `save_to_disk` of Hugging Face `datasets` has written; load the data set with "
            "that package, where there is a network, and save it."
        )
    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TrainingError(f"{path}: damaged or empty ({error}); save it again with save_to_disk.") from error
    tables = loaded if isinstance(loaded, datasets.DatasetDict) else {"all": loaded}
    splits = {name: _Split(path, name, table) for name, table in tables.items()}
    for part in splits.values():
        if not len(part.table):
            raise TrainingError(f"{part}: empty; it must hold at least one sample.")
    return splits


def _columns(part: _Split) -> tuple[str, ...]:
    """The names of the input columns: one of pictures, or one or two of sentences."""
    names = part.table.column_names
    columns = find_columns(names, [*((name,) for name in PICTURES), *SENTENCES], str(part))
    if columns[0] in PICTURES and any(set(choice) <= set(names) for choice in SENTENCES):
        raise TrainingError(f"{part}: both pictures and sentences in {', '.join(names)}; take one away.")
    return columns


def _samples(part: _Split, columns: tuple[str, ...], classes: tuple[str, ...], side: int) -> Samples:
    find_columns(part.table.column_names, [columns], str(part))
    inputs = _pictures(part, columns[0], side) if columns[0] in PICTURES else _texts(part, columns)
    labels = _labels(part)
    class_names(labels, part.where)  # a row without a label is told by its number
    return Samples(inputs, number(labels, classes, part.where), classes)


def _classes(part: _Split) -> tuple[str, ...]:
    """The names of a `ClassLabel`, also of classes that do not occur; else the labels that occur, sorted."""
    names = getattr(part.table.features[_label_column(part)], "names", None)
    return class_names(_labels(part), part.where) if names is None else tuple(names)


def _label_column(part: _Split) -> str:
    return find_columns(part.table.column_names, [(name,) for name in LABELS], str(part))[0]


def _labels(part: _Split) -> list[str]:
    """Each row's label as text; empty where it is missing, which a `ClassLabel` writes as -1."""
    column = _label_column(part)
    feature = part.table.features[column]
    names = getattr(feature, "names", None)
    kind = str(getattr(feature, "dtype", feature))
    if not kind.startswith(("int", "uint", "string", "large_string", "bool")):
        raise TrainingError(f"{part}: column {column!r} is of type {kind}; allowed: ClassLabel, whole numbers, text.")
    found = part.table[column]
    if names is None:
        return ["" if label is None else str(label) for label in found]
    return ["" if label is None or label < 0 else names[label] for label in found]


def _texts(part: _Split, columns: tuple[str, ...]) -> Texts:
    for column in columns:
        kind = str(getattr(part.table.features[column], "dtype", part.table.features[column]))
        if kind not in {"string", "large_string"}:
            raise TrainingError(f"{part}: column {column!r} is of type {kind}; allowed: text.")
    texts = tuple(zip(*(list(part.table[column]) for column in columns), strict=True))
    for row, sentences in enumerate(texts):
        if None in sentences:
            raise TrainingError(f"{part.where(row)}: no sentence in {columns[sentences.index(None)]!r}.")
    return texts


def _pictures(part: _Split, column: str, side: int) -> Pictures:
    """All pictures (n, side, side, 3), from the bytes in the table: a path or an address in it is not followed."""
    import datasets

    if not isinstance(part.table.features[column], datasets.Image):
        raise TrainingError(
            f"{part}: column {column!r} holds no pictures; cast it with cast_column({column!r}, datasets.Image())."
        )
    stored = part.table.cast_column(column, datasets.Image(decode=False))[column]
    images = np.empty((len(part.table), side, side, 3), dtype=np.uint8)
    for row, cell in enumerate(stored):
        if cell is None or cell["bytes"] is None:
            raise TrainingError(f"{part.where(row)}: no picture is stored there; save the data set with save_to_disk.")
        try:
            with Image.open(io.BytesIO(cell["bytes"])) as picture:
                images[row] = np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise TrainingError(f"{part.where(row)}: not a readable picture ({error}); take the row away.") from error
    return images
