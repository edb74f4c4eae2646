"""Dotted keys change what a file says, and a key that leads nowhere ends in one line that says where it stopped."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.config import load_policy, load_scenario
from iovsim.config.changes import changed, key_parts, parse_changes
from iovsim.errors import ScenarioError

WORLD: dict[str, Any] = {
    "name": "small",
    "time": {"start_s": 0.0, "duration_s": 100.0},
    "rsus": {"placement": "sites", "sites": [{"name": "north", "x_m": 1.0}, {"name": "south.1", "x_m": 2.0}]},
    "tasks": [{"name": "signs", "ranks": [4, 8], "backbone": "roadvit"}, {"name": "lights"}],
}


def test_keys_are_changed_in_tables_and_in_lists_of_named_tables() -> None:
    result = changed(
        WORLD,
        {
            "time.duration_s": 60.0,
            "tasks.signs.ranks": (2, 4),
            "tasks.lights.shards.samples": 30,
            'rsus.sites."south.1".x_m': 5.0,
            "radio.fading": {"kind": "none"},
        },
    )
    assert result["time"] == {"start_s": 0.0, "duration_s": 60.0}
    assert result["tasks"] == [
        {"name": "signs", "ranks": [2, 4], "backbone": "roadvit"},
        {"name": "lights", "shards": {"samples": 30}},
    ]
    assert [site["x_m"] for site in result["rsus"]["sites"]] == [1.0, 5.0]
    assert result["radio"] == {"fading": {"kind": "none"}}


def test_the_content_itself_stays_as_it_was() -> None:
    before = copy.deepcopy(WORLD)
    changed(WORLD, {"tasks.signs.ranks": [1], "time.start_s": 9.0, "rounds.period_s": 5.0})
    assert before == WORLD


def test_later_changes_see_earlier_ones() -> None:
    result = changed(WORLD, {"radio": {"carrier_hz": 1e9}, "radio.efficiency": 0.5})
    assert result["radio"] == {"carrier_hz": 1e9, "efficiency": 0.5}


def test_numbers_of_numpy_become_plain_ones() -> None:
    result = changed(WORLD, {"rsus.count": np.int64(3), "time.start_s": np.float32(0.5), "radio.buildings": True})
    assert type(result["rsus"]["count"]) is int
    assert type(result["time"]["start_s"]) is float
    assert result["radio"]["buildings"] is True


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "tasks.sings.ranks",
            r"'tasks.sings.ranks': 'tasks' has none that is named 'sings'; did you mean 'signs'\? Allowed: 'lights'",
        ),
        ("rsus.sites.nord.x_m", r"'rsus.sites' has none that is named 'nord'; did you mean 'north'\?"),
        ("tasks.signs", r"'tasks.signs': stands for a whole table of 'tasks'; name the key in it"),
        ("time.duration_s.of", r"'time.duration_s' is 100.0, no table .* change 'time.duration_s' as a whole"),
        ("time.duration_s.of.what", r"'time.duration_s' is 100.0, no table"),
        ("tasks.signs.backbone.max_tokens", r"'tasks.signs.backbone' is 'roadvit', no table"),
        ("tasks.signs.ranks.first", r"'tasks.signs.ranks' is \[4, 8\], no table"),
        ("", r"change '': not a dotted key"),
        ("time..start_s", r"not a dotted key"),
        ("two words", r"not a dotted key"),
        ("a = 1\nb", r"not a dotted key"),
    ],
)
def test_a_key_that_leads_nowhere_says_where_it_stopped(key: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        changed(WORLD, {key: 1})


NAMES = st.text("ab.-_1", min_size=1).filter(lambda text: text.strip("."))


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers())
def test_what_was_set_is_found_under_its_quoted_key(parts: list[str], value: int) -> None:
    key = ".".join(f'"{part}"' for part in parts)
    assert key_parts(key) == parts
    found: Any = changed({}, {key: value})
    for part in parts:
        found = found[part]
    assert found == value


def test_texts_become_changes() -> None:
    texts = ["time.duration_s=60.0", "tasks.signs.ranks = [4, 8]", 'radio.fading={ kind = "none" }', "x=true"]
    assert parse_changes(texts) == {
        "time.duration_s": 60.0,
        "tasks.signs.ranks": [4, 8],
        "radio.fading": {"kind": "none"},
        "x": True,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time.duration_s", r"--set 'time.duration_s': write KEY=VALUE"),
        ("=3", r"--set '=3': write KEY=VALUE"),
        ("name=mine", r"'mine' is no TOML value; write KEY=VALUE .*name="),
        ("a=1\nb=2", r"holds more than one value"),
        ("a=", r"'' is no TOML value"),
    ],
)
def test_a_text_that_is_no_change_says_how_to_write_one(text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse_changes([text])


def test_a_key_is_given_once() -> None:
    with pytest.raises(ScenarioError, match=r"'a' is changed twice"):
        parse_changes(["a=1", "a=2"])


def test_a_built_in_world_and_policy_are_changed_by_dotted_keys() -> None:
    scenario = load_scenario(
        "demo", {"time.duration_s": 60.0, "tasks.signs.round_energy_j": 7, "radio.efficiency": 0.5}
    )
    assert (scenario.time.duration_s, scenario.radio.efficiency) == (60.0, 0.5)
    assert [task.round_energy_j for task in scenario.tasks] == [7.0, 100.0, 100.0]
    assert load_policy("random", {"forecast.kind": "oracle"}).forecast.kind == "oracle"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("time.duraton_s", r"demo.toml with time.duraton_s changed: unknown key 'time.duraton_s'; did you mean 'dura"),
        ("tyme.duration_s", r"demo.toml with tyme.duration_s changed: unknown key 'tyme'; did you mean 'time'"),
        ("tasks.signs.rnks", r"unknown key 'tasks\[0\].rnks'; did you mean 'ranks'"),
        ("time.duration_s", r"key 'time.duration_s': found 'long'; Input should be a valid number"),
    ],
)
def test_a_change_that_a_world_does_not_take_is_named(key: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        load_scenario("demo", {key: "long"})


def test_a_change_that_a_policy_does_not_take_is_named() -> None:
    with pytest.raises(
        ScenarioError, match=r"random.toml with forcast.kind changed: unknown key 'forcast'; did you mean"
    ):
        load_policy("random", {"forcast.kind": "oracle"})
