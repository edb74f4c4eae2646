"""A scenario, a policy file and a seed become one finished run folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from iovsim.config import PolicyFile, Scenario
from iovsim.domain import Adapter, Head, Task, Trainer, TrainerSpec
from iovsim.engine import Setting, simulate
from iovsim.errors import ResultsError
from iovsim.experiment.city import Progress
from iovsim.experiment.code import package_sha256
from iovsim.experiment.inputs import policy_inputs, scenario_inputs
from iovsim.experiment.live import simulate_live
from iovsim.experiment.method import method_for
from iovsim.experiment.world import BuiltWorld, build_world, record_world
from iovsim.files import scratch, whole_file
from iovsim.learning.adapter_files import save_adapter
from iovsim.learning.batched.state_files import StatesPlace
from iovsim.learning.prepared import LearningTask
from iovsim.learning.store.folder import StoreSpec
from iovsim.learning.store.keys import way_of
from iovsim.learning.store.trainer import stored_trainer
from iovsim.learning.trainers import build_trainer, check_trainer
from iovsim.mobility.trace import Trace
from iovsim.results import Charge, Manifest, PolicyRecord, RunFolder, RunState, Stage, StoreRecord
from iovsim.results.folder import check_free
from iovsim.results.manifest import NAME, Input, Origin
from iovsim.results.state import TRAFFIC, state_in


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
    inputs: Mapping[str, Input]  # of the scenario
    tasks: Mapping[str, LearningTask]
    trainer: Trainer


def make_ready(
    scenario: Scenario, seed: int, training: TrainerSpec, cache: Path, progress: Progress, worker: int = 0
) -> Ready:
    """From recording the traffic to a trainer. Raises an `IovsimError` for whatever is wrong with the input.

    `worker` is the number of this process among those that work side by side.
    """
    check_trainer(training)
    built = build_world(scenario, seed, cache, progress)
    tasks = {t.task: learning_task(built, t) for t in built.world.tasks}
    place = StatesPlace(cache / "states", way_of(training, _code()))
    return Ready(built, scenario_inputs(scenario), tasks, build_trainer(tasks, training, place, worker))


def state_of(spec: RunSpec) -> RunState:
    """What the folder of `spec` holds of it; only reads.

    Another run there is one that differs in scenario, policy, seed, training, or the content of a file that it reads.
    Raises an `IovsimError` for a file that cannot be read at all.
    """
    return states_of([spec])[0]


def states_of(specs: Sequence[RunSpec]) -> list[RunState]:
    """`state_of` each; the files that several of them read are looked through once."""
    known: dict[int, dict[str, Input]] = {}
    states = []
    for spec in specs:
        if (spec.out / NAME).exists() and id(spec.scenario) not in known:
            known[id(spec.scenario)] = scenario_inputs(spec.scenario)
        states.append(state_in(spec.out, manifest_of(spec, known.get(id(spec.scenario), {}))))
    return states


def run_one(
    spec: RunSpec, cache: Path, progress: Progress, *, overwrite: bool = False, ready: Ready | None = None
) -> Path:
    """Runs `spec` from recording the traffic to the last table, and returns its folder.

    A complete run of the same is kept; an unfinished one is run anew, with what the training store has of it.
    The folder is made only when the world stands, and its manifest says at any time how far the run is. `ready` spares
    what an earlier run of the same scenario, seed and training has made; a trainer's results do not depend on its past.
    Raises an `IovsimError` for whatever is wrong with the input, or where the folder holds something else.
    """
    if not overwrite and state_of(spec).stage is Stage.COMPLETE:
        return spec.out
    method = method_for(spec.scenario, spec.policy)
    if ready is None:
        ready = make_ready(spec.scenario, spec.seed, spec.training, cache, progress)
    built = ready.built
    with RunFolder.create(spec.out, manifest_of(spec, ready.inputs, built), overwrite) as folder:
        stored = None
        if spec.store is not None:
            stored = stored_trainer(ready.trainer, ready.tasks, spec.training, spec.store, _code())
        rules = {t.task: t.lora for t in built.world.tasks}

        def keep(task: str, name: str, adapter: Adapter, heads: Mapping[str, Head]) -> None:
            save_adapter(adapter, built.backbones[task], rules[task], folder.adapter_path(task, name), heads)

        setting = Setting(built.world, method, stored or ready.trainer, folder.recorder, keep)
        if spec.scenario.mobility.source == "live":
            _run_live(spec, setting, built, cache, progress)
        else:

            def passed(done: float) -> None:
                built.city.let_go()  # what the period has read of contacts and links is not read again
                progress("simulating", done)

            simulate(setting, passed)
            record_world(built, folder.recorder)
        if stored is not None:
            folder.manifest = replace(folder.manifest, store=StoreRecord(stored.counts, stored.problem))
    return spec.out


def _run_live(spec: RunSpec, setting: Setting, built: BuiltWorld, cache: Path, progress: Progress) -> None:
    """With SUMO beside. Traffic that was changed is kept in the folder, as a trace that can be replayed."""
    with scratch(cache / "live") as part:
        found = simulate_live(spec.scenario, built, setting, part, progress)
        record_world(found, setting.recorder)
        if found.city is not built.city:
            with whole_file(spec.out / TRAFFIC) as kept:
                shutil.copyfile(found.city.trace, kept)


def _code() -> str:
    """The digest of all sources that have a part in training."""
    return package_sha256("", "domain", "learning")


def learning_task(built: BuiltWorld, task: Task) -> LearningTask:
    """What a trainer needs to know of one of the world's tasks."""
    data = built.data[task.task]
    return LearningTask(task, built.backbones[task.task], data.data, data.validation)


