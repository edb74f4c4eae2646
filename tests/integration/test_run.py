"""Whole runs with real traffic and real training: repeatable, paired, loadable, and honest when interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from peft import PeftModel

from iovsim.learning.adapter_files import load_tensors
from iovsim.learning.backbones.backbone import classifier
from iovsim.learning.backbones.roadvit import roadvit
from iovsim.results import find_runs, open_run

WORLD = """
name = "small"
[time]
start_s = 120.0
duration_s = 40.0
[mobility]
map = "portside"
[rsus]
placement = "junctions"
count = 2
spacing_m = 400.0
range_m = 250.0
[sensors]
camera = 0.7
[[tasks]]
name = "signs"
sensor = "camera"
data = { kind = "signs", train = 400, test = 60 }
charge_as = "vit-base-patch16-224"
round_energy_j = 200.0
training = { learning_rate = 5e-3 }
lora = { dropout = 0.1 }
shards = { samples = 20, label_alpha = 0.5 }
[[tasks]]
name = "lights"
data = { kind = "lights", train = 400, test = 60 }
head = "local"
round_energy_j = 200.0
training = { class_weights = "balanced", optimiser = "sgd", learning_rate = 0.05 }
lora = { scaling = "rslora", targets = ["query", "mlp_out"] }
shards = { samples = 20, arrival_per_s = 0.4 }
[evaluation]
adapters_every_merges = 1
vehicles_every_merges = 1
[rounds]
period_s = 20.0
deadline_s = 18.0
merge_every = 1
"""


def iovsim(folder: Path, *arguments: str, **environment: str) -> None:
    command = [sys.executable, "-c", "from iovsim.cli import main; main()", *arguments]
    subprocess.run(command, cwd=folder, check=True, env=os.environ | environment, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> Path:
    """Two policies on two workers, and one of them again in one process, each under another hash seed."""
    made = tmp_path_factory.mktemp("runs")
    (made / "world.toml").write_text(WORLD)
    cache = ("--cache", str(session_cache))
    both = ("-p", "all-available", "-p", "random", "-j", "2")
    iovsim(made, "run", "world.toml", *both, "-o", "first", *cache, PYTHONHASHSEED="1")
    # The second trains everything itself: what the first has kept would prove nothing.
    again = ("-p", "all-available", "-o", "again", "--no-store")
    iovsim(made, "run", "world.toml", *again, *cache, PYTHONHASHSEED="2")
    return made


def test_the_same_run_is_equal_bit_for_bit_in_another_process(folder: Path) -> None:
    first = open_run(folder / "first" / "all-available" / "seed-1")
    again = open_run(folder / "again" / "all-available" / "seed-1")
    assert first.fingerprint() == again.fingerprint()
    assert first.manifest.world_hash == again.manifest.world_hash
    saved = "adapters/signs/final/adapter_model.safetensors"
    assert (first.path / saved).read_bytes() == (again.path / saved).read_bytes()


def test_two_policies_meet_the_same_world(folder: Path) -> None:
    one, two = find_runs([folder / "first"])
    assert one.manifest.policy.name != two.manifest.policy.name
    assert one.manifest.world_hash == two.manifest.world_hash
    for table in ("contacts", "handovers", "connectivity", "density", "rsus", "shapes", "shards"):
        assert one.fingerprint()[table] == two.fingerprint()[table]
    assert one.fingerprint()["jobs"] != two.fingerprint()["jobs"]
    start = [r.table("evaluations").query("merge == 0").iloc[0] for r in (one, two)]
    assert start[0].equals(start[1]), "equal initial weights answer equally"


def test_adapters_of_every_merge_are_kept(folder: Path) -> None:
    kept = open_run(folder / "first" / "all-available" / "seed-1").adapters()
    assert {task: sorted(names) for task, names in kept.items()} == {
        "lights": ["final", "merge-0001"],
        "signs": ["final", "merge-0001"],
    }


def test_every_scope_is_evaluated_for_both_tasks(folder: Path) -> None:
    found = open_run(folder / "first" / "all-available" / "seed-1").table("evaluations")
    for task, classes in (("signs", 43), ("lights", 5)):
        scopes = found[(found["task"] == task) & (found["merge"] == 2)].groupby("scope").size()
        assert scopes["global"] == scopes["validation"] == 1
        assert scopes["district"] == 4
        assert 3 <= scopes["class"] <= classes
        assert scopes["vehicle"] >= 5
    assert (found.query("scope == 'vehicle'").groupby("task")["merge"].nunique() == 2).all(), "after every merge"


def test_samples_that_arrive_on_the_way_are_trained_on_only_after_they_came(folder: Path) -> None:
    run = open_run(folder / "first" / "all-available" / "seed-1")
    shards = run.table("shards").query("task == 'lights'").set_index("vehicle")
    arrivals = shards[["first_s", "last_s", "train_samples"]]
    jobs = run.table("jobs").query("task == 'lights'").join(arrivals, on="vehicle")
    assert len(jobs)
    assert (jobs["first_s"] <= jobs["start_s"]).all()
    assert (jobs["samples"] >= 1).all()
    all_there = jobs["samples"] == jobs["train_samples"]
    assert (all_there == (jobs["last_s"] <= jobs["start_s"])).all()
    assert not all_there.all(), "some vehicle still collects"
    assert run.table("shards").query("task == 'signs'")["first_s"].isna().all()


def test_data_statistics_stand_in_the_run_and_agree_with_the_shards(folder: Path) -> None:
    run = open_run(folder / "first" / "random" / "seed-1")
    shards, classes, data = (run.table(name) for name in ("shards", "shard_classes", "data"))
    held = classes.groupby(["vehicle", "task"])[["train_samples", "test_samples"]].sum()
    told = shards.set_index(["vehicle", "task"])[["train_samples", "test_samples"]]
    assert held.sort_index().equals(told.sort_index())
    sizes = data.groupby(["task", "part"])["samples"].sum()
    assert sizes["signs"].to_dict() == {"train": 360, "validation": 40, "test": 60}


def test_equal_clients_of_two_policies_train_alike(folder: Path) -> None:
    """In the first round both start from the same adapter: whoever is served by both has the same losses."""
    one, two = (r.table("jobs").query("round == 0").set_index("vehicle") for r in find_runs([folder / "first"]))
    common = [
        v
        for v in one.index.intersection(two.index)
        if one.loc[v, "status"] == two.loc[v, "status"] == "delivered" and one.loc[v, "rank"] == two.loc[v, "rank"]
    ]
    assert common
    for vehicle in common:
        assert one.loc[vehicle, "loss_before"] == two.loc[vehicle, "loss_before"]
        assert one.loc[vehicle, "loss_after"] == two.loc[vehicle, "loss_after"]


def test_the_final_adapter_loads_with_peft_alone(folder: Path) -> None:
    run = open_run(folder / "first" / "all-available" / "seed-1")
    saved = run.adapters()["signs"]["final"]
    adapter = load_tensors(saved / "adapter_model.safetensors")
    model = PeftModel.from_pretrained(classifier(roadvit(), 43), str(saved))
    weights = dict(model.named_parameters())
    name = next(n for n in adapter.tensors if n.endswith("lora_B.weight"))
    loaded = weights[name.replace("lora_B.weight", "lora_B.default.weight")].detach().numpy()
    assert np.array_equal(loaded, adapter.tensors[name])
    assert np.abs(loaded).max() > 0


def test_charged_and_trained_models_stand_in_the_manifest(folder: Path) -> None:
    charge = open_run(folder / "first" / "random" / "seed-1").manifest.charge_as["signs"]
    assert (charge.trained, charge.charged) == ("roadvit", "vit-base-patch16-224")


def test_what_sumo_counted_stands_in_the_manifest(folder: Path) -> None:
    traffic = open_run(folder / "first" / "random" / "seed-1").manifest.traffic
    assert traffic["vehicles loaded"] >= traffic["vehicles inserted"] > 10


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_leaves_an_unfinished_run_and_no_process(folder: Path, session_cache: Path, workers: str) -> None:
    out = folder / f"stopped-{workers}"
    # A shell without job control lets what it starts in the background ignore Ctrl-C; these must hear it all the same.
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = f"{hears}from iovsim.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        program,
        "run",
        "world.toml",
        "-p",
        "all-available",
        "-p",
        "random",
        "-j",
        workers,
        "-o",
        str(out),
        "--cache",
        str(session_cache),
        "--no-store",  # else it might be over before it is stopped
    ]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    manifest = out / "all-available" / "seed-1" / "manifest.json"
    deadline = time.monotonic() + 120
    while not manifest.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in error
    assert b"Traceback" not in error
    assert json.loads(manifest.read_text())["status"] == "interrupted"
    assert group_is_gone(process.pid, within_s=20.0), "a process was left behind"


def group_is_gone(group: int, within_s: float) -> bool:
    """Whether nobody is left in the process group; helpers of multiprocessing may take a moment after their parent."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
