"""Figures of learning and data show what the tables hold: curves, classes, districts, vehicles, and who holds what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pandas as pd
import pytest
from iovsim.analysis import data, learning, quality, seeds
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from iovsim.results import Run
from iovsim.results.data import always_majority

TASKS = ["incidents", "lights", "signs"]
T_OF_THREE = 4.303  # t(0.975, 2) as printed in NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2


def evaluations(run: Run, scope: str, task: str) -> pd.DataFrame:
    table = run.table("evaluations")
    return table[(table["scope"] == scope) & (table["task"] == task)].sort_values("merge", kind="stable")


def errorbars(axes: Axes) -> list[ErrorbarContainer]:
    return [c for c in axes.containers if isinstance(c, ErrorbarContainer)]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_half_widths_are_those_of_the_t_interval_and_leave_out_what_a_seed_lacks() -> None:
    middle, half = seeds.mean_and_half(np.array([[1.0, 5.0, np.nan], [2.0, 7.0, 4.0], [3.0, np.nan, np.nan]]))
    assert half is not None
    assert middle.tolist() == [2.0, 6.0, 4.0]
    assert half[:2] == pytest.approx([T_OF_THREE * 1 / 3**0.5, 12.706 * 2**0.5 / 2**0.5], rel=1e-3)
    assert np.isnan(half[2])
    assert seeds.mean_and_half(np.array([[1.0, 2.0]]))[1] is None


@pytest.mark.parametrize("draw", [learning.over_time, learning.over_energy])
def test_curves_have_a_marker_with_its_interval_for_each_merge_of_each_task_and_measure(
    runs: list[Run], draw: Callable[[list[Run]], Figure]
) -> None:
    figure = draw(runs)
    assert words(figure) == ["random", "energy-aware"]
    assert [axes.get_title() for axes in figure.axes] == [task for task in TASKS for _ in range(2)]
    places = [(task, measure) for task in TASKS for measure in ("accuracy", "macro_f1")]
    for axes, (task, measure) in zip(figure.axes, places, strict=True):
        for container, group in zip(errorbars(axes), (runs[:3], runs[3:]), strict=True):
            values = np.array([evaluations(run, "global", task)[measure] for run in group])
            line, _, bars = container
            assert np.asarray(line.get_ydata()) == pytest.approx(values.mean(axis=0)), "the last merge included"
            half = T_OF_THREE * values.std(axis=0, ddof=1) / 3**0.5
            drawn = np.array([np.ptp(segment[:, 1]) / 2 for segment in bars[1].get_segments()])
            assert drawn == pytest.approx(half, rel=1e-3)


def test_only_merges_that_all_seeds_have_are_averaged(runs: list[Run]) -> None:
    lacking = replace(runs[1], _frames={"evaluations": runs[1].table("evaluations").query("merge != 4")})
    drawn = errorbars(learning.over_time([runs[0], lacking]).axes[0])[0][0]
    whole = errorbars(learning.over_time([runs[0], runs[1]]).axes[0])[0][0]
    assert np.asarray(drawn.get_ydata()) == pytest.approx(np.delete(np.asarray(whole.get_ydata()), 4))


def test_a_grey_line_shows_what_always_answering_the_most_frequent_class_would_reach(runs: list[Run]) -> None:
    figure = learning.over_time(runs)
    for i, task in enumerate(TASKS):
        grey = [float(axes.lines[-1].get_ydata()[0]) for axes in figure.axes[2 * i : 2 * i + 2]]
        assert grey == pytest.approx(always_majority(runs[0], task))


def test_energy_axis_is_what_the_ledger_had_booked_by_then(runs: list[Run]) -> None:
    line = learning.over_energy(runs[:1]).axes[0].lines[0]
    ledger, times = runs[0].table("energy"), evaluations(runs[0], "global", TASKS[0])["time_s"]
    expected = [float(ledger.loc[ledger["time_s"] <= at, "energy_j"].sum()) / 1e3 for at in times]
    assert np.asarray(line.get_xdata()) == pytest.approx(expected)


def test_classes_are_named_sorted_and_have_every_policys_recall_and_f1(runs: list[Run]) -> None:
    figure = quality.classes(runs, "signs")
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert len(names) == len(set(names)) == 43
    assert all(name.endswith(" (500)") for name in names), "with their held-out samples"
    recalls = []
    for axes, measure in zip(figure.axes, ("accuracy", "macro_f1"), strict=True):
        for container, group in zip(errorbars(axes), (runs[:3], runs[3:]), strict=True):
            last = [evaluations(r, "class", "signs").query("merge == 10").set_index("subject")[measure] for r in group]
            order = [name.removesuffix(" (500)") for name in names]
            expected = np.array([table.reindex(order) for table in last])
            assert np.asarray(container[0].get_xdata()) == pytest.approx(expected.mean(axis=0))
            recalls.append(expected.mean(axis=0))
    both = (recalls[0] + recalls[1]) / 2
    assert (np.diff(both) >= -1e-12).all(), "the class of the lowest recall on top"


def test_districts_stand_in_numeric_order_with_every_policys_interval(runs: list[Run]) -> None:
    figure = quality.districts(runs)
    axes = figure.axes[2]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0", "1", "2", "3"]
    values = [
        evaluations(r, "district", "lights").query("merge == 10 and subject == '3'")["accuracy"].item()
        for r in runs[:3]
    ]
    line, _, (bars,) = errorbars(axes)[0]
    assert float(np.asarray(line.get_ydata())[3]) == pytest.approx(mean(values))
    half = T_OF_THREE * stdev(values) / 3**0.5
    assert bars.get_segments()[3][:, 1] == pytest.approx([mean(values) - half, mean(values) + half], rel=1e-3)
    left, right = (np.asarray(c[0].get_xdata()) for c in errorbars(axes))
    assert right - left == pytest.approx(0.375), "the policies beside each other"


def test_tasks_whose_data_name_no_districts_have_no_panels(runs: list[Run]) -> None:
    def without(*tasks: str) -> list[Run]:
        tables = [r.table("evaluations") for r in runs]
        kept = [t[(t["scope"] != "district") | ~t["task"].isin(tasks)] for t in tables]
        return [replace(r, _frames={"evaluations": t}) for r, t in zip(runs, kept, strict=True)]

    figure = quality.districts(without("incidents"))
    assert [axes.get_title() for axes in figure.axes] == ["lights", "lights", "signs", "signs"]
    assert not any(axes.texts for axes in figure.axes)
    assert figure.get_figheight() < quality.districts(runs).get_figheight()
    assert "Left out, since their data name no districts: incidents." in figure.get_supxlabel().replace("\n", " ")
    assert "no districts" not in quality.districts(runs).get_supxlabel()
    (axes,) = quality.districts(without(*TASKS)).axes
    (text,) = axes.texts
    assert text.get_text() == "no evaluations by district: only tasks whose data name districts have them"


def test_the_share_of_vehicles_is_that_of_the_last_evaluation_of_their_own_data(runs: list[Run]) -> None:
    axes = quality.vehicles(runs[:1]).axes[2]
    assert axes.get_title() == "lights, 60 vehicles a run"
    own = evaluations(runs[0], "vehicle", "lights")["accuracy"]
    x, y = (np.asarray(values) for values in axes.lines[0].get_data())
    assert y[np.searchsorted(x, own.median(), side="right") - 1] == pytest.approx((own <= own.median()).mean())
    assert (x[0], x[-1], y[-1]) == (0.0, 1.0, 1.0)
    assert not axes.collections, "no band of one seed"
    assert len(quality.vehicles(runs).axes[2].collections) == 2


def test_the_heat_map_shows_each_vehicles_class_mix_by_district(runs: list[Run]) -> None:
    figure = data.held(runs[0], "lights")
    mix = figure.axes[1].images[0].get_array()
    assert mix is not None
    assert mix.shape == (30, 5)
    assert np.asarray(mix).sum(axis=1) == pytest.approx(np.ones(30))
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()] == ["0", "1", "2", "3"]
    held = runs[0].table("shard_classes").query("task == 'lights'")
    totals = held.groupby("class")["train_samples"].sum().sort_values(ascending=False)
    assert [t.get_text() for t in figure.axes[1].get_xticklabels()] == list(totals.index)
    assert [bar.get_height() for bar in figure.axes[0].patches] == totals.tolist()
    share = f"largest {totals.iloc[0] / totals.sum():.0%}"
    assert figure.axes[0].get_title() == f"lights: 60 vehicles, {totals.sum():,} samples, 5 classes, {share}"
    assert "30 of 60 vehicles" in figure.get_supxlabel()


def test_all_vehicles_are_shown_where_they_are_few(runs: list[Run]) -> None:
    figure = data.held(runs[0], "incidents")
    image = figure.axes[1].images[0].get_array()
    assert image is not None
    assert image.shape == (9, 9)
    assert "vehicles, evenly spaced" not in figure.get_supxlabel()


def test_histograms_count_every_vehicle_once(runs: list[Run]) -> None:
    for axes in data.held(runs[0], "signs").axes[3:5]:
        assert sum(bar.get_height() for bar in axes.patches) == 40


def test_arrivals_are_drawn_only_where_samples_arrive(runs: list[Run]) -> None:
    labels = [axes.get_ylabel() for axes in data.held(runs[0], "lights").axes]
    assert "So far (count)" in labels
    assert "So far (count)" not in [axes.get_ylabel() for axes in data.held(runs[0], "signs").axes]


def test_samples_so_far_are_even_between_first_and_last() -> None:
    shards = pd.DataFrame({"first_s": [0.0, 100.0, None], "last_s": [100.0, 200.0, None], "train_samples": [11, 1, 5]})
    time_s, samples = data.samples_so_far(shards)
    assert (time_s[0], time_s[-1]) == (0.0, 200.0)
    assert np.interp([0.0, 50.0, 99.0, 150.0, 200.0], time_s, samples) == pytest.approx([6, 11, 15.9, 17, 17], abs=0.1)
