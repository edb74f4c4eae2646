"""A scenario, a policy file and a seed become one finished run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from iovsim.config import PolicyFile, Scenario
from iovsim.domain import Adapter, Head, Task, Trainer, TrainerSpec
from iovsim.engine import Setting, simulate
from iovsim.errors import ResultsError
from iovsim.experiment.city import Progress
from iovsim.experiment.code import package_sha256
from iovsim.experiment.method import build_method
from iovsim.experiment.tasks import check_tuning
from iovsim.experiment.world import BuiltWorld, build_world, record_world
from iovsim.learning.adapter_files import save_adapter
from iovsim.learning.prepared import LearningTask
from iovsim.learning.store.folder import StoreSpec
from iovsim.learning.store.trainer import stored_trainer
from iovsim.learning.trainers import build_trainer, check_trainer
from iovsim.results import Charge, Manifest, PolicyRecord, RunFolder, StoreRecord


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run that is asked for."""

    scenario: Scenario
    policy: PolicyFile
    seed: int
    out: Path
    training: TrainerSpec = field(default_factory=TrainerSpec)
    store: StoreSpec | None = None  # None: everything is computed
    variant: str = ""  # of the scenario, where a study has several

    @property
    def label(self) -> str:
        return ", ".join(part for part in (self.variant, self.policy.name, f"seed {self.seed}") if part)


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A world, and a trainer for its tasks: whatever runs of one scenario, seed and training share."""

    built: BuiltWorld
    tasks: Mapping[str, LearningTask]
    trainer: Trainer


def make_ready(scenario: Scenario, seed: int, training: TrainerSpec, cache: Path, progress: Progress) -> Ready:
    """From recording the traffic to a trainer. Raises an `IovsimError` for whatever is wrong with the input."""
    check_trainer(training)
    built = build_world(scenario, seed, cache, progress)
    tasks = {t.task: learning_task(built, t) for t in built.world.tasks}
    return Ready(built, tasks, build_trainer(tasks, training))


def run_one(
    spec: RunSpec, cache: Path, progress: Progress, *, overwrite: bool = False, ready: Ready | None = None
) -> Path:
    """Runs `spec` from recording the traffic to the last table, and returns its folder.

    The folder is made only when the world stands, and its manifest says at any time how far the run is. `ready` spares
    what an earlier run of the same scenario, seed and training has made; a trainer's results do not depend on its past.
    Raises an `IovsimError` for whatever is wrong with the input.
    """
    method = build_method(spec.policy)
    check_tuning(spec.scenario, method.tuning)
    if ready is None:
        ready = make_ready(spec.scenario, spec.seed, spec.training, cache, progress)
    built = ready.built
    with RunFolder.create(spec.out, manifest_of(spec, built), overwrite) as folder:
        stored = None
        if spec.store is not None:
            code = package_sha256("", "domain", "learning")
            stored = stored_trainer(ready.trainer, ready.tasks, spec.training, spec.store, code)
        record_world(built, folder.recorder)
        rules = {t.task: t.lora for t in built.world.tasks}

        def keep(task: str, name: str, adapter: Adapter, heads: Mapping[str, Head]) -> None:
            save_adapter(adapter, built.backbones[task], rules[task], folder.adapter_path(task, name), heads)

        setting = Setting(built.world, method, stored or ready.trainer, folder.recorder, keep)
        simulate(setting, lambda done: progress("simulating", done))
        if stored is not None:
            folder.manifest = replace(folder.manifest, store=StoreRecord(stored.counts, stored.problem))
    return spec.out


def learning_task(built: BuiltWorld, task: Task) -> LearningTask:
    """What a trainer needs to know of one of the world's tasks."""
    data = built.data[task.task]
    return LearningTask(task, built.backbones[task.task], data.data, data.validation)


def manifest_of(spec: RunSpec, built: BuiltWorld) -> Manifest:
    """What the run folder says of itself."""
    policy = spec.policy
    return Manifest(
        world=built.world.name,
        world_hash=built.world.hash,
        seed=spec.seed,
        policy=PolicyRecord(
            name=policy.name,
            kind=policy.policy.kind,
            forecast=policy.forecast.kind,
            parameters=policy.model_dump(mode="json", exclude={"name", "title"}),
        ),
        scenario=spec.scenario.model_dump(mode="json"),
        training=spec.training,
        charge_as={
            t.task: Charge(trained=built.backbones[t.task].name, charged=t.charged.name) for t in built.world.tasks
        },
    )


def check_out(specs: list[RunSpec], *, overwrite: bool) -> None:
    """Fails early, before anything is recorded, where the results could not be written.

    Raises `ResultsError` for a folder that cannot be written or that already holds a run.
    """
    for spec in specs:
        if not overwrite and spec.out.is_dir() and any(spec.out.iterdir()):
            raise ResultsError(
                f"{spec.out}: already holds files; choose another --out, or replace its runs with --overwrite."
            )
        parent = next(p for p in [spec.out, *spec.out.absolute().parents] if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise ResultsError(f"{spec.out}: cannot be written, because {parent} is not a writable folder.")
