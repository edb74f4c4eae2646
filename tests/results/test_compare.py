"""Metrics and paired differences against values computed by hand, and every set of runs that must not be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import replace
from io import StringIO
from math import exp
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from iovsim.errors import ResultsError
from iovsim.results import METRICS, Comparison, Manifest, PolicyRecord, Run, RunFolder, compare, metrics, open_run
from iovsim.results.metrics import DEFAULT
from iovsim.results.pairing import differing_keys

Rows = dict[str, dict[str, Any]]
MakeRun = Callable[..., Run]


def test_each_metric_has_the_value_computed_by_hand(make_run: MakeRun) -> None:
    found = {(v.metric.name, v.task): v.value for v in metrics(make_run("greedy", 1))}
    area = 60 * (0.1 + 0.9) / 2 + 40 * (0.9 + 0.5) / 2
    of_signs = {
        "final_accuracy": 0.5,
        "final_macro_f1": 0.25,
        "final_loss": 1.0,
        "calibration_error": 0.05,
        "worst_class_recall": 0.4,
        "district_gap": 0.25,
        "personalised_accuracy": 0.5,
        "personalised_macro_f1": 0.25,
        "best_accuracy": 0.9,
        "mean_accuracy": area / 100,
        "mean_macro_f1": area / 200,
        "task_energy_j": 24.0,
        "task_latency_s": 3.0,
        "final_stable_rank": 2.5,
    }
    of_run = {
        "energy_j": 30.0,
        "wasted_share": 0.2,
        "delivered_jobs": 2.0,
        "lost_jobs": 1.0,
        "failed_jobs": 1.0,
        "early_jobs": 1.0,
        "migrated_jobs": 0.0,
        "abandoned_jobs": 0.0,
        "latency_s": 3.0,
        "round_latency_s": 89.0,
        "memory_gbit": 0.25e-9,
        "mean_reward": 0.25 * (1.2 * exp(-0.25) + 0.2 * (26 + 28) / 30 + 0.4 * (1 - 0.25 / 75)) / 4,
        "energy_per_update_j": 15.0,
        "overrun_j": 1.5,
        "budget_share": 26.5 / 40.0,
        "connected_share": 0.5,
        "seen_share": 15.0 / 40.0,
        "covered_road_share": 0.5,
        "contact_s": 30.0,
        "handovers_per_vehicle_h": 3600.0 / 40.0,
    }
    expected = {(name, "signs"): value for name, value in of_signs.items()}
    assert found == pytest.approx(expected | {(name, ""): value for name, value in of_run.items()})
    assert {name for name, _ in found} == set(METRICS)
    assert set(DEFAULT) < set(METRICS)


def test_what_is_not_finite_and_a_gap_of_one_district_measure_nothing(
    tmp_path: Path, manifest: Manifest, row_of: Rows
) -> None:
    with RunFolder.create(tmp_path / "run", manifest) as folder:
        for scope in ("global", "district"):
            folder.recorder.add("evaluations", **row_of["evaluations"] | {"scope": scope, "loss": None})
    found = {v.metric.name: v.value for v in metrics(open_run(tmp_path / "run"))}
    assert [found[name] for name in ("final_loss", "district_gap", "mean_accuracy")] == [None, None, None]
    assert found["final_accuracy"] == 0.25


def test_a_run_without_jobs_measures_nothing_instead_of_dividing_by_it(tmp_path: Path, manifest: Manifest) -> None:
    with RunFolder.create(tmp_path / "run", manifest):
        pass
    found = {v.metric.name: v.value for v in metrics(open_run(tmp_path / "run"))}
    assert found == {
        "energy_j": 0.0,
        "task_energy_j": 0.0,
        "task_latency_s": None,
        "final_stable_rank": None,
        "wasted_share": None,
        "delivered_jobs": 0.0,
        "lost_jobs": 0.0,
        "failed_jobs": 0.0,
        "early_jobs": 0.0,
        "migrated_jobs": 0.0,
        "abandoned_jobs": 0.0,
        "latency_s": None,
        "round_latency_s": None,
        "memory_gbit": None,
        "mean_reward": None,
        "energy_per_update_j": None,
        "overrun_j": 0.0,
        "budget_share": None,
        "connected_share": None,
        "seen_share": None,
        "covered_road_share": None,
        "contact_s": None,
        "handovers_per_vehicle_h": None,
    }
    assert "| latency_s [s] ↓ | none |" in compare([open_run(tmp_path / "run")]).to_markdown()


def by_metric_and_policy(result: Comparison) -> dict[tuple[str, str], dict[Hashable, Any]]:
    return {(line["metric"], line["policy"]): line for line in result.frame().to_dict("records")}


def test_differences_are_paired_by_seed(make_run: MakeRun) -> None:
    """Differences 0.1, 0.2, 0.3: mean 0.2, s = 0.1, half-width 4.303 * 0.1 / sqrt(3) = 0.2484."""
    runs = [make_run("greedy", seed, accuracy) for seed, accuracy in ((1, 0.2), (2, 0.5), (3, 0.4))]
    runs += [make_run("bandit", seed, accuracy) for seed, accuracy in ((3, 0.7), (1, 0.3), (2, 0.7))]
    result = compare(runs)
    assert (result.baseline, result.policies, result.seeds) == ("greedy", ("greedy", "bandit"), (1, 2, 3))
    frame = by_metric_and_policy(result)
    row = frame["final_accuracy", "bandit"]
    assert row["difference_n"] == 3
    assert row["difference_mean"] == pytest.approx(0.2)
    assert row["difference_high"] - row["difference_mean"] == pytest.approx(0.2484, abs=1e-4)
    assert row["mean"] == pytest.approx((0.7 + 0.3 + 0.7) / 3)
    assert pd.isna(frame["final_accuracy", "greedy"]["difference_mean"])
    flipped = by_metric_and_policy(compare(runs, baseline="bandit"))
    assert flipped["final_accuracy", "greedy"]["difference_mean"] == pytest.approx(-0.2)
    text = result.to_markdown()
    assert "| metric | greedy (baseline) | bandit |" in text
    assert "| final_accuracy ↑ | 0.37 ± 0.38 | 0.57 ± 0.57<br>Δ +0.20 ± 0.25 |" in text
    assert text.index("### signs") < text.index("### whole run") < text.index("| energy_j [J] ↓ |")
    assert "not corrected for the number of comparisons" in text


def test_one_seed_has_no_interval_and_says_so(make_run: MakeRun, tmp_path: Path) -> None:
    result = compare([make_run("greedy", 1, 0.25), make_run("bandit", 1, 0.5)])
    text = result.to_markdown()
    assert "| final_accuracy ↑ | 0.250 | 0.500<br>Δ +0.250 |" in text
    assert "One seed: no interval can be given" in text
    result.to_csv(tmp_path / "out.csv")
    read = pd.read_csv(StringIO((tmp_path / "out.csv").read_text()))
    assert list(read.columns) == list(result.frame().columns)
    assert read["low"].isna().all()
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_a_seed_that_measured_nothing_is_counted_out(make_run: MakeRun, tmp_path: Path, manifest: Manifest) -> None:
    idle = replace(manifest, seed=2, world_hash=f"{2:064x}", policy=PolicyRecord("greedy", "greedy", "none", {}))
    with RunFolder.create(tmp_path / "idle", idle):
        pass
    result = compare([make_run("greedy", 1), open_run(tmp_path / "idle")])
    latency = next(row for row in result.rows if row.metric.name == "latency_s")
    assert result.cell(latency) == ("3.00 (n = 1)", "")


def test_metrics_are_chosen_by_name(make_run: MakeRun) -> None:
    result = compare([make_run("greedy", 1), make_run("bandit", 1)])
    chosen = result.only(["final_macro_f1", "energy_j"])
    shown = [(task, [metric.name for metric, _ in rows]) for task, rows in chosen.sections()]
    assert shown == [("signs", ["final_macro_f1"]), ("", ["energy_j"])]
    assert [row.policy for _, rows in chosen.sections() for row in rows[0][1]] == ["greedy", "bandit"] * 2
    with pytest.raises(ResultsError, match="metric 'final_acuracy': no such metric; did you mean 'final_accuracy'"):
        result.only(["final_acuracy"])


def test_runs_of_different_worlds_are_refused_with_what_differs(make_run: MakeRun) -> None:
    greedy = make_run("greedy", 1)
    other = make_run("bandit", 1, world_hash="f" * 64, scenario={"traffic": {"vehicles": 20}, "name": "grid"})
    message = (
        r"different worlds for seed 1: .* has hash 000000000000, .* has ffffffffffff; "
        r"the scenarios differ in traffic\.vehicles \(10 / 20\)"
    )
    with pytest.raises(ResultsError, match=message):
        compare([greedy, other])
    with pytest.raises(ResultsError, match="the scenarios are equal, so the map, the trace or iovsim itself changed"):
        compare([greedy, make_run("bandit", 1, world_hash="f" * 64)])
    with pytest.raises(ResultsError, match=r"world 'city', but .* is of world 'grid'"):
        compare([greedy, make_run("bandit", 1, world="city")])


def test_lacking_seeds_are_an_error_or_on_demand_a_note(make_run: MakeRun) -> None:
    runs = [make_run("greedy", 1), make_run("greedy", 2), make_run("bandit", 2), make_run("bandit", 3)]
    with pytest.raises(ResultsError, match="different seeds: 'greedy' lacks 3; 'bandit' lacks 1; run them, or compare"):
        compare(runs)
    result = compare(runs, common_seeds=True)
    assert result.seeds == (2,)
    assert "Left out, because not all policies have them: seeds 1, 3." in result.to_markdown()
    with pytest.raises(ResultsError, match="run at least one seed for all"):
        compare([runs[0], runs[2]], common_seeds=True)


def test_ambiguous_runs_are_refused(make_run: MakeRun) -> None:
    greedy = make_run("greedy", 1)
    with pytest.raises(ResultsError, match="policy 'greedy' with seed 1 is already given by"):
        compare([greedy, make_run("greedy", 1)])
    changed = make_run("greedy", 2, policy=PolicyRecord("greedy", "greedy", "none", {"top": 5}))
    with pytest.raises(ResultsError, match=re.escape("(different: parameters.top (None / 5)); give the two policies")):
        compare([greedy, changed])
    with pytest.raises(ResultsError, match="no policy 'greddy' among the runs, did you mean 'greedy'"):
        compare([greedy], baseline="greddy")
    with pytest.raises(ResultsError, match="no runs given"):
        compare([])


def test_differing_keys_walks_nested_values() -> None:
    one = {"a": 1, "b": {"c": [1, {"d": 2}], "e": "x"}, "gone": 1}
    other = {"a": 1, "b": {"c": [1, {"d": 3}], "e": "x"}, "new": [1]}
    assert differing_keys(one, other) == ["b.c[1].d (2 / 3)", "gone (1 / None)", "new (None / [1])"]
    assert differing_keys(one, one) == []
