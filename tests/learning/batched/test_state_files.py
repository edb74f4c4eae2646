"""States that outlive their process are taken up whole and unchanged, or worked out again, and never kill a run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from iovsim.domain import IntArray, Precision
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.batched import state_files
from iovsim.learning.batched.kept import GROUP, Kept
from iovsim.learning.batched.models import Models
from iovsim.learning.batched.state_files import DIGESTS, ROWS, SHAPE, Shape, StatesPlace, made, opened


class Numbers:
    """Samples of known states, that count how many are worked out."""

    def __init__(self, lengths: IntArray) -> None:
        self.lengths = lengths
        self.worked_out = 0

    def batch(self, rows: IntArray) -> tuple[Tensor, ...]:
        self.worked_out += len(rows)
        states = torch.zeros(len(rows), int(self.lengths[rows].max()), 3)
        for place, row in enumerate(rows):
            states[place, : self.lengths[row]] = float(row + 1)
        return (states,)

    def digest(self) -> str:
        return "numbers"


LENGTHS = {
    "alike": np.full(2 * GROUP + 5, 4),
    "different": np.random.default_rng(0).integers(1, 9, 2 * GROUP + 5),
}
BELOW = {
    "tokens": lambda states: states,
    "beside": lambda states: torch.cat((states[:, :1], states), dim=1),
    "features": lambda states: states.sum(dim=1),
    "bf16": lambda states: states.bfloat16(),
}


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("below", BELOW)
def test_a_second_process_finds_what_the_first_worked_out(tmp_path: Path, lengths: str, below: str) -> None:
    first, second = Numbers(LENGTHS[lengths]), Numbers(LENGTHS[lengths])
    rows = np.array([3, GROUP + 2, 2 * GROUP + 4])
    before = Kept(first, BELOW[below], folder=tmp_path / "states").states(rows)
    after = Kept(second, BELOW[below], folder=tmp_path / "states").states(rows)
    assert first.worked_out == len(first.lengths)
    assert second.worked_out == 0
    assert before.dtype == after.dtype
    assert torch.equal(before, after)
    assert torch.equal(before, Kept(Numbers(LENGTHS[lengths]), BELOW[below]).states(rows))


@pytest.mark.parametrize("file", [ROWS, DIGESTS])
def test_what_was_altered_is_worked_out_again(tmp_path: Path, file: str) -> None:
    first = Kept(Numbers(LENGTHS["alike"]), BELOW["tokens"], folder=tmp_path / "states").states(np.array([3]))
    content = bytearray((tmp_path / "states" / file).read_bytes())
    content[5] ^= 1
    (tmp_path / "states" / file).write_bytes(content)
    numbers = Numbers(LENGTHS["alike"])
    assert torch.equal(Kept(numbers, BELOW["tokens"], folder=tmp_path / "states").states(np.array([3])), first)
    assert numbers.worked_out == GROUP


@pytest.mark.parametrize("file", [ROWS, DIGESTS, SHAPE])
def test_files_that_were_cut_are_made_anew(tmp_path: Path, file: str) -> None:
    for _ in range(2):
        numbers = Numbers(LENGTHS["alike"])
        kept = Kept(numbers, BELOW["tokens"], folder=tmp_path / "states")
        assert kept.states(np.array([3])).tolist() == [[[4.0] * 3] * 4]
        assert numbers.worked_out == GROUP
        (tmp_path / "states" / file).write_bytes((tmp_path / "states" / file).read_bytes()[:7])


def test_files_of_other_samples_are_not_taken_up(tmp_path: Path) -> None:
    Kept(Numbers(LENGTHS["alike"]), BELOW["tokens"], folder=tmp_path / "states").states(np.array([3]))
    numbers = Numbers(LENGTHS["alike"][:70])
    assert Kept(numbers, BELOW["tokens"], folder=tmp_path / "states").states(np.array([3])).shape == (1, 4, 3)
    assert numbers.worked_out == GROUP


def test_without_space_states_are_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    kept = Kept(Numbers(LENGTHS["alike"]), BELOW["tokens"], folder=tmp_path / "states")
    assert kept.states(np.array([3])).tolist() == [[[4.0] * 3] * 4]
    assert list(tmp_path.iterdir()) == []


def test_what_was_opened_longest_ago_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(rows=100, width=10, groups=2, beside=0, dtype=torch.float32)
    monkeypatch.setattr(state_files, "LIMIT_BYTES", 2 * shape.size_bytes)
    for name in ("a", "b"):
        assert made(tmp_path / name, shape) is not None
    os.utime(tmp_path / "a", (1.0, 1.0))
    os.utime(tmp_path / "b", (2.0, 2.0))
    assert opened(tmp_path / "a") is not None  # used again
    assert made(tmp_path / "c", shape) is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "c"]
    assert made(tmp_path / "d", Shape(1000, 10, 2, 0, torch.float32)) is None


def test_folders_tell_apart_all_that_states_depend_on(tmp_path: Path) -> None:
    backbone = roadvit()
    pictures = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3)).astype(np.uint8)
    names: list[str] = []
    for way, shown, top in (("a", pictures, 5), ("b", pictures, 5), ("a", pictures[:2], 5), ("a", pictures, 4)):
        models = Models(Precision.FP32, torch.device("cpu"), StatesPlace(tmp_path, way))
        inputs = backbone.prepare(shown)
        cut = models.cut(backbone, (f"blocks.{top}.attention.query",), 0.0)
        models.source(backbone, cut, inputs).work_out(np.array([0]))
        names += [p.name for p in tmp_path.iterdir() if p.name not in names]
    assert len(names) == 4
