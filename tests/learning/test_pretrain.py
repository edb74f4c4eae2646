"""Pretraining: repeatable, made of what it says, and its file is one that the model reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from iovsim.learning.backbones.roadvit import RoadViT, trained, untrained
from iovsim.learning.pretraining import exercises, pretrain
from iovsim.learning.pretraining.exercises import QUESTIONS, UNASKED, Parts, draw_batch, figure_names, make_parts
from iovsim.learning.pretraining.pretrain import Reader, blended, half, save, train
from iovsim.rng import stream


@pytest.fixture(scope="module")
def parts() -> Parts:
    with pytest.MonkeyPatch.context() as patch:  # fewer, so that they are drawn in a moment
        for name, few in (("BODIES", 12), ("HOUSINGS", 16), ("FRACTALS", 6), ("BLOBS", 30)):
            patch.setattr(exercises, name, few)
        return make_parts()


def _column(answers: np.ndarray, question: str) -> np.ndarray:
    asked: np.ndarray = answers[:, list(QUESTIONS).index(question)]
    return asked


def test_figures_are_many_and_all_different(parts: Parts) -> None:
    assert 200 < len(parts.figures) <= len(figure_names())
    flat = parts.figures.flatten(1)
    distance = torch.cdist(flat, flat, p=1) / flat.shape[1] + torch.eye(len(flat))
    assert distance.min() >= 0.0119  # the bound, less the rounding of the sum


def test_a_batch_is_repeatable_and_its_answers_are_in_range(parts: Parts) -> None:
    images, answers = draw_batch(parts, 64, stream(1, "batch"), 1.0)
    again, _ = draw_batch(parts, 64, stream(1, "batch"), 1.0)
    assert images.shape == (64, 32, 32, 3)
    assert np.array_equal(images, again)
    for question, count in parts.answers.items():
        asked = _column(answers, question)
        assert ((asked == UNASKED) | ((asked >= 0) & (asked < count))).all(), question
        assert (asked != UNASKED).any(), f"nobody is asked for {question}"
    assert (_column(answers, "weather") != UNASKED).all()


def test_a_picture_is_asked_about_what_it_shows(parts: Parts) -> None:
    _, answers = draw_batch(parts, 64, stream(2, "batch"), 0.5)
    signs, bodies, housings, crowds = answers[:32], answers[32:52], answers[52:58], answers[58:]
    for question, group in (("figure", signs), ("body", bodies), ("lamps", housings), ("count", crowds)):
        assert (_column(group, question) != UNASKED).all()
        assert (_column(answers, question) != UNASKED).sum() == len(group)
    assert (_column(signs, "fill") != _column(signs, "ink")).all()  # else the figure could not be seen
    assert (_column(housings, "burning") <= _column(housings, "lamps") + 1).all()


def test_the_loss_counts_only_what_was_asked() -> None:
    reader = Reader(untrained(0), {"figure": 4, "shape": 3}).eval()
    x = torch.zeros(2, 3, 32, 32)
    nothing = torch.full((2, 2), UNASKED)
    assert reader.loss(x, nothing).item() == 0
    figure = nothing.clone()
    figure[:, 0] = 1
    shape = nothing.clone()
    shape[:, 1] = 1
    both = torch.ones(2, 2, dtype=torch.int64)
    assert reader.loss(x, both).item() == pytest.approx(reader.loss(x, figure).item() + reader.loss(x, shape).item())


def test_training_repeats_itself_and_its_weights_load(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "BATCH", 32)
    monkeypatch.setattr(pretrain, "KEPT", 1)
    monkeypatch.setattr(pretrain, "make_parts", lambda: parts)
    kept: list[int] = []

    def keep(_: RoadViT, steps: int) -> None:
        kept.append(steps)

    first, again = (train(untrained(3), 3, 2, "cpu", keep) for _ in range(2))
    assert kept == [1, 2, 1, 2]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    path = tmp_path / "new" / "weights.safetensors"
    save(half(first), path, {"seed": "3"})
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    loaded = trained(path).embeddings.position.detach().numpy()
    np.testing.assert_allclose(loaded, first.embeddings.position.detach().numpy(), atol=1e-3)  # stored as float16


def test_a_blend_lies_between_its_ends() -> None:
    start, end = half(untrained(1)), half(untrained(2))
    middle = blended(start, end, 0.5)
    assert all(torch.equal(blended(start, end, 0.0)[name], start[name]) for name in start)
    assert all(torch.equal(blended(start, end, 1.0)[name], end[name]) for name in start)
    for name, tensor in middle.items():
        torch.testing.assert_close(tensor, (start[name].float() + end[name].float()).div(2).half())


def test_the_command_goes_on_from_given_weights_and_says_so(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "BATCH", 32)
    monkeypatch.setattr(pretrain, "make_parts", lambda: parts)
    start, out = tmp_path / "start.safetensors", tmp_path / "out.safetensors"
    save(half(untrained(9)), start, {})
    monkeypatch.setattr("sys.argv", ["pretrain", "--steps", "1", "--start", str(start), "--out", str(out)])
    pretrain.main()
    with safe_open(out, framework="numpy") as file:
        facts = file.metadata()
    assert facts["start"] == hashlib.sha256(start.read_bytes()).hexdigest()
    assert (facts["steps"], facts["images"], facts["script_version"]) == ("1", "32", pretrain.VERSION)
    before, after = trained(start), trained(out)
    moved = [float((a - b).detach().abs().max()) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert 0 < max(moved) < 0.01  # one step away from where it started, not from anew
