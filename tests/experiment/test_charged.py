"""What a task is charged follows its data and its rule, whether the model is named or measured."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from iovsim.config import scenario_from
from iovsim.domain import Architecture, LoraRule
from iovsim.energy import ARCHITECTURES, with_lora
from iovsim.errors import ScenarioError, TrainingError
from iovsim.experiment.tasks import build_task
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.readers import TokenInputs
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.data.samples import Data, Pictures, Samples, Texts

BERT, VIT = ARCHITECTURES["bert-base-uncased"], ARCHITECTURES["vit-base-patch16-224"]


class Mixer(nn.Module):
    """A trunk with the usual two layers to adapt."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = torch.ones(*tokens.shape, 32)
        read: torch.Tensor = (self.query(states) + self.value(states)).mean(dim=1)
        return read


class Mixers(nn.Module):
    """A trunk of blocks, each of them a mixer."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Mixer() for _ in range(depth))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        read: torch.Tensor = sum(block(tokens, mask) for block in self.blocks)
        return read


def in_words(inputs: Pictures | Texts) -> TokenInputs:
    """A token for each word and two more."""
    assert not isinstance(inputs, np.ndarray)
    lengths = np.array([len(text.split()) + 2 for (text,) in inputs])
    return TokenInputs(np.ones((len(inputs), lengths.max()), dtype=np.int64), None, lengths)


def deep(depth: int) -> Backbone:
    return Backbone("deep", Mixers(depth).requires_grad_(False), 32, "", in_words)


WORDS = Backbone("words", Mixer().requires_grad_(False), 32, "", in_words)
SENTENCES: Texts = tuple(("ice " * (48 if row % 40 == 7 else row % 5 + 10),) for row in range(400))
"""10 to 14 words, and 48 in one of 40: 12.9 on average."""


def charged(backbone: Backbone, inputs: Pictures | Texts, **section: Any) -> Architecture:
    task = {"name": "t", "data": {"kind": "incidents"}, "ranks": [2, 4], "round_energy_j": 1.0, **section}
    plain = {
        "name": "any",
        "time": {"start_s": 0.0, "duration_s": 40.0},
        "mobility": {"map": "portside"},
        "rsus": {"placement": "junctions", "count": 2, "spacing_m": 400.0, "range_m": 200.0},
        "tasks": [task],
        "rounds": {"period_s": 20.0, "deadline_s": 18.0},
    }
    scenario = scenario_from(plain, Path("any.toml"))
    samples = Samples(inputs, np.arange(len(inputs)) % 2, ("a", "b"))
    return build_task(scenario, scenario.tasks[0], Data(samples, samples), backbone).charged


def test_a_named_text_encoder_reads_texts_of_the_tasks_own_length() -> None:
    found = charged(WORDS, SENTENCES, charge_as="bert-base-uncased")
    assert (found.tokens, found.long_tokens) == (15, 50)
    layer = 4 * 15 * 768**2 + 2 * 15**2 * 768 + 8 * 15 * 768**2
    assert found.forward_flops == 2 * (768**2 + 12 * layer)
    assert found.activation_bits == pytest.approx(50 / 128 * BERT.activation_bits)
    assert (found.widths, found.base_parameters) == (BERT.widths, BERT.base_parameters)
    assert found.head_parameters == 769 * 2


def test_a_measured_backbone_too() -> None:
    found = charged(WORDS, SENTENCES)
    assert (found.name, found.tokens, found.long_tokens) == ("words", 15, 50)
    assert found.forward_flops == 2 * 2 * 15 * 32 * 32


def test_pictures_are_charged_as_they_are_published() -> None:
    pictures: Pictures = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    for named in (VIT, BERT):
        found = charged(roadvit(), pictures, charge_as=named.name)
        assert (found.tokens, found.long_tokens) == (named.tokens, named.tokens)
        assert (found.forward_flops, found.activation_bits) == (named.forward_flops, named.activation_bits)
    assert charged(WORDS, SENTENCES, charge_as=VIT.name).tokens == VIT.tokens


@pytest.mark.parametrize("charge_as", [None, "vit-base-patch16-224"])
def test_dropout_is_charged_in_memory(charge_as: str | None) -> None:
    pictures: Pictures = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    without, dropping = (
        charged(roadvit(), pictures, charge_as=charge_as, lora={"dropout": dropout}) for dropout in (0.0, 0.1)
    )
    assert dropping.activation_bits > 1.2 * without.activation_bits
    assert dropping.full_activation_bits == without.full_activation_bits
    if charge_as:
        due = with_lora(VIT, LoraRule(alpha=1.0, dropout=0.1))
        assert dropping.activation_bits == due.activation_bits


@pytest.mark.parametrize("charge_as", [None, "vit-base-patch16-224", "roadvit"])
def test_the_top_blocks_alone_are_charged(charge_as: str | None) -> None:
    pictures: Pictures = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    costs = [charged(roadvit(), pictures, charge_as=charge_as, lora={"top_blocks": top}) for top in (1, 2, 6)]
    assert [len(found.widths) for found in costs] == [2, 4, 12]
    for fewer, more in pairwise(costs):
        assert fewer.backward_flops < more.backward_flops
        assert fewer.activation_bits < more.activation_bits
        assert fewer.forward_flops == more.forward_flops
        assert fewer.full_activation_bits == more.full_activation_bits


def test_texts_of_the_tasks_own_length_pass_through_the_top_blocks() -> None:
    sentences = charged(deep(4), SENTENCES, charge_as="bert-base-uncased", lora={"top_blocks": 2})
    layer = 4 * 15 * 768**2 + 2 * 15**2 * 768 + 8 * 15 * 768**2
    assert sentences.backward_flops == pytest.approx(2 * (768**2 + 2 * layer), rel=1e-12)
    assert sentences.activation_bits == pytest.approx(50 / 128 / 6 * BERT.activation_bits)


def test_more_blocks_than_the_backbone_or_the_charged_model_has() -> None:
    pictures: Pictures = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(
        TrainingError,
        match=r"any\.toml: task 't', lora, key 'top_blocks': found 7, but the model has 6 transformer blocks; set 1",
    ):
        charged(roadvit(), pictures, charge_as=VIT.name, lora={"top_blocks": 7})
    with pytest.raises(
        ScenarioError,
        match=r"any\.toml: task 't', key 'charge_as': top_blocks: found 8, but minilm-l6-h384 has 6 transformer blocks;"
        " set 1 to 6, or charge a deeper model",
    ):
        charged(deep(8), SENTENCES, charge_as="minilm-l6-h384", lora={"top_blocks": 8})