def manifest_of(spec: RunSpec, inputs: Mapping[str, Input], built: BuiltWorld | None = None) -> Manifest:
    """What the run folder says of itself; without a world it only tells which run it is.

    `inputs` are those of the scenario. Raises `ScenarioError` for a module of the policy's that is not found.
    """
    policy, store = spec.policy, spec.store
    tasks = built.world.tasks if built else ()
    backbones = built.backbones if built else {}
    return Manifest(
        world=spec.scenario.name,
        world_hash=built.world.hash if built else "",
        seed=spec.seed,
        policy=PolicyRecord(
            name=policy.name,
            kind=policy.policy.kind,
            forecast=policy.forecast.kind,
            parameters=policy.model_dump(mode="json", exclude={"name", "title"}),
        ),
        scenario=spec.scenario.model_dump(mode="json"),
        training=spec.training,
        traffic=Trace(built.city.trace).counts if built else {},
        charge_as={t.task: Charge(trained=backbones[t.task].name, charged=t.charged.name) for t in tasks},
        origin=Origin(
            scenario_folder=str(spec.scenario.resolved(Path())),
            command_folder=str(Path.cwd()),
            inputs={**inputs, **policy_inputs(policy)},
            store=str(store.folder.absolute()) if store else None,
            store_limit_bytes=store.limit_bytes if store else 0,
        ),
    )


def check_out(specs: Sequence[RunSpec], *, overwrite: bool) -> None:
    """Fails early, before anything is recorded, where the results could not be written.

    Raises `ResultsError` for a folder that cannot be written, that another process is writing, or that holds something
    else than the run that belongs there.
    """
    for spec, state in zip(specs, states_of(specs), strict=True):
        if state.stage is Stage.OTHER and not (overwrite and state.is_run):
            remedy = "choose another --out" + (", or replace it with --overwrite" if state.is_run else "")
            raise ResultsError(f"{spec.out}: {state.reason}; {remedy}.")
        check_free(spec.out)
        parent = next(p for p in [spec.out, *spec.out.absolute().parents] if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise ResultsError(f"{spec.out}: cannot be written, because {parent} is not a writable folder.")
