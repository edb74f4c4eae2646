"""A study of five policies on five seeds becomes its cost beside that of 25 runs, each with a command of its own.

Both sides find recorded traffic and drawn data in the cache; the training store of every study is empty when it begins.
What the store adds is measured apart, and what a thousand runs cost that do nothing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from iovsim.bench.rows import Cost, Row, alone, cost, costs_in_turn, wall_s
from iovsim.config import load_scenario, study_from
from iovsim.errors import ResultsError
from iovsim.experiment.batch import world_of
from iovsim.experiment.pool import Outcome, Piece, work_through
from iovsim.experiment.run import RunSpec, manifest_of
from iovsim.experiment.worker import Desk
from iovsim.experiment.world import build_world
from iovsim.progress import Report
from iovsim.results import find_runs
from iovsim.results.manifest import RunStatus, write_manifest
from iovsim.studies.plan import plan_of
from iovsim.studies.run import run_study

REPEATS = 3
SCENARIO = "tiny"
SEEDS = 5
POLICIES = ("all-available", "energy-budget", "random", "residual-contact-rank")
FIFTH = 'name = "four-at-random"\n[policy]\nkind = "staged"\nstages = [{ kind = "select-random", clients = 4 }]\n'
MANY = 1000


def rows() -> Iterator[Row]:
    """One process on both sides, so that processor seconds can be compared."""
    with tempfile.TemporaryDirectory() as name:
        bench = _Bench(Path(name))
        bench.prepare()
        plain = partial(bench.separately)
        for row in costs_in_turn("study/5x5", "s", bench.study, plain, n=REPEATS, warm_up=False):
            yield replace(row, note=bench.checked())
        yield from costs_in_turn(
            "study/5x5-store", "s", bench.study, partial(bench.study, "--no-store"), n=REPEATS, warm_up=False
        )
        yield from _many(bench.folder)


@dataclass(frozen=True, slots=True)
class _Bench:
    folder: Path

    def prepare(self) -> None:
        """Writes the study, and records its traffic."""
        fifth = self.folder / "four-at-random.toml"
        fifth.write_text(FIFTH)
        names = ", ".join(f'"{policy}"' for policy in (*POLICIES, fifth.name))
        study = f'name = "bench"\nscenario = "{SCENARIO}"\npolicies = [{names}]\nseeds = "1-{SEEDS}"\n'
        (self.folder / "bench.toml").write_text(study)
        for seed in range(1, SEEDS + 1):
            build_world(load_scenario(SCENARIO), seed, self.folder / "cache", lambda step, done: None)

    def study(self, *options: str) -> Cost:
        """All runs by one command, with an empty store unless told otherwise."""
        with tempfile.TemporaryDirectory(dir=self.folder) as store:
            kept = options or ("--store", store)
            out = self.folder / "study"
            return self._command("study", "bench.toml", "--out", str(out), "--overwrite", *kept)

    def separately(self) -> Cost:
        """Each run by a command of its own, without a store."""
        spent = Cost(0.0, 0.0)
        for policy in (*POLICIES, "four-at-random.toml"):
            for seed in range(1, SEEDS + 1):
                out = ("--out", str(self.folder / "apart"), "--overwrite", "--no-store")
                one = self._command("run", SCENARIO, "--policy", policy, "--seeds", str(seed), *out)
                spent = Cost(spent.wall_s + one.wall_s, spent.cpu_s + one.cpu_s)
        return spent

    def checked(self) -> str:
        """Raises `ResultsError` where any table of any run differs between the two ways."""
        ways = [
            {r.path.relative_to(p): r for r in find_runs([p])} for p in (self.folder / "study", self.folder / "apart")
        ]
        for place, run in ways[0].items():
            if run.fingerprint() != ways[1][place].fingerprint():
                raise ResultsError(f"{place}: its tables differ between a study and a run of its own.")
        counts = [r.manifest.store.counts for r in ways[0].values() if r.manifest.store is not None]
        hits = sum(c["training_hits"] + c["training_shared"] for c in counts)
        asked = hits + sum(c["training_misses"] for c in counts)
        return f"all tables of {len(ways[0])} runs are equal; {hits} of {asked} jobs came from the store"

    def _command(self, *words: str) -> Cost:
        command = [sys.executable, "-c", "from iovsim.cli import main; main()", *words]
        command += ["--cache", str(self.folder / "cache")]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=self.folder)
        return cost(lambda: run(command))


def _many(folder: Path) -> Iterator[Row]:
    """What the study itself costs for each of a thousand runs, with two workers and runs that do nothing."""
    content = {"name": "many", "scenario": SCENARIO, "policies": ["random"], "seeds": f"1-{MANY}"}
    places = (folder / f"many-{number}" for number in range(REPEATS + 1))

    def once() -> float:
        plan = plan_of(study_from(content, folder / "many.toml"), next(places), None)
        nothing = wall_s(lambda: run_study(plan, folder, _nothing, lambda *_: None, lambda *_: None))
        return 1e3 * nothing / MANY

    before = _peak_mib()
    row = alone("study/1000-runs", "wall ms a run", once, n=REPEATS)
    yield replace(row, note=f"memory grew by {_peak_mib() - before:.0f} MiB over {(REPEATS + 1) * MANY} runs")


def _nothing(specs: Sequence[RunSpec], cache: Path, report: Report) -> Generator[Outcome, None, None]:
    with closing(work_through([Piece(s.label, partial(_pretended, s), world_of(s)) for s in specs], 2, report)) as done:
        yield from done


def _pretended(spec: RunSpec, desk: Desk) -> Path:
    """Leaves no more than a manifest."""
    desk.shared(world_of(spec), lambda: None)
    spec.out.mkdir(parents=True)
    write_manifest(spec.out, replace(manifest_of(spec, {}), status=RunStatus.COMPLETE, wall_s=0.0))
    return spec.out


def _peak_mib() -> float:
    """The most that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
