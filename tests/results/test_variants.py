"""Runs of several scenarios fall into groups by what differs, and each group is compared for itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from iovsim.domain import Precision, TrainerKind, TrainerSpec
from iovsim.errors import ResultsError
from iovsim.results import Manifest, PolicyRecord, Run, compare_values, compare_variants
from iovsim.results.frame import to_frame
from iovsim.results.markdown import to_markdown
from iovsim.results.variants import LONGEST, folder_name, in_words, variants

MakeRun = Callable[..., Run]


def scenario(duration_s: float, budget_j: float = 100.0, fading: str = "rayleigh") -> dict[str, Any]:
    return {
        "name": "grid",
        "title": f"{duration_s} s",
        "time": {"duration_s": duration_s},
        "radio": {"fading": {"kind": fading}},
        "tasks": [{"name": "signs", "round_energy_j": budget_j}, {"name": "lights", "round_energy_j": 5.0}],
    }


def test_groups_are_by_dotted_keys_with_tasks_by_name_in_order_of_size(make_run: MakeRun) -> None:
    runs = [
        make_run(policy, seed, scenario=scenario(duration_s, budget_j))
        for duration_s, budget_j in ((120.0, 100.0), (60.0, 50.0), (60.0, 100.0))
        for policy in ("greedy", "bandit")
        for seed in (1, 2)
    ]
    found = variants(runs)
    assert [variant for variant, _ in found] == [
        {"tasks.signs.round_energy_j": 50.0, "time.duration_s": 60.0},
        {"tasks.signs.round_energy_j": 100.0, "time.duration_s": 60.0},
        {"tasks.signs.round_energy_j": 100.0, "time.duration_s": 120.0},
    ]
    assert [mine for _, mine in found] == [runs[4:8], runs[8:], runs[:4]]
    assert in_words(found[0][0]) == "tasks.signs.round_energy_j = 50.0, time.duration_s = 60.0"


def test_equal_scenarios_are_one_group_without_keys(make_run: MakeRun) -> None:
    fast = TrainerSpec(TrainerKind.PEFT, Precision.FP32, "cuda")
    runs = [make_run("greedy", 1), make_run("greedy", 2, training=fast), make_run("bandit", 1)]
    assert variants(runs) == [({}, runs)]
    assert variants([]) == []


def test_policies_differ_by_nature_but_one_policy_differs_from_itself_by_variant(make_run: MakeRun) -> None:
    def record(name: str, rank: int) -> PolicyRecord:
        return PolicyRecord(name, "staged", "none", {"policy": {"kind": name, "rank": rank}, "forecast": {"kind": "x"}})

    runs = [make_run(name, 1, policy=record(name, rank)) for rank in (16, 8) for name in ("greedy", "bandit")]
    found = variants(runs)
    assert [variant for variant, _ in found] == [{"policies.policy.rank": 8}, {"policies.policy.rank": 16}]
    assert [mine for _, mine in found] == [runs[2:], runs[:2]]


def test_precisions_are_never_mixed(make_run: MakeRun) -> None:
    coarse = TrainerSpec(precision=Precision.BF16)
    runs = [make_run("greedy", 1), make_run("greedy", 1, training=coarse)]
    assert [variant for variant, _ in variants(runs)] == [
        {"training.precision": "bf16"},
        {"training.precision": "fp32"},
    ]


def test_each_variant_is_compared_for_itself_and_has_a_column_a_key(make_run: MakeRun) -> None:
    """Bandit is better by 0.1 in the short world and by 0.3 in the long one; seeds of the two need not be the same."""
    runs = [
        make_run(policy, seed, accuracy, scenario=scenario(duration_s), world_hash=f"{seed + duration_s}")
        for duration_s, better, seeds in ((60.0, 0.1, (1, 2)), (120.0, 0.3, (3,)))
        for seed in seeds
        for policy, accuracy in (("greedy", 0.5), ("bandit", 0.5 + better))
    ]
    found = compare_variants(runs)
    assert [(one.variant, one.seeds, one.baseline) for one in found] == [
        ({"time.duration_s": 60.0}, (1, 2), "greedy"),
        ({"time.duration_s": 120.0}, (3,), "greedy"),
    ]
    frame = to_frame(found)
    assert list(frame.columns[:2]) == ["time.duration_s", "world"]
    better = frame[(frame["metric"] == "final_accuracy") & (frame["policy"] == "bandit")]
    assert better.set_index("time.duration_s")["difference_mean"].to_dict() == pytest.approx({60.0: 0.1, 120.0: 0.3})
    text = to_markdown(found)
    titles = re.findall("^## (.*)$", text, re.MULTILINE)
    assert titles == ["grid, time.duration_s = 60.0, seeds 1, 2", "grid, time.duration_s = 120.0, seed 3"]
    assert text.count("- Variant: time.duration_s = ") == 2


def test_values_of_a_key_are_compared_in_place_of_policies(make_run: MakeRun) -> None:
    """Of each policy, and of each variant of other keys, apart; their worlds differ, and seeds pair them."""
    noise = {1: 0.0, 2: 0.1, 3: -0.1}  # of a seed, whatever the value: what pairing takes away
    runs = [
        make_run(policy, seed, 0.5 + noise[seed] + gain * share, scenario=scenario(duration_s, fading=fading))
        for policy, gain in (("greedy", 0.1), ("bandit", 0.2))
        for duration_s in (60.0, 120.0)
        for fading, share in (("rician", 1.0), ("rayleigh", 0.0))
        for seed in (1, 2, 3)
    ]
    runs = [run_with_hash(run, f"{n}") for n, run in enumerate(runs)]
    found = compare_values(runs, "radio.fading.kind", "rayleigh")
    assert [(dict(one.variant), one.policies) for one in found] == [
        ({"policies.name": policy, "time.duration_s": duration_s}, ("rayleigh", "rician"))
        for duration_s in (60.0, 120.0)
        for policy in ("greedy", "bandit")
    ]
    for one in found:
        (row,) = (r for r in one.rows if (r.metric.name, r.policy) == ("final_accuracy", "rician"))
        assert row.difference is not None
        assert row.difference.mean == pytest.approx(0.1 if one.variant["policies.name"] == "greedy" else 0.2)
        assert row.difference.half == pytest.approx(0.0, abs=1e-9)
        assert one.notes[0].endswith("Δ: value of radio.fading.kind minus baseline, paired by seed.")
        assert one.notes[1].startswith("Worlds of a seed differ in radio.fading.kind")
    assert compare_values(runs, "radio.fading.kind")[0].baseline == "rician", "that of the first run"


def run_with_hash(run: Run, world_hash: str) -> Run:
    return replace(run, manifest=replace(run.manifest, world_hash=world_hash))


@pytest.mark.parametrize(
    ("by", "baseline", "message"),
    [
        (
            "radio.fading.kin",
            None,
            r"no key 'radio\.fading\.kin' in its scenario or policy; did you mean 'radio\.fading",
        ),
        ("time.duration_s", "30.0", r"baseline: no value of time\.duration_s '30\.0' among the runs"),
    ],
)
def test_unknown_keys_and_values_are_told(make_run: MakeRun, by: str, baseline: str | None, message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        compare_values([make_run("greedy", 1, scenario=scenario(60.0))], by, baseline)
    with pytest.raises(ResultsError, match="no runs given"):
        compare_values([], by, baseline)


def test_policies_on_different_worlds_are_refused(make_run: MakeRun) -> None:
    runs = [make_run("greedy", 1, scenario=scenario(60.0)), make_run("bandit", 1, scenario=scenario(120.0))]
    message = r"the runs with time\.duration_s = 120\.0 have no policy 'greedy', the baseline; they have 'bandit'"
    with pytest.raises(ResultsError, match=message):
        compare_variants(runs)
    with pytest.raises(ResultsError, match="no runs given"):
        compare_variants([])


def test_names_of_folders_are_plain_and_not_too_long(make_run: MakeRun, manifest: Manifest) -> None:
    assert folder_name({"time.duration_s": 60.0, "radio.fading": {"kind": "a/b"}}) == (
        "time.duration_s=60.0,radio.fading=-kind-a-b-"
    )
    long, other = ({f"key{i}": i for i in range(40)} | {"last": last} for last in "ab")
    assert len(folder_name(long)) == LONGEST + 9
    assert folder_name(long) != folder_name(other)
    run = replace(make_run("greedy", 1), manifest=replace(manifest, scenario=scenario(1.0, fading="rician")))
    [(variant, _), _] = variants([run, replace(run, manifest=replace(manifest, scenario=scenario(1.0)))])
    assert folder_name(variant) == "radio.fading.kind=rayleigh"
