"""Pretraining: repeatable, made of what it says, and its file is one that the model reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from iovsim.learning import pretrain
from iovsim.learning.pretrain import Parts, draw_batch, figure_names, make_parts, save, train
from iovsim.learning.roadvit import build
from iovsim.rng import stream


@pytest.fixture(scope="module")
def parts() -> Parts:
    return make_parts()


def test_figures_are_many_and_all_different(parts: Parts) -> None:
    assert 300 < len(parts.figures) <= len(figure_names())
    flat = parts.figures.flatten(1)
    distance = torch.cdist(flat, flat, p=1) / flat.shape[1] + torch.eye(len(flat))
    assert distance.min() >= 0.0119  # the bound, less the rounding of the sum


def test_a_batch_is_repeatable_and_its_answers_are_in_range(parts: Parts) -> None:
    x, answers = draw_batch(parts, 16, stream(1, "batch"), 1.0)
    again, _ = draw_batch(parts, 16, stream(1, "batch"), 1.0)
    assert x.shape == (16, 3, 32, 32)
    assert torch.equal(x, again)
    assert (answers >= 0).all()
    assert (answers < torch.tensor(parts.answers)).all()
    fill, ink = answers[:, 4], answers[:, 5]
    assert (fill != ink).all()  # else the figure could not be seen


def test_training_repeats_itself_and_its_weights_load(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "BATCH", 8)
    monkeypatch.setattr(pretrain, "make_parts", lambda: parts)
    (first, steps), (again, _) = train(seed=3, steps=2), train(seed=3, steps=2)
    assert steps == 2
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    path = tmp_path / "new" / "weights.safetensors"
    save(first, path, {"seed": "3"})
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    loaded = build(5, seed=0, weights=path)
    found = loaded.position.detach().numpy()
    np.testing.assert_allclose(found, first.position.detach().numpy(), atol=1e-3)  # stored as float16
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"seed": "3"}
