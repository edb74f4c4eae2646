"""Luxembourg's morning becomes its cost: simulation and training apart, and peak memory by the length of the run.

Every run is a process of its own, on one thread: the world is made from a recorded trace (contacts, line of sight,
links), all rounds are run, all tables written. Nothing of it is in the cache beforehand but the trace. What training
takes is what is spent inside the trainer, evaluation included; without training, a trainer that does next to nothing
takes its place, so that policies, aggregation and tables do their whole work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from iovsim.bench.rows import STATUS, Row, Skipped, shared_scenario, status_mib
from iovsim.config import load_policy, load_scenario
from iovsim.domain import (
    Adapter,
    Evaluation,
    Failure,
    Head,
    IntArray,
    Metrics,
    Trainer,
    TrainerSpec,
    TrainJob,
    Tuning,
    Update,
)
from iovsim.experiment.run import RunSpec, make_ready, run_one
from iovsim.learning.threads import use_one_thread
from iovsim.mobility import sumo
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Covered, Trace, write_trace
from iovsim.mobility.trace.edit import cut
from iovsim.paths import usable_cache
from iovsim.results import open_run
from iovsim.testing import FakeTrainer

SCENARIO = "luxembourg"
POLICIES = ("fedit", "p1")
HOURS_3 = 10800.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took, in its own process from the first import on."""

    cpu_s: float
    training_s: float  # of these
    wall_s: float
    base_mib: int  # resident when everything was imported, torch too
    peak_mib: int  # the most that was resident
    vehicles: int
    contacts: int
    jobs: int
    delivered: int
    accuracy: float  # mean over tasks, of the last adapters; without training it means nothing

    @property
    def simulation_s(self) -> float:
        return self.cpu_s - self.training_s

    @property
    def told(self) -> str:
        return f"{self.vehicles} vehicles, {self.contacts} contacts, {self.jobs} jobs"


def rows() -> Iterator[Row | Skipped]:
    """Three hours without training; memory at half and double the length; three hours with training, by policy."""
    sumocfg = shared_scenario("lust_luxembourg/lust.sumocfg")
    if not sumocfg.is_file() or not STATUS.exists():
        reason = f"no {STATUS} here" if sumocfg.is_file() else f"no {sumocfg}; set IOVSIM_SHARED"
        for name in ("simulation", "memory", "memory-double", *POLICIES):
            yield Skipped(f"city/{SCENARIO}-{name}", reason)
        return
    begin_s = load_scenario(SCENARIO, {"mobility": {"sumocfg": str(sumocfg)}}).time.start_s
    once = sumo.record(sumocfg, seed=1, end_s=begin_s + HOURS_3 + 1.0, cache=usable_cache(None))
    with tempfile.TemporaryDirectory() as folder:
        double = Path(folder) / "twice"
        write_twice(Trace(once), double)

        def run(trace: Path, hours: float, policy: str, *, training: bool) -> Measured:
            return _asked(sumocfg, trace, hours * 3600.0, policy, training=training)

        full = run(once, 3.0, "random", training=False)
        yield _alone("simulation", full.simulation_s, "CPU s of 3 h", f"without training; {full.told}")
        half, twice = (run(trace, hours, "random", training=False) for trace, hours in ((once, 1.5), (double, 6.0)))
        for name, longer, shorter in (("memory", full, half), ("memory-double", twice, full)):
            note = f"peak of {longer.told} beside {shorter.told}, without the {longer.base_mib} MiB of torch"
            yield _beside(name, longer.peak_mib - longer.base_mib, shorter.peak_mib - shorter.base_mib, "MiB", note)
        for policy in POLICIES:
            found = run(once, 3.0, policy, training=True)
            note = (
                f"beside training; {found.told}, {found.delivered} delivered, accuracy {found.accuracy:.3f}, "
                f"{found.wall_s:.0f} s by the clock, peak {found.peak_mib} MiB"
            )
            yield _beside(policy, found.simulation_s, found.training_s, "CPU s of 3 h", note)


