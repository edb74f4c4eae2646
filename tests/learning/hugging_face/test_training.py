"""Models of Hugging Face train like any backbone: LoRA, head or everything; the shared weights stay as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from iovsim.domain import ROLES, Architecture, LoraRule, Recipe, Scaling, Task, TrainJob, Tuning, Update
from iovsim.learning import lora
from iovsim.learning.adapter_files import save_adapter
from iovsim.learning.backbones.backbone import Backbone, classifier
from iovsim.learning.backbones.pretrained import from_folder
from iovsim.learning.data.samples import Data, Pictures, Samples, Texts
from iovsim.learning.evaluate import logits
from iovsim.learning.prepared import LearningTask
from iovsim.learning.trainer import PeftTrainer

Folder = Callable[[str], Path]
FAMILIES = ("vit", "swin", "bert", "roberta", "distilbert")
CLASSES = 3
EVERYWHERE = LoraRule(alpha=8.0, scaling=Scaling.RSLORA, targets=ROLES)
ROWS = np.arange(12)


def _task(rule: LoraRule) -> Task:
    charged = Architecture(
        name="any",
        forward_flops=1.0,
        backward_flops=1.0,
        tokens=1,
        long_tokens=1,
        widths=((1, 1),),
        base_parameters=1,
        activation_bits=1.0,
        full_activation_bits=1.0,
        parameter_bits=32,
        head_parameters=1,
    )
    return Task(
        task="t",
        classes=CLASSES,
        ranks=(2,),
        lora=rule,
        recipe=Recipe(learning_rate=1e-2, batch_size=4),
        learning_rates=dict.fromkeys(Tuning, 1e-3),
        local_epochs=1,
        local_head=False,
        round_energy_j=1.0,
        charged=charged,
    )


def _learning(backbone: Backbone, inputs: Pictures | Texts, rule: LoraRule) -> LearningTask:
    samples = Samples(inputs, np.arange(12) % CLASSES, ("a", "b", "c"))
    return LearningTask(_task(rule), backbone, Data(samples, samples), samples)


def _backbone(saved: Folder, family: str) -> Backbone:
    return from_folder(saved(family), family, max_tokens=None if family in ("vit", "swin") else 32)


def _inputs(family: str, request: pytest.FixtureRequest) -> Pictures | Texts:
    made: Pictures | Texts = request.getfixturevalue("pictures" if family in ("vit", "swin") else "pairs")
    return made


def _job(trainer: PeftTrainer, tuning: Tuning, epochs: int) -> TrainJob:
    return TrainJob(
        round=0,
        vehicle="v",
        rsu="r",
        task="t",
        adapter=trainer.initial("t", 2, seed=1, tuning=tuning),
        samples=ROWS,
        epochs=epochs,
        recipe=Recipe(learning_rate=1e-2, batch_size=4),
        dropout=0.0,
        seed=3,
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tuning", Tuning)
def test_training_changes_what_it_should_and_nothing_else(
    family: str, tuning: Tuning, saved: Folder, request: pytest.FixtureRequest
) -> None:
    backbone = _backbone(saved, family)
    before = {name: tensor.clone() for name, tensor in backbone.trunk.state_dict().items()}
    trainer = PeftTrainer({"t": _learning(backbone, _inputs(family, request), LoraRule(alpha=8.0))})
    job = _job(trainer, tuning, epochs=6)
    update = trainer.train(job)
    assert isinstance(update, Update)
    assert update.loss_after < update.loss_before
    changed = {
        name for name, array in job.adapter.tensors.items() if not np.array_equal(array, update.adapter.tensors[name])
    }
    head = {name for name in job.adapter.tensors if ".head." in name}
    assert head <= changed
    match tuning:
        case Tuning.HEAD:
            assert changed == head == set(job.adapter.tensors)
        case Tuning.LORA:
            assert len(changed) == len(job.adapter.tensors) == len(head) + 4 * (3 if family == "swin" else 2)
        case Tuning.FULL:
            trunk = {f"{lora.PREFIX}trunk.{name}" for name, _ in backbone.trunk.named_parameters()}
            assert set(job.adapter.tensors) == trunk | head
            assert len(changed) > 0.9 * len(trunk)  # a key's bias has no gradient: softmax drops it
    assert trainer.evaluate("t", update.adapter).overall.loss < trainer.evaluate("t", job.adapter).overall.loss
    after = backbone.trunk.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_adapter_is_one_of_peft(
    family: str, saved: Folder, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backbone = _backbone(saved, family)
    inputs = _inputs(family, request)
    trainer = PeftTrainer({"t": _learning(backbone, inputs, EVERYWHERE)})
    update = trainer.train(_job(trainer, Tuning.LORA, epochs=2))
    assert isinstance(update, Update)
    adapter = update.adapter
    save_adapter(adapter, backbone, EVERYWHERE, tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(classifier(backbone, CLASSES), tmp_path / "adapter").eval()
    batch = backbone.prepare(inputs).batch(ROWS)
    merged = lora.merged(backbone, CLASSES, adapter)
    head = {name: array for name, array in adapter.tensors.items() if ".head." in name}
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*batch), merged(*batch), atol=1e-5, rtol=1e-5)
        assert (loaded(*batch) - classifier(backbone, CLASSES)(*batch)).abs().max() > 1e-2
        expected = torch.from_numpy(logits(merged.trunk(*batch), head)).float()
        torch.testing.assert_close(loaded(*batch), expected, atol=1e-5, rtol=1e-5)
