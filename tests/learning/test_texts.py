"""Reading tab-separated text: what is written comes back, real GLUE files are read, each fault has its own error."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.errors import TrainingError
from iovsim.learning.data.samples import Data
from iovsim.learning.data.texts import load_tsv

FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"))
LABEL = FIELD.filter(lambda text: text != "" and not text.lstrip("+-").replace(".", "").isdigit())


def _load(path: Path) -> Data:
    return load_tsv(path, test_fraction=0.25, seed=0)


def _write(path: Path, *lines: str) -> Path:
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def _folder(tmp_path: Path, train: Sequence[str], dev: Sequence[str]) -> Path:
    _write(tmp_path / "train.tsv", *train)
    _write(tmp_path / "dev.tsv", *dev)
    return tmp_path


@given(rows=st.lists(st.tuples(FIELD, FIELD, LABEL), min_size=1, max_size=8), compressed=st.booleans())
@settings(max_examples=80, deadline=None)
def test_any_text_comes_back_as_it_was_written(rows: list[tuple[str, str, str]], compressed: bool) -> None:
    lines = ["sentence1\tlabel\tid\tsentence2", *(f"{a}\t{label}\t7\t{b}" for a, b, label in rows)]
    with tempfile.TemporaryDirectory() as folder:
        for stem in ("train", "dev"):
            _write(Path(folder) / f"{stem}.tsv{'.gz' if compressed else ''}", *lines)
        data = _load(Path(folder))
    for samples in (data.train, data.test):
        assert samples.inputs == tuple((a, b) for a, b, _ in rows)
        assert [samples.classes[k] for k in samples.labels] == [label for _, _, label in rows]
        assert samples.classes == tuple(sorted({label for _, _, label in rows}))


def test_sst2_is_read_whole(shared: Path) -> None:
    data = _load(shared / "data" / "sst2")
    assert (len(data.train), len(data.test)) == (67_349, 872)
    assert data.train.classes == data.test.classes == ("0", "1")
    assert np.bincount(data.train.labels).tolist() == [29_780, 37_569]
    assert np.bincount(data.test.labels).tolist() == [428, 444]
    assert data.train.inputs[0] == ("hide new secretions from the parental units ",)


def test_qnli_is_read_as_pairs(shared: Path) -> None:
    data = _load(shared / "data" / "qnli")
    assert (len(data.train), len(data.test)) == (10_293, 5_463)
    assert data.train.classes == ("entailment", "not_entailment")
    assert np.bincount(data.test.labels).tolist() == [2_702, 2_761]
    assert data.test.inputs[0] == (
        "What came into force after the new constitution was herald?",
        "As of that day, the new constitution heralding the Second Republic came into force.",
    )


def test_a_single_file_is_split_by_seed(tmp_path: Path) -> None:
    path = _write(tmp_path / "all.tsv.gz", "label\ttext", *(f"{k % 3}\tmessage {k}" for k in range(20)))
    data, other = _load(path), load_tsv(path, test_fraction=0.25, seed=1)
    assert (len(data.train), len(data.test)) == (15, 5)
    assert sorted([*data.train.inputs, *data.test.inputs]) == sorted((f"message {k}",) for k in range(20))
    assert data.test.inputs == _load(path).test.inputs != other.test.inputs


def test_quotes_are_literal_and_windows_line_ends_and_byte_order_marks_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "all.tsv"
    path.write_bytes('\ufefftext\tlabel\r\n"he said\t1\r\nsee\u2028you\t0\r\nbye\t0'.encode())
    data = load_tsv(path, test_fraction=0.4, seed=0)
    assert {*data.train.inputs, *data.test.inputs} == {('"he said',), ("see\u2028you",), ("bye",)}


def test_whole_numbers_are_classes_in_their_order_whatever_they_begin_with(tmp_path: Path) -> None:
    rows = ["text\tlabels", "a\t10", "b\t-1", "c\t9"]
    data = _load(_folder(tmp_path, rows, rows))
    assert data.train.classes == ("-1", "9", "10")
    assert data.train.labels.tolist() == [2, 0, 1]


def test_dev_is_held_out_even_if_test_is_there_too_and_test_if_it_is_alone(tmp_path: Path) -> None:
    _write(tmp_path / "train.tsv", "text\tlabel", "a\t0")
    _write(tmp_path / "test.tsv.gz", "text\tlabel", "from test\t0")
    assert _load(tmp_path).test.inputs == (("from test",),)
    _write(tmp_path / "dev.tsv", "text\tlabel", "from dev\t0")
    assert _load(tmp_path).test.inputs == (("from dev",),)


GOOD = ("sentence\tlabel", "good\t1", "bad\t0")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), r"all\.tsv: empty; the first line must name the columns"),
        (GOOD[:1], "no row behind the header"),
        (("sentense\tlabel", "good\t1"), r"found the columns 'sentense', 'label'; .*did you mean 'sentence'\?"),
        (("question\tlabel", "good\t1"), "needed: question with sentence or sentence1 with sentence2"),
        (("sentence\tlable", "good\t1"), r"needed: label or labels\. 'lable': did you mean 'label'\?"),
        (("sentence\tlabel\tlabel", "good\t1\t1"), "'label' heads two columns"),
        ((*GOOD, "no label"), r"line 4: 1 fields, but the header names 2 \(sentence, label\)"),
        ((*GOOD, "one\ttab\t1"), "line 4: 3 fields, but the header names 2"),
        ((*GOOD, "", "more\t1"), "line 4: 1 fields"),
        ((*GOOD, "fine\t"), "line 4: no label"),
        ((*GOOD, "fine\t3.8"), r"line 4: label '3\.8' is a decimal"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, lines: Sequence[str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        _load(_write(tmp_path / "all.tsv", *lines))


@pytest.mark.parametrize(
    ("dev", "message"),
    [
        (("sentence\tlabel", "good\t1", "so so\tneutral"), r"dev\.tsv, line 3: label 'neutral' is not in the training"),
        (("question\tsentence\tlabel", "a\tb\t1"), r"dev\.tsv: 2 sentences a row, but train\.tsv has 1"),
        (("index\tsentence", "0\tgood"), "found the columns 'index', 'sentence'; needed: label or labels"),
    ],
)
def test_a_held_out_file_that_does_not_fit_is_refused(tmp_path: Path, dev: Sequence[str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        _load(_folder(tmp_path, GOOD, dev))


def test_a_folder_without_its_files_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no train\.tsv or train\.tsv\.gz in it, found no file\."):
        _load(tmp_path)
    _write(tmp_path / "trian.tsv", *GOOD)
    with pytest.raises(TrainingError, match=r"found trian\.tsv\. 'trian\.tsv': did you mean 'train\.tsv'\?"):
        _load(tmp_path)
    _write(tmp_path / "train.tsv", *GOOD)
    with pytest.raises(TrainingError, match=r"no dev\.tsv or dev\.tsv\.gz or test\.tsv or test\.tsv\.gz in it"):
        _load(tmp_path)
    _write(tmp_path / "train.tsv.gz", *GOOD)
    with pytest.raises(TrainingError, match=r"train\.tsv and train\.tsv\.gz are both there"):
        _load(tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.tsv: no such file or folder"):
        _load(tmp_path / "none.tsv")


@pytest.mark.parametrize(
    "content",
    [b"text\tlabel\na\t0\n", gzip.compress(b"text\tlabel\na\t0\n" * 99)[:-12], b"\x1f\x8b\x08"],
    ids=["plain", "cut", "header"],  # an archive holds the time, and workers must collect equal names
)
def test_a_broken_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "all.tsv.gz"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"all\.tsv\.gz: cannot be read or unpacked"):
        _load(path)


def test_bytes_that_are_not_utf8_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "all.tsv"
    path.write_bytes("text\tlabel\nfine\t0\ncaf\xe9\t1\n".encode("latin-1"))
    with pytest.raises(TrainingError, match=r"line 3: not UTF-8"):
        _load(path)


def test_a_fraction_that_holds_nothing_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holding back"):
        load_tsv(_write(tmp_path / "all.tsv", *GOOD), test_fraction=0.1, seed=0)