def write_twice(trace: Trace, path: Path) -> None:
    """A trace, and after it the same once more, by other vehicles."""
    span_s = trace.end_s - trace.begin_s

    def samples() -> Iterator[Samples]:
        yield from cut(trace, None, trace.end_s)
        for again in cut(trace):
            names = [f"again:{name}" for name in again.vehicle]
            yield replace(again, time_s=np.round(again.time_s + span_s, 3), vehicle=names)

    covered = Covered(trace.begin_s, trace.end_s + span_s)
    write_trace(path, samples(), source="the same twice", step_s=trace.step_s, covered=lambda: covered)


class Timed:
    """A trainer, and the processor seconds that were spent in it."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.spent_s = 0.0

    def initial(self, task: str, rank: int, seed: int, tuning: Tuning) -> Adapter:
        with self._timed():
            return self._trainer.initial(task, rank, seed, tuning)

    def submit(self, job: TrainJob) -> int:
        with self._timed():
            return self._trainer.submit(job)

    def result(self, handle: int) -> Update | Failure:
        with self._timed():
            return self._trainer.result(handle)

    def evaluate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Evaluation:
        with self._timed():
            return self._trainer.evaluate(task, adapter, heads)

    def validate(self, task: str, adapter: Adapter, heads: Sequence[Head] = ()) -> Metrics:
        with self._timed():
            return self._trainer.validate(task, adapter, heads)

    def evaluate_shards(
        self, task: str, adapter: Adapter, shards: Sequence[IntArray], heads: Sequence[Head | None]
    ) -> list[Metrics]:
        with self._timed():
            return self._trainer.evaluate_shards(task, adapter, shards, heads)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begun_s = time.process_time()
        try:
            yield
        finally:
            self.spent_s += time.process_time() - begun_s


def measured(sumocfg: Path, trace: Path, duration_s: float, policy: str, *, training: bool) -> Measured:
    """One run, in this process, which should be a fresh one."""
    begun_s = time.perf_counter()
    use_one_thread()
    base_mib = round(status_mib("VmRSS"))
    mobility = {"sumocfg": str(sumocfg.absolute()), "trace": str(trace.absolute())}
    scenario = load_scenario(SCENARIO, {"mobility": mobility, "time.duration_s": duration_s})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready = make_ready(scenario, 1, TrainerSpec(), folder / "cache", lambda step, done: None)
        trainer = Timed(ready.trainer if training else FakeTrainer())
        spec = RunSpec(scenario, load_policy(policy), 1, folder / "run")
        run_one(spec, folder / "cache", lambda step, done: None, ready=replace(ready, trainer=trainer))
        peak_mib = round(status_mib("VmHWM"))
        cpu_s = time.process_time()
        run = open_run(folder / "run")
        jobs, evaluations = run.table("jobs"), run.table("evaluations").query("scope == 'global'")
        return Measured(
            cpu_s=cpu_s,
            training_s=trainer.spent_s,
            wall_s=time.perf_counter() - begun_s,
            base_mib=base_mib,
            peak_mib=peak_mib,
            vehicles=len(ready.built.world.vehicles),
            contacts=len(run.table("contacts")),
            jobs=len(jobs),
            delivered=int(jobs["status"].str.startswith("delivered").sum()),
            accuracy=float(evaluations.groupby("task")["accuracy"].last().mean()),
        )


def _asked(sumocfg: Path, trace: Path, duration_s: float, policy: str, *, training: bool) -> Measured:
    """The same in a process of its own."""
    given = [str(sumocfg), str(trace), str(duration_s), policy, "training" if training else "none"]
    command = [sys.executable, "-m", "iovsim.bench.city", *given]
    return Measured(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def _alone(name: str, value: float, unit: str, note: str) -> Row:
    return Row(f"city/{SCENARIO}-{name}", value, None, None, unit, 1, "", note)


def _beside(name: str, ours: float, theirs: float, unit: str, note: str) -> Row:
    return Row(f"city/{SCENARIO}-{name}", ours, theirs, ours / theirs, unit, 1, "", note)


if __name__ == "__main__":
    cfg, trace, duration, policy, kind = sys.argv[1:]
    print(json.dumps(asdict(measured(Path(cfg), Path(trace), float(duration), policy, training=kind == "training"))))
