"""Turns files of tab-separated sentences and labels, as GLUE has them, into samples, checked on the way in.

GLUE (Wang et al., "GLUE: A Multi-Task Benchmark", 2019) writes UTF-8 with a header, one sample a line, fields between
tabs, and no quoting: a quotation mark is a character like any other.
"""

from __future__ import annotations

import difflib
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iovsim.domain import IntArray
from iovsim.errors import TrainingError, near_match
from iovsim.learning.data.samples import Data, Samples, Texts, split

SENTENCES = (  # the first of these whose columns are all there is read, so pairs come before their halves
    ("question", "sentence"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("sentence",),
    ("text",),
)
LABELS = ("label", "labels")
ENDINGS = (".tsv", ".tsv.gz")


@dataclass(frozen=True, slots=True)
class _Rows:
    """What one file holds: the sentences and, as text, the label of each row; row i stands in line i + 2."""

    path: Path
    texts: Texts
    labels: tuple[str, ...]

    def where(self, row: int) -> str:
        return f"{self.path}, line {row + 2}"


def load_tsv(path: Path, *, test_fraction: float, seed: int) -> Data:
    """Reads a folder with `train` and `dev` (else `test`), or one file that is split by `seed`; .tsv or .tsv.gz.

    Sentences are the columns `question, sentence`, or `sentence1, sentence2`, or `sentence`, or `text`; `label` holds
    whole numbers or names. Classes are the labels that occur, sorted.
    Raises `TrainingError` where a file or column is missing, a file is damaged or empty, a line has another number of
    fields than the header or no label, or the held-out file has a label or columns that the training file has not.
    """
    if path.is_dir():
        train, test = _read(_member(path, ("train",))), _read(_member(path, ("dev", "test")))
        if train.texts and test.texts and len(train.texts[0]) != len(test.texts[0]):
            raise TrainingError(
                f"{test.path}: {len(test.texts[0])} sentences a row, but {train.path.name} has {len(train.texts[0])}; "
                "give both files the same columns."
            )
        classes = class_names(train.labels, train.where)
        held_out = Samples(test.texts, number(test.labels, classes, test.where), classes)
        return Data(train=Samples(train.texts, number(train.labels, classes, train.where), classes), test=held_out)
    pool = _read(path)
    classes = class_names(pool.labels, pool.where)
    return split(Samples(pool.texts, number(pool.labels, classes, pool.where), classes), str(path), test_fraction, seed)


def find_columns(header: Sequence[str], choices: Iterable[Sequence[str]], where: str) -> tuple[str, ...]:
    """The first of `choices` whose columns all stand in `header`. Raises `TrainingError` if none does, or one twice."""
    known = [tuple(choice) for choice in choices]
    for choice in known:
        if set(choice) <= set(header):
            twice = [name for name in choice if list(header).count(name) > 1]
            if twice:
                raise TrainingError(f"{where}: {twice[0]!r} heads two columns; rename the one that is not meant.")
            return choice
    names = {name for choice in known for name in choice}
    raise TrainingError(
        f"{where}: found the columns {', '.join(repr(name) for name in header)}; needed: "
        f"{' or '.join(' with '.join(choice) for choice in known)}.{_nearest(header, names)}"
    )


def class_names(labels: Sequence[str], where: Callable[[int], str]) -> tuple[str, ...]:
    """The labels that occur: whole numbers in their order, names by the alphabet. `where(row)` names a row in errors.

    Raises `TrainingError` at a row without a label, or with a decimal number, which is no class.
    """
    for row, label in enumerate(labels):
        if not label:
            raise TrainingError(f"{where(row)}: no label; every row of training and test needs one.")
        if re.fullmatch(r"[+-]?\d*\.\d+", label):
            raise TrainingError(
                f"{where(row)}: label {label!r} is a decimal; labels are classes: whole numbers or names."
            )
    found = set(labels)
    whole = all(re.fullmatch(r"-?\d{1,18}", label) for label in found)
    return tuple(sorted(found, key=int) if whole else sorted(found))


def number(labels: Sequence[str], classes: Sequence[str], where: Callable[[int], str]) -> IntArray:
    """The place of each label in `classes`, (n,). Raises `TrainingError` at one that is not there."""
    places = {name: place for place, name in enumerate(classes)}
    for row, label in enumerate(labels):
        if label not in places:
            raise TrainingError(
                f"{where(row)}: label {label!r} is not in the training data; {near_match(label, classes)}"
            )
    return np.array([places[label] for label in labels], dtype=np.int64)


def _member(folder: Path, stems: Sequence[str]) -> Path:
    """The file of the first stem that is there, plain or compressed."""
    for stem in stems:
        found = [folder / f"{stem}{ending}" for ending in ENDINGS if (folder / f"{stem}{ending}").is_file()]
        if len(found) > 1:
            raise TrainingError(f"{folder}: {found[0].name} and {found[1].name} are both there; keep one of them.")
        if found:
            return found[0]
    allowed = [f"{stem}{ending}" for stem in stems for ending in ENDINGS]
    present = sorted(file.name for file in folder.iterdir() if file.is_file())
    raise TrainingError(
        f"{folder}: no {' or '.join(allowed)} in it, found {', '.join(present) or 'no file'}."
        f"{_nearest(present, allowed)} A single file, named itself, would be split by seed."
    )


def _nearest(found: Sequence[str], allowed: Iterable[str]) -> str:
    """A sentence about the one of the found names that comes nearest to an allowed one, if any does."""
    names = sorted(allowed)
    close = next((name for name in found if difflib.get_close_matches(name, names, n=1)), None)
    return "" if close is None else f" {close!r}: {near_match(close, names)}"


def _read(path: Path) -> _Rows:
    lines = _lines(path)
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise TrainingError(f"{path}: empty; the first line must name the columns.")
    header = lines[0].split("\t")
    columns = [header.index(name) for name in find_columns(header, SENTENCES, str(path))]
    label = header.index(find_columns(header, [(name,) for name in LABELS], str(path))[0])
    if len(lines) == 1:
        raise TrainingError(f"{path}: no row behind the header; it must hold at least one sample.")
    rows = [line.split("\t") for line in lines[1:]]
    for k, row in enumerate(rows):
        if len(row) != len(header):
            raise TrainingError(
                f"{path}, line {k + 2}: {len(row)} fields, but the header names {len(header)} ({', '.join(header)}); "
                "fields stand between tabs, quotation marks mean nothing, and a sentence holds no tab or line break."
            )
    return _Rows(path, tuple(tuple(row[c] for c in columns) for row in rows), tuple(row[label] for row in rows))


def _lines(path: Path) -> list[str]:
    """The file's lines, without a byte-order mark and the carriage returns of Windows."""
    if not path.is_file():
        raise TrainingError(
            f"{path}: no such file or folder; give a .tsv or .tsv.gz file, or a folder with train and dev."
        )
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(f"{path}: cannot be read or unpacked ({error}); compress or fetch it again.") from error
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TrainingError(f"{path}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8.") from error
    lines = text.split("\n")  # not splitlines(), which takes characters inside sentences for line breaks
    return [line.removesuffix("\r") for line in lines] if lines[0].endswith("\r") else lines
