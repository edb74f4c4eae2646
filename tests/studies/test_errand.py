"""A node that has none of the user's files makes the same of an errand as the machine where they lie."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from iovsim.config import Scenario, policy_from, scenario_from
from iovsim.domain import TrainerSpec
from iovsim.errors import ResultsError, TrainingError
from iovsim.experiment.data import load_data
from iovsim.experiment.ground import sumocfg
from iovsim.experiment.inputs import policy_inputs, scenario_inputs
from iovsim.experiment.method import build_method
from iovsim.experiment.run import RunSpec
from iovsim.learning.store.folder import StoreSpec
from iovsim.mobility.map_record import MapRecord, write_record
from iovsim.paths import shared_dir
from iovsim.studies.errand import Errand, data_made, program_here, run_made, world_made
from iovsim.studies.hub_models import have_model, hub_models
from iovsim.studies.parcel import Parcel, packed, settle
from iovsim.studies.shipment import Shipment, Shipped, at_home, own_modules, shipments, use_modules

POLICY = policy_from({"name": "mine", "policy": {"kind": "own_policy:Nobody"}}, "mine.toml")
ALL = policy_from({"name": "all", "policy": {"kind": "staged", "stages": [{"kind": "select-all"}]}}, "all.toml")


def world(**task: Any) -> dict[str, Any]:
    return {
        "name": "own",
        "time": {"start_s": 30.0, "duration_s": 30.0},
        "mobility": {"sumocfg": "maps/town.sumocfg"},
        "rsus": {"placement": "junctions", "count": 1},
        "tasks": [{"name": "signs", "round_energy_j": 100.0, **task}],
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of the user's own: a map whose files lie in two folders, and pictures."""
    folder = tmp_path / "home"
    shutil.copytree(shared_dir("sumo_maps") / "portside", folder / "maps" / "portside")
    (config,) = (folder / "maps" / "portside").glob("*.sumocfg")
    text = config.read_text().replace('value="portside', 'value="portside/portside')
    (folder / "maps" / "town.sumocfg").write_text(text)
    config.unlink()
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), np.arange(40) % 4
    np.savez(folder / "own.npz", allow_pickle=False, x_train=x, y_train=y, x_test=x, y_test=y)
    return folder


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the node that this process plays."""
    monkeypatch.setenv("IOVSIM_CACHE", str(tmp_path / "node"))
    return tmp_path / "node"


def own(home: Path, **task: Any) -> Scenario:
    return scenario_from(world(**({"data": {"kind": "npz", "path": "own.npz"}} | task)), home / "own.toml")


def sent(shipment: Shipment) -> Shipped:
    pieces = tuple(packed(shipment.base, shipment.files, most_bytes=50_000))
    return Shipped(shipment.key, shipment.input, shipment.place, shipment.inner, pieces)


def errand_of(scenario: Scenario, cache: Path) -> Errand:
    files = tuple(sent(s) for s in shipments(scenario_inputs(scenario)))
    return Errand(cache, program_here(), (), files, ())


def fetch(piece: Parcel) -> Parcel:
    return piece


def never(piece: Parcel) -> Parcel:
    raise AssertionError("what is here is not sent")


def quiet(step: str, done: float) -> None: ...


def test_files_that_are_away_come_along_and_those_at_home_stay(home: Path, tmp_path: Path) -> None:
    scenario = own(home)
    due = scenario_inputs(scenario)
    errand = errand_of(scenario, tmp_path / "cache")
    assert at_home(scenario, errand.files, tmp_path / "node", never) == (scenario, {})
    home.rename(tmp_path / "gone")
    moved, meant = at_home(scenario, errand.files, tmp_path / "node", fetch)
    assert set(meant.values()) == {str(home / "own.npz"), str(home / "maps" / "town.sumocfg")}
    assert {key: i.sha256 for key, i in scenario_inputs(moved).items()} == {key: i.sha256 for key, i in due.items()}
    again, _ = at_home(scenario, errand.files, tmp_path / "node", never)
    assert again == moved


def test_a_map_that_was_fetched_comes_along(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOVSIM_DATA", str(tmp_path / "data"))
    shutil.copytree(home / "maps", tmp_path / "data" / "maps" / "town")
    write_record(tmp_path / "data" / "maps" / "town", MapRecord("town.sumocfg", "", "", "", {}))
    scenario = scenario_from(world(data={"kind": "signs"}) | {"mobility": {"map": "town"}}, home / "own.toml")
    due = scenario_inputs(scenario)["mobility.sumocfg"]
    errand = errand_of(scenario, tmp_path / "cache")
    assert at_home(scenario, errand.files, tmp_path / "node", never) == (scenario, {})
    monkeypatch.setenv("IOVSIM_DATA", str(tmp_path / "of the node"))
    moved, meant = at_home(scenario, errand.files, tmp_path / "node", fetch)
    assert list(meant.values()) == [due.path]
    assert sumocfg(moved).is_relative_to(tmp_path / "node")
    assert scenario_inputs(moved)["mobility.sumocfg"].sha256 == due.sha256


def test_a_file_that_is_another_here_is_not_taken_for_it(home: Path, tmp_path: Path) -> None:
    scenario = own(home)
    errand = errand_of(scenario, tmp_path / "cache")
    due = load_data(scenario, scenario.tasks[0], tmp_path)
    shutil.copy(home / "own.npz", tmp_path / "old.npz")
    arrays = dict(np.load(home / "own.npz"))
    np.savez(home / "own.npz", allow_pickle=False, **arrays | {"y_train": arrays["y_train"][::-1]})
    moved, meant = at_home(scenario, errand.files, tmp_path / "node", fetch)
    assert list(meant.values()) == [str(home / "own.npz")]
    assert np.array_equal(load_data(moved, moved.tasks[0], tmp_path).data.train.labels, due.data.train.labels)


def test_worlds_and_data_are_made_under_the_same_names_everywhere(home: Path, node: Path, tmp_path: Path) -> None:
    scenario = own(home, data={"kind": "signs", "train": 60, "test": 20})
    spec = RunSpec(scenario, ALL, 1, tmp_path / "run")
    errand = errand_of(scenario, tmp_path / "cache")
    at_once = {**world_made(spec, errand, never, quiet), **data_made(spec, "signs", errand, never, quiet)}
    home.rename(tmp_path / "gone")
    node.rename(tmp_path / "first")
    away = {**world_made(spec, errand, fetch, quiet), **data_made(spec, "signs", errand, fetch, quiet)}
    assert sorted(name.partition("/")[0] for name in away) == ["cities", "data", "traces"]
    assert {name: p.sha256 for name, p in away.items()} == {name: p.sha256 for name, p in at_once.items()}
    for place, parcel in away.items():
        assert (node / place).exists()
        assert settle([parcel], tmp_path / "third" / place).exists()


def test_errors_name_the_files_as_they_are_called_at_home(home: Path, node: Path, tmp_path: Path) -> None:
    (home / "own.npz").write_bytes(b"no arrays")
    spec = RunSpec(own(home), ALL, 1, tmp_path / "run")
    errand = errand_of(spec.scenario, tmp_path / "cache")
    home.rename(tmp_path / "gone")
    with pytest.raises(TrainingError) as told:
        run_made(spec, None, errand, (), fetch, quiet)
    assert str(home / "own.npz") in str(told.value)
    assert str(node) not in str(told.value)


def test_another_program_is_refused(home: Path, node: Path, tmp_path: Path) -> None:
    spec = RunSpec(own(home), ALL, 1, tmp_path / "run")
    errand = errand_of(spec.scenario, tmp_path / "cache")
    other = replace(errand, program=dict(errand.program) | {"torch": "1.0"})
    with pytest.raises(ResultsError, match=r"has torch .* and not 1\.0, .* install the same versions"):
        world_made(spec, other, fetch, quiet)


def test_a_store_in_the_cache_is_each_nodes_own(
    home: Path, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores: list[StoreSpec | None] = []

    def note(spec: RunSpec, *others: object) -> Path:
        stores.append(spec.store)
        raise ResultsError("enough")

    monkeypatch.setattr("iovsim.studies.errand.run_one", note)
    errand = errand_of(own(home), tmp_path / "cache")
    for folder in (tmp_path / "cache" / "training", tmp_path / "shared"):
        spec = RunSpec(own(home), ALL, 1, tmp_path / "run", TrainerSpec(), StoreSpec(folder, 10))
        with pytest.raises(ResultsError, match="enough"):
            run_made(spec, None, errand, (), fetch, quiet)
    assert stores == [StoreSpec(node / "training", 10), StoreSpec(tmp_path / "shared", 10)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a policy of the user's own that takes another module beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "own_policy.py").write_text("from own_help import plan\n\n\nclass Nobody:\n    plan = feedback = plan\n")
    (folder / "own_help.py").write_text("def plan(self, view):\n    return 'planned'\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    for name in ("own_policy", "own_help"):
        sys.modules.pop(name, None)


def test_own_modules_come_along(project: Path, tmp_path: Path) -> None:
    assert own_modules(policy_inputs(ALL)) is None
    modules = own_modules(policy_inputs(POLICY))
    assert modules is not None
    assert [file.name for file in modules.files] == ["own_help.py", "own_policy.py"]
    shipped = sent(modules)
    for name in ("own_policy", "own_help"):
        del sys.modules[name]
    sys.path.remove(str(project))
    project.rename(tmp_path / "gone")
    use_modules([shipped], tmp_path / "node", fetch)
    assert build_method(POLICY).policy.plan(None) == "planned"  # type: ignore[arg-type, comparison-overlap]
    assert str(sys.modules["own_help"].__file__).startswith(str(tmp_path / "node"))


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_model_of_the_hub_comes_along(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cache(name: str, commit: str = COMMIT) -> Path:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / name))
        repository = tmp_path / name / "models--some--model"
        if name != "empty":
            (repository / "snapshots" / commit).mkdir(parents=True)
            (repository / "snapshots" / commit / "config.json").write_text("{}")
            (repository / "refs").mkdir()
            (repository / "refs" / "main").write_text(commit)
        return repository

    scenario = own(home, backbone={"kind": "hub", "model": "some/model"})
    cache("driver")
    (model,) = [sent(s) for s in hub_models(scenario)]
    have_model(model, never, "the driver")
    empty = cache("empty")
    assert hub_models(scenario) == []
    have_model(model, fetch, "node")
    assert (empty / "snapshots" / COMMIT / "config.json").read_text() == "{}"
    assert hub_models(scenario)[0].input.sha256 == COMMIT
    cache("other", "f" * 40)
    with pytest.raises(TrainingError, match=f"node has commit {'f' * 40}, the driver {COMMIT}"):
        have_model(model, never, "node")
