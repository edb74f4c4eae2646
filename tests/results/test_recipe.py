"""Commands that make runs again: named where built in, from files that load to the very scenario where not."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.config import load_policy, load_scenario, policy_from, scenario_from
from iovsim.config.builtin import builtin_policies, builtin_scenarios
from iovsim.config.seeds import parse_seeds
from iovsim.domain import TrainerKind, TrainerSpec
from iovsim.results import Manifest, PolicyRecord
from iovsim.results.manifest import Input, Origin
from iovsim.results.recipe import Builtin, ranges, recipe
from iovsim.results.toml import toml_text

SCENARIOS = {name: load_scenario(path).model_dump(mode="json") for name, path in builtin_scenarios().items()}
POLICIES = {name: load_policy(name).model_dump(mode="json", exclude={"name", "title"}) for name in builtin_policies()}
BUILTIN = Builtin(SCENARIOS, POLICIES)


def made(
    manifest: Manifest, scenario: dict[str, Any], policy: str = "random", seeds: tuple[int, ...] = (1, 2)
) -> tuple[Manifest, ...]:
    record = PolicyRecord(policy, "", "", POLICIES[policy])
    return tuple(replace(manifest, world=scenario["name"], scenario=scenario, policy=record, seed=s) for s in seeds)


def test_what_is_built_in_is_named_and_seeds_are_joined(manifest: Manifest) -> None:
    runs = made(manifest, SCENARIOS["demo"], seeds=(3, 1, 2, 7))
    found = recipe({"random": runs}, BUILTIN)
    assert found.commands == {
        "random": (
            "iovsim run demo --policy random --trainer batched --precision fp32 --device cpu --seeds 1-3,7 --out again",
        )
    }
    assert found.files == {}
    assert [line.split()[0] for line in found.remarks] == ["made", "hashes"]
    assert "1 abababababab" in found.remarks[1]
    assert found.lines() == [*found.remarks, *found.commands["random"], "iovsim compare again"]


def test_runs_that_were_made_in_different_ways_have_a_command_each(manifest: Manifest) -> None:
    one, two = made(manifest, SCENARIOS["demo"])
    other = replace(two, training=TrainerSpec(TrainerKind.PEFT, device="cuda:0"))
    commands = recipe({"random": (one, other)}, BUILTIN).commands["random"]
    assert [command.split("--trainer ")[1] for command in commands] == [
        "batched --precision fp32 --device cpu --seeds 1 --out again",
        "peft --precision fp32 --device cuda:0 --seeds 2 --out again",
    ]


def test_values_of_a_key_have_folders_of_their_own(manifest: Manifest) -> None:
    one = made(manifest, SCENARIOS["demo"], seeds=(1,))
    other = tuple(replace(run, world_hash="cd" * 32) for run in one)
    found = recipe({"a": one, "b": other}, BUILTIN, options=("--by", "x.y"), apart=True)
    assert [found.commands[name][0].split("--out ")[1] for name in ("a", "b")] == ["again/0", "again/1"]
    assert found.compare == "iovsim compare again --by x.y"
    assert "1 abababababab, 1 cdcdcdcdcdcd" in found.remarks[1]


def test_moved_data_are_an_option_of_the_built_in_scenario(manifest: Manifest) -> None:
    scenario = load_scenario(builtin_scenarios()["sst2"]).with_data("sentiment", Path("/data/my films"))
    found = recipe({"random": made(manifest, scenario.model_dump(mode="json"))}, BUILTIN)
    words = shlex.split(found.commands["random"][0])
    assert words[2:6] == ["sst2", "--data", "sentiment=/data/my films", "--policy"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_changed_world_and_policy_become_files_that_load_to_the_same(name: str, manifest: Manifest) -> None:
    changed = {**SCENARIOS[name], "rounds": {**SCENARIOS[name]["rounds"], "merge_every": 7}}
    parameters = {**POLICIES["energy-budget"], "forecast": {"kind": "oracle"}}
    runs = [replace(made(manifest, changed)[0], policy=PolicyRecord("mine", "", "", parameters))]
    found = recipe({"mine": runs}, BUILTIN)
    words = shlex.split(found.commands["mine"][0])
    world, policy = words[2], words[4]
    assert {f"inputs/{file}" for file in found.files} == {world, policy}
    again = scenario_from(tomllib.loads(found.files[Path(world).name]), Path(world))
    assert again.model_dump(mode="json") == changed
    method = policy_from(tomllib.loads(found.files[Path(policy).name]), policy)
    assert (method.name, method.model_dump(mode="json", exclude={"name", "title"})) == ("mine", parameters)


def test_worlds_of_one_name_have_files_of_their_own(manifest: Manifest) -> None:
    files: set[str] = set()
    for merge_every in (3, 4):
        changed = {**SCENARIOS["demo"], "rounds": {**SCENARIOS["demo"]["rounds"], "merge_every": merge_every}}
        files |= recipe({"random": made(manifest, changed)}, BUILTIN).files.keys()
    assert len(files) == 2


def test_what_an_old_manifest_lacks_is_told(manifest: Manifest) -> None:
    scenario = {**SCENARIOS["sst2"], "radio": {**SCENARIOS["sst2"]["radio"], "path_loss": {"kind": "mine:Loss"}}}
    found = recipe({"random": made(manifest, scenario)}, BUILTIN)
    assert "missing in the manifest: the folder at which tasks.sentiment.data.path = 'SST-2' starts" in found.remarks
    assert "missing in the manifest: the code of radio.path_loss.kind = 'mine:Loss'" in found.remarks


def test_a_manifest_with_its_origin_lacks_nothing_and_anchors_its_files(manifest: Manifest) -> None:
    scenario = {**SCENARIOS["sst2"], "title": "changed", "districts": {"per_side": 3}}
    inputs = {"tasks.sentiment.data.path": Input("/worlds/SST-2", "ab" * 32)}
    origin = Origin("/worlds", "/here", inputs, None, 0)
    found = recipe({"random": [replace(run, origin=origin) for run in made(manifest, scenario)]}, BUILTIN)
    [text] = found.files.values()
    assert tomllib.loads(text)["tasks"][0]["data"]["path"] == "/worlds/SST-2"
    assert not any("missing" in remark for remark in found.remarks)
    assert "needs tasks.sentiment.data.path: /worlds/SST-2, SHA-256 abababababab" in found.remarks


def test_a_title_changes_no_run(manifest: Manifest) -> None:
    found = recipe({"random": made(manifest, {**SCENARIOS["demo"], "title": "older words"})}, BUILTIN)
    assert found.commands["random"][0].startswith("iovsim run demo ")


@given(st.lists(st.integers(0, 30), min_size=1))
def test_ranges_are_read_as_the_same_seeds(numbers: list[int]) -> None:
    assert parse_seeds(ranges(numbers)) == sorted(set(numbers))


values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_toml_reads_as_what_was_written(table: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(table)) == table


def test_toml_has_no_word_for_none_and_refuses_strangers() -> None:
    assert toml_text({"a": None, "b": {"c": None, "d": 1}}) == "b = { d = 1 }\n"
    with pytest.raises(TypeError, match="has no form in TOML"):
        toml_text({"a": object()})
