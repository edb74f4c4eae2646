"""A task's section of the scenario becomes its backbone and its `Task`, with the architecture that is charged."""

from __future__ import annotations

import math

import numpy as np

from iovsim.config import HubSection, MinilmSection, ModelFolderSection, RoadVitSection, Scenario, TaskSection
from iovsim.domain import Architecture, LoraRule, Recipe, Scaling, Task, Tuning
from iovsim.energy import ARCHITECTURES, with_head, with_lora, with_tokens
from iovsim.errors import ScenarioError, located, near_match
from iovsim.learning.backbones.backbone import Backbone, adapted_blocks, layers
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.learning.data.samples import Data
from iovsim.learning.footprint import footprint, usual_and_long_tokens
from iovsim.learning.lora import PREFIX


def build_backbones(scenario: Scenario) -> dict[str, Backbone]:
    """Task to backbone; tasks with equal sections share one. Raises `TrainingError` for whatever is wrong with it."""
    made: dict[str, Backbone] = {}
    for task in scenario.tasks:
        key = task.backbone.model_dump_json()
        if key not in made:
            with located(f"{scenario.where}: task {task.name!r}, key 'backbone'"):
                made[key] = _backbone(scenario, task)
    return {task.name: made[task.backbone.model_dump_json()] for task in scenario.tasks}


def build_task(scenario: Scenario, section: TaskSection, data: Data, backbone: Backbone) -> Task:
    """The task as the engine knows it.

    Raises `ScenarioError` for an architecture to charge that is unknown or has too few blocks, `TrainingError` for
    layers or blocks that the backbone has not.
    """
    rule, training = _rule(section), section.training
    where = f"{scenario.where}: task {section.name!r}"
    adapted = layers(backbone.trunk, rule.targets, f"{where}, lora", rule.top_blocks)
    narrowest = min(min(layer.in_features, layer.out_features) for layer in adapted.values())
    if max(section.ranks) > narrowest:
        raise ScenarioError(
            f"{where}, key 'ranks': found {max(section.ranks)}, but the narrowest adapted layer of {backbone.name} is "
            f"{narrowest} wide, and no update has a higher rank; leave out ranks above it."
        )
    with located(where):
        backbone.prepare(data.train.inputs[:1])
    classes = len(data.train.classes)
    return Task(
        task=section.name,
        classes=classes,
        ranks=section.ranks,
        lora=rule,
        recipe=Recipe(
            learning_rate=training.rates["lora"],
            batch_size=training.batch_size,
            optimiser=training.optimiser,
            weight_decay=training.weight_decay,
            clip_norm=math.inf if training.clip_norm is None else training.clip_norm,
            balanced=training.class_weights == "balanced",
        ),
        learning_rates={Tuning(name): rate for name, rate in training.rates.items()},
        local_epochs=training.local_epochs,
        local_head=section.head == "local",
        round_energy_j=section.round_energy_j,
        charged=_charged(scenario, section, data, backbone),
        blocks=tuple(f"{PREFIX}trunk.{name}" for name in adapted_blocks(backbone.trunk, rule.top_blocks)),
    )


def check_tuning(scenario: Scenario, tuning: Tuning) -> None:
    """Raises `ScenarioError` where a task does not say how a method that trains so is to train it."""
    for task in scenario.tasks:
        where = f"{scenario.where}: task {task.name!r}"
        if tuning not in task.training.rates:
            raise ScenarioError(
                f"{where}, key 'training.learning_rate': no rate for tuning {tuning!s}, and that of adapters would not "
                f"suit it; write learning_rate = {{ lora = {task.training.rates['lora']:g}, {tuning!s} = ... }}."
            )
        if tuning is Tuning.HEAD and task.head == "local":
            raise ScenarioError(
                f"{where}: with tuning head and heads that stay local there is nothing to send; set head = 'federated'."
            )


def _charged(scenario: Scenario, section: TaskSection, data: Data, backbone: Backbone) -> Architecture:
    """The architecture that is named, for texts as long as the backbone sees them, or the backbone's as measured."""
    rule, inputs, classes = _rule(section), data.train.inputs, len(data.train.classes)
    where = f"{scenario.where}: task {section.name!r}, key 'charge_as'"
    if section.charge_as is None:
        return footprint(backbone, inputs, rule, classes)
    if section.charge_as not in ARCHITECTURES:
        raise ScenarioError(
            f"{where}: unknown architecture {section.charge_as!r}; {near_match(section.charge_as, ARCHITECTURES)}"
        )
    with located(where):  # it may have fewer blocks than the rule adapts
        named = with_head(with_lora(ARCHITECTURES[section.charge_as], rule), classes)
    pictures = isinstance(inputs, np.ndarray)
    return named if pictures else with_tokens(named, *usual_and_long_tokens(backbone, inputs))


def _rule(section: TaskSection) -> LoraRule:
    lora = section.lora
    return LoraRule(lora.alpha, Scaling(lora.scaling), lora.dropout, lora.targets, lora.top_blocks)


def _backbone(scenario: Scenario, task: TaskSection) -> Backbone:
    if isinstance(task.backbone, RoadVitSection):
        return roadvit()
    from iovsim.learning.backbones.pretrained import from_folder, from_hub, minilm  # late: transformers takes seconds

    match task.backbone:
        case MinilmSection(max_tokens=tokens):
            return minilm(tokens)
        case HubSection(model=model, revision=revision, pooling=pooling, max_tokens=tokens):
            return from_hub(model, revision=revision, pooling=pooling, max_tokens=tokens)
        case ModelFolderSection(path=path, pooling=pooling, max_tokens=tokens):
            folder = scenario.resolved(path)
            return from_folder(folder, folder.name, pooling=pooling, max_tokens=tokens)
