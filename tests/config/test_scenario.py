"""A wrong world file ends in one line with file, key, what was found, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from iovsim.config import Scenario, load_policy, load_scenario
from iovsim.errors import ScenarioError
from iovsim.paths import shared_dir

GOOD = """
name = "small"

[time]
start_s = 0.0
duration_s = 100.0

[mobility]
map = "portside"

[rsus]
placement = "junctions"
count = 3

[radio]
bandwidth_up_hz = 10e6

[radio.path_loss]
kind = "log-distance"
exponent = 3.0

[[tasks]]
name = "signs"
round_energy_j = 100.0
data = { kind = "npz", path = "a.npz" }
"""


def load(folder: Path, text: str) -> object:
    path = folder / "world.toml"
    path.write_text(text)
    return load_scenario(path)


def test_a_good_file_loads_with_defaults_and_parameters(tmp_path: Path) -> None:
    path = tmp_path / "world.toml"
    path.write_text(GOOD)
    scenario = load_scenario(path)
    assert scenario.radio.bandwidth_up_hz == 10e6
    assert scenario.radio.bandwidth_down_hz == 20e6
    assert scenario.radio.path_loss.parameters == {"exponent": 3.0}
    assert scenario.resolved(Path("a.npz")) == tmp_path / "a.npz"


def test_what_is_found_wrong_later_names_the_file_and_its_changes(tmp_path: Path) -> None:
    path = tmp_path / "world.toml"
    path.write_text(GOOD)
    assert load_scenario(path).where == str(path)
    changed = load_scenario(path, {"time.duration_s": 50.0})
    assert changed.with_data("signs", Path("/b.npz")).where == f"{path} with time.duration_s changed"
    with pytest.raises(ScenarioError, match=r"world\.toml with time\.duration_s changed: no task 'sings'"):
        changed.with_data("sings", Path("/b.npz"))
    assert Scenario.model_validate(changed.model_dump()).where == "small", "made from no file"


WRONG = [
    ("bandwidth_up_hz", "bandwith_up_hz", r"unknown key 'radio.bandwith_up_hz'; did you mean 'bandwidth_up_hz'\?"),
    (
        "bandwidth_up_hz = 10e6",
        "bandwidth_up_mhz = 10",
        r"unknown key 'radio.bandwidth_up_mhz'; did you mean 'bandwidth_up_hz'",
    ),
    ("count = 3", 'count = "three"', r"key 'rsus.count': found 'three'; Input should be a valid integer"),
    ("count = 3", "count = 0", r"key 'rsus.count': found 0; Input should be greater than or equal to 1"),
    ("count = 3", "", r"key 'rsus': placement 'junctions' needs 'count'"),
    ('placement = "junctions"\ncount = 3', 'placement = "k-means"', r"key 'rsus': placement 'k-means' needs 'count'"),
    ('placement = "junctions"', 'placement = "file"', r"key 'rsus': placement 'file' needs 'file'"),
    ('placement = "junctions"', 'placement = "grid"\nfile = "a.csv"', r"needs 'file', .* which no other takes"),
    ("start_s = 0.0", "", r"the key 'time.start_s' is missing"),
    ("100.0\n\n[mob", "nan\n\n[mob", r"key 'time.duration_s': found nan; Input should be a finite number"),
    ("duration_s = 100.0", "duration_s = -5", r"key 'time.duration_s': found -5; Input should be greater than 0"),
    ("duration_s = 100.0", "duration_s = 5", r"time.duration_s = 5 holds no round of period_s = 30"),
    ('map = "portside"', "", r"key 'mobility': give either 'map' .* or 'sumocfg'"),
    ('"npz"', '"nzp"', r"key 'tasks\[0\].data.kind': unknown 'nzp'; did you mean 'npz'"),
    ('path = "a.npz"', 'pth = "a.npz"', r"unknown key 'tasks\[0\].data.pth'; did you mean 'path'\?"),
    ('name = "small"', "name = ", r"not valid TOML: .*line 2"),
    ('name = "small"', 'name = "a/b"', r"key 'name': found 'a/b'; String should match pattern"),
    ("round_energy_j = 100.0", "", r"the key 'tasks\[0\].round_energy_j' is missing"),
    ("round_energy_j = 100.0", "round_energy_j = 100.0\nranks = [8, 4]", r"ranks must ascend"),
    *(
        ("round_energy_j = 100.0", f"round_energy_j = 100.0\nlora = {{ top_blocks = {found} }}", message)
        for found, message in (
            ("0", r"key 'tasks\[0\].lora.top_blocks': found 0; Input should be greater than or equal to 1"),
            ("-2", r"key 'tasks\[0\].lora.top_blocks': found -2; Input should be greater than or equal to 1"),
            ("1.5", r"key 'tasks\[0\].lora.top_blocks': found 1.5; Input should be a valid integer"),
            ('"all"', r"key 'tasks\[0\].lora.top_blocks': found 'all'; Input should be a valid integer"),
            ("true", r"key 'tasks\[0\].lora.top_blocks': found True; Input should be a valid integer"),
        )
    ),
    ('placement = "junctions"', 'placement = "sites"', r"placement 'sites' needs at least one"),
    (
        'placement = "junctions"',
        'placement = "junction"',
        r"key 'rsus.placement': found 'junction'; Input should be 'junctions', 'grid', 'centrality', 'cover",
    ),
    ("[radio]", "[rounds]\ndeadline_s = 31.0\n[radio]", r"deadline_s = 31 exceeds period_s = 30"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[m[:60] for _, _, m in WRONG])
def test_a_wrong_file_is_told_where_and_what(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError, match=message) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert str(tmp_path / "world.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("training = { learning_rate = -1.0 }", r"learning_rate.lora': found -1.0; Input should be greater than 0\.$"),
        (
            "training = { learning_rate = { lora = 1e-3, head = 2 } }",
            r"learning_rate.head': found 2.*less than or equal",
        ),
        ("training = { learning_rate = 'fast' }", r"learning_rate': found 'fast'"),
        ('head = "locl"', r"tasks\[0\].head': found 'locl'; Input should be 'federated' or 'local'\.$"),
    ],
)
def test_the_only_task_is_complained_about_once(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        load(tmp_path, GOOD + line + "\n")


def test_one_learning_rate_is_that_of_adapters(tmp_path: Path) -> None:
    scenario = load(tmp_path, GOOD + "training = { learning_rate = 3e-3 }\n")
    assert isinstance(scenario, Scenario)
    assert scenario.tasks[0].training.rates == {"lora": 3e-3}


def test_a_site_with_an_unknown_task_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace('placement = "junctions"', 'placement = "sites"').replace("count = 3", "")
    text += '\n[[rsus.sites]]\nname = "a"\nx_m = 1.0\ny_m = 2.0\ntasks = ["lights"]\n'
    with pytest.raises(ScenarioError, match=r"RSU 'a' hosts the unknown task 'lights'; the tasks are \['signs'\]"):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere.toml: no such file"):
        load_scenario(tmp_path / "nowhere.toml")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match=r"cannot be read as a text file"):
        load_scenario(tmp_path / "x.toml")


def test_an_unknown_policy_gets_the_nearest_name() -> None:
    with pytest.raises(ScenarioError, match=r"policy 'energy-buget': .* did you mean 'energy-budget'\?"):
        load_policy("energy-buget")


@pytest.mark.parametrize("path", sorted(shared_dir("scenarios").glob("policies/*.toml")), ids=lambda p: p.stem)
def test_built_in_policy_files_are_named_like_their_policy(path: Path) -> None:
    assert load_policy(path.stem).name == path.stem
    assert load_policy(path.stem).title
