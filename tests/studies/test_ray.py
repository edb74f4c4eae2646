"""On a real cluster of two nodes runs come out as they do here, whatever happens to processes and nodes meanwhile."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from iovsim.config import load_policy, scenario_from
from iovsim.errors import IovsimError, ResultsError
from iovsim.experiment.run import RunSpec, run_one, state_of
from iovsim.files import PART
from iovsim.learning.store.folder import StoreSpec
from iovsim.results import Run, Stage, open_run
from iovsim.studies.on_ray import run_on_ray

WORLD: dict[str, Any] = {
    "name": "small",
    "time": {"start_s": 120.0, "duration_s": 40.0},
    "mobility": {"map": "portside"},
    "rsus": {"placement": "junctions", "count": 2, "spacing_m": 400.0, "range_m": 200.0},
    "sensors": {"camera": 0.5},
    "tasks": [
        {
            "name": "signs",
            "sensor": "camera",
            "data": {"kind": "signs", "train": 400, "test": 60},
            "round_energy_j": 200.0,
            "training": {"learning_rate": 5e-3},
            "lora": {"dropout": 0.1, "top_blocks": 1},
            "shards": {"samples": 16},
        }
    ],
    "rounds": {"period_s": 20.0, "deadline_s": 18.0, "merge_every": 1},
}
PATIENCE_S = 60.0


@dataclass(frozen=True)
class TwoNodes:
    """A cluster of two nodes, each with one core and a cache of its own; the driver is on the first."""

    cluster: Cluster
    caches: tuple[Path, Path]

    def add_second(self) -> Any:
        return self.cluster.add_node(**node_options(self.caches[1]))


def node_options(cache: Path) -> dict[str, Any]:
    return {"num_cpus": 1, "object_store_memory": 80 * 2**20, "env_vars": {"IOVSIM_CACHE": str(cache)}}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    caches = (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two"))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray leaves files and processes to be collected
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        two = TwoNodes(Cluster(True, head_node_args=node_options(caches[0]) | {"include_dashboard": False}), caches)
        two.add_second()
        ray.init(address=two.cluster.address, log_to_driver=False)
        try:
            yield two
        finally:
            ray.shutdown()
            two.cluster.shutdown()  # type: ignore[no-untyped-call]
            del two
            gc.collect()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver's cache folder."""
    return tmp_path_factory.mktemp("driver")


