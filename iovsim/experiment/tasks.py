"""A task's section of the scenario becomes its backbone and its `Task`, with the architecture that is charged."""

from __future__ import annotations

import math

from iovsim.config import HubSection, MinilmSection, ModelFolderSection, RoadVitSection, Scenario, TaskSection
from iovsim.domain import Architecture, LoraRule, Recipe, Scaling, Task
from iovsim.energy import ARCHITECTURES, with_head, with_targets
from iovsim.errors import ScenarioError, near_match
from iovsim.learning.backbone import Backbone, layers
from iovsim.learning.footprint import footprint
from iovsim.learning.pretrained import from_folder, from_hub, minilm
from iovsim.learning.roadvit import roadvit
from iovsim.learning.samples import Data


def build_backbones(scenario: Scenario) -> dict[str, Backbone]:
    """Task to backbone; tasks with equal sections share one. Raises `TrainingError` for whatever is wrong with it."""
    made: dict[str, Backbone] = {}
    for task in scenario.tasks:
        key = task.backbone.model_dump_json()
        if key not in made:
            made[key] = _backbone(scenario, task)
    return {task.name: made[task.backbone.model_dump_json()] for task in scenario.tasks}


def build_task(scenario: Scenario, section: TaskSection, data: Data, backbone: Backbone) -> Task:
    """The task as the engine knows it.

    Raises `ScenarioError` for an unknown architecture to charge, `TrainingError` for layers that the backbone has not.
    """
    lora, training = section.lora, section.training
    layers(backbone.trunk, lora.targets, f"{scenario.name}: task {section.name!r}, key 'lora.targets'")
    classes = len(data.train.classes)
    return Task(
        task=section.name,
        classes=classes,
        ranks=section.ranks,
        lora=LoraRule(lora.alpha, Scaling(lora.scaling), lora.dropout, lora.targets),
        recipe=Recipe(
            learning_rate=training.learning_rate,
            batch_size=training.batch_size,
            optimiser=training.optimiser,
            weight_decay=training.weight_decay,
            clip_norm=math.inf if training.clip_norm is None else training.clip_norm,
            balanced=training.class_weights == "balanced",
        ),
        local_epochs=training.local_epochs,
        local_head=section.head == "local",
        round_energy_j=section.round_energy_j,
        charged=_charged(scenario, section, data, backbone),
    )


def _charged(scenario: Scenario, section: TaskSection, data: Data, backbone: Backbone) -> Architecture:
    """The architecture that is named, or the backbone's own as measured."""
    if section.charge_as is None:
        return footprint(backbone, data.train.inputs, section.lora.targets, len(data.train.classes))
    if section.charge_as not in ARCHITECTURES:
        raise ScenarioError(
            f"{scenario.name}: task {section.name!r}, key 'charge_as': unknown architecture {section.charge_as!r}; "
            f"{near_match(section.charge_as, ARCHITECTURES)}"
        )
    named = with_targets(ARCHITECTURES[section.charge_as], section.lora.targets)
    return with_head(named, len(data.train.classes))


def _backbone(scenario: Scenario, task: TaskSection) -> Backbone:
    match task.backbone:
        case RoadVitSection():
            return roadvit()
        case MinilmSection(max_tokens=tokens):
            return minilm(tokens)
        case HubSection(model=model, revision=revision, pooling=pooling, max_tokens=tokens):
            return from_hub(model, revision=revision, pooling=pooling, max_tokens=tokens)
        case ModelFolderSection(path=path, pooling=pooling, max_tokens=tokens):
            folder = scenario.resolved(path)
            return from_folder(folder, folder.name, pooling=pooling, max_tokens=tokens)