@pytest.fixture(scope="module")
def due(here: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What every run of `asked` must come to."""
    return open_run(run_one(asked(tmp_path_factory.mktemp("local") / "run"), here, lambda step, done: None))


def asked(out: Path, policy: str = "all-available", **changes: Any) -> RunSpec:
    return RunSpec(scenario_from(WORLD | changes, Path("small.toml")), load_policy(policy), 1, out)


def adapters(run: Run) -> dict[str, str]:
    files = [p for p in sorted((run.path / "adapters").rglob("*")) if p.is_file()]
    return {str(p.relative_to(run.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def made(
    specs: list[RunSpec], cache: Path, report: Callable[[str, str, float], None] | None = None, **how: Any
) -> list[Run]:
    return [open_run(out) for out in run_on_ray(specs, cache, report or (lambda *told: None), address=None, **how)]


def same(run: Run, due: Run) -> bool:
    return run.fingerprint() == due.fingerprint() and adapters(run) == adapters(due)


def running(caches: tuple[Path, ...], policy: str) -> Path | None:
    """The cache of the node in which a run of the policy has begun and is not over."""
    for cache in caches:
        for manifest in cache.glob(f"runs/{PART}*/run/manifest.json"):
            content = json.loads(manifest.read_text())
            if (content["policy"]["name"], content["status"]) == (policy, "running"):
                return cache
    return None


def begun(caches: tuple[Path, ...]) -> set[Path]:
    """Where nodes are making runs."""
    return {folder for cache in caches for folder in (cache / "runs").glob(f"{PART}*")}


def once_running(caches: tuple[Path, ...], policy: str, act: Callable[[Path], None]) -> threading.Thread:
    """Does something as soon as a run of the policy has begun."""

    def watch() -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            cache = running(caches, policy)
            if cache is not None:
                act(cache)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def kill(title: str) -> None:
    """Kills the process of a task or actor."""
    (found,) = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [""])[0] == f"ray::{title}"]
    os.kill(found.pid, signal.SIGKILL)


def test_runs_come_out_as_here_on_both_nodes(nodes: TwoNodes, here: Path, due: Run, tmp_path: Path) -> None:
    told: set[str] = set()
    behind_url = Path(f"file://{tmp_path / 'shared' / 'run'}")
    specs = [
        replace(asked(tmp_path / "one"), store=StoreSpec(here / "training", 10**9)),
        asked(behind_url),
        asked(tmp_path / "other", policy="random"),
    ]
    out = set(run_on_ray(specs, here, lambda label, step, done: told.add(label), address=None))
    assert out == {spec.out for spec in specs}
    one, behind = open_run(tmp_path / "one"), open_run(tmp_path / "shared" / "run")
    assert same(one, due)
    assert same(behind, due)
    assert one.manifest.world_hash == behind.manifest.world_hash == due.manifest.world_hash
    assert state_of(specs[0]).stage is Stage.COMPLETE
    assert behind.manifest.origin == due.manifest.origin
    assert open_run(tmp_path / "other").fingerprint()["jobs"] != due.fingerprint()["jobs"]
    for kind in ("traces", "cities", "data"):
        kept = [{p.name for p in (cache / kind).iterdir()} for cache in nodes.caches]
        assert kept[0] == kept[1] == {p.name for p in (here / kind).iterdir()}, "made once, and sent"
    assert any((cache / "training").is_dir() for cache in nodes.caches), "each node keeps its own store"
    assert told == {"world of seed 1", "data of task signs", "all-available, seed 1", "random, seed 1"}


def test_a_mistake_is_told_as_here(nodes: TwoNodes, here: Path, tmp_path: Path) -> None:
    wrong = asked(tmp_path / "run", radio={"fading": {"kind": "rayliegh"}})
    with pytest.raises(IovsimError) as there:
        made([wrong, replace(wrong, out=tmp_path / "again")], here)
    with pytest.raises(IovsimError) as local:
        run_one(wrong, here, lambda step, done: None)
    assert (type(there.value), str(there.value)) == (type(local.value), str(local.value))
    assert "did you mean 'rayleigh'?" in str(there.value)
    assert not any(tmp_path.iterdir())


def test_what_is_called_off_leaves_nothing_half_written(nodes: TwoNodes, here: Path, tmp_path: Path) -> None:
    before = begun(nodes.caches)  # what was killed leaves something, until the next run of that node
    specs = [asked(tmp_path / "all"), *(asked(tmp_path / f"{n}", policy="random") for n in range(4))]
    outs = run_on_ray(specs, here, lambda *told: None, address=None)
    first = next(outs)
    cast(Generator[Path], outs).close()
    assert open_run(first).manifest.status == "complete"
    assert list(tmp_path.iterdir()) == [first]
    assert not begun(nodes.caches) - before


def test_what_dies_is_begun_again_and_comes_out_the_same(nodes: TwoNodes, here: Path, due: Run, tmp_path: Path) -> None:
    def act(cache: Path) -> None:
        kill("Board")  # without news a run is as good
        kill("all-available, seed 1")

    thread = once_running(nodes.caches, "all-available", act)
    (run,) = made([asked(tmp_path / "run")], here)
    thread.join()
    assert same(run, due)


def test_what_dies_too_often_is_told_in_one_line(nodes: TwoNodes, here: Path, tmp_path: Path) -> None:
    thread = once_running(nodes.caches, "random", lambda cache: kill("random, seed 1"))
    with pytest.raises(
        ResultsError, match=r"^random, seed 1: its process or node was lost 1 times .*ask for more memory"
    ):
        made([asked(tmp_path / "run", policy="random")], here, retries=0)
    thread.join()
    assert not (tmp_path / "run").exists()


def test_a_node_that_is_lost_is_done_without(nodes: TwoNodes, here: Path, due: Run, tmp_path: Path) -> None:
    lost: list[Path] = []

    def act(cache: Path) -> None:
        lost.append(cache)
        (second,) = nodes.cluster.worker_nodes
        nodes.cluster.remove_node(second, allow_graceful=False)  # type: ignore[no-untyped-call]

    specs = [asked(tmp_path / "one"), asked(tmp_path / "two")]
    thread = once_running(nodes.caches[1:], "all-available", act)
    runs = made(specs, here)
    thread.join()
    assert lost == [nodes.caches[1]]
    assert len(runs) == 2
    assert all(same(run, due) for run in runs)
