"""Figures show what the tables hold: every axis with its unit, every policy, cause and interval, and the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from iovsim.analysis import budgets, comparison, connectivity, energy, jobs, maps, pareto, style, targets
from iovsim.analysis.figures import OF_A_RUN, OF_A_WORLD, OF_POLICIES, OF_TASKS, draw_all
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from iovsim.errors import ResultsError
from iovsim.results import METRICS, TABLES, Asked, Run, Target, compare

MakeRun = Callable[..., Run]
POLICIES = ["random", "energy-aware"]
WISHED = (Target("signs", 0.55), Target("lights", 0.99))
TASKS = ["incidents", "lights", "signs"]
UNIT = re.compile(r"\((s|min|h|m|J|kJ|MJ|count|share)\)$|^Δ? ?(share|count|J|kJ|MJ|s) \([←→] better\)$")
PURE = re.compile(
    r"^(LoRA rank|Stable rank|Dual price|Share (of|that) .*|District(, a line a vehicle)?|"
    r"Class \(\d+, the most frequent first\))$"
)


def every_figure(runs: Sequence[Run]) -> dict[str, Figure]:
    result = compare(runs)
    figures = {name: draw(runs[0]) for name, draw in (OF_A_WORLD | OF_A_RUN).items()}
    figures |= {name: draw(runs) for name, draw in OF_POLICIES.items()}
    figures |= {f"{name}_{task}": draw(runs, task) for name, draw in OF_TASKS.items() for task in TASKS}
    figures["energy_by_policy"] = energy.by_policy(runs)
    figures["comparison"] = comparison.values(result, runs)
    figures["differences"] = comparison.differences(result, runs)
    figures["pareto"] = pareto.front(result, runs)
    figures["targets"] = targets.reached(runs, WISHED)
    return figures


@pytest.fixture(scope="module")
def figures(runs: list[Run]) -> dict[str, Figure]:
    return every_figure(runs)


def words(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def caption(figure: Figure) -> str:
    return figure.get_supxlabel().replace("\n", " ")


def test_every_axis_names_its_unit(figures: dict[str, Figure]) -> None:
    labels = [
        (name, label)
        for name, figure in figures.items()
        for axes in figure.axes
        for label in (axes.get_xlabel(), axes.get_ylabel())
        if label
    ]
    assert len(labels) > 2 * len(figures)
    assert [(name, label) for name, label in labels if not (UNIT.search(label) or PURE.match(label))] == []


def test_every_panel_has_a_label_on_both_axes_or_names_on_one(figures: dict[str, Figure]) -> None:
    """The right panels of the contact times and of the classes share their neighbour's vertical axis."""
    unlabelled = [
        name
        for name, figure in figures.items()
        for axes in figure.axes
        if axes.get_label() != "<colorbar>"
        and not axes.get_ylabel()
        and not all(re.fullmatch(r"[^\d.]*|rsu-.*|.* \(500\)", t.get_text()) for t in axes.get_yticklabels())
    ]
    assert unlabelled == ["contact_times"]


def test_every_caption_says_where_the_figure_comes_from(figures: dict[str, Figure], runs: list[Run]) -> None:
    for figure in figures.values():
        text = caption(figure)
        assert f"World toy-city ({runs[0].manifest.world_hash[:8]}" in text
        assert re.search(r"seeds? 1(, 2, 3)?;", text)
        assert "incidents, lights, signs: charged as vit-base-patch16-224, trained: roadvit." in text
    assert all(run.manifest.world_hash[:8] in caption(figures["comparison"]) for run in runs)


def test_every_spread_is_a_95_percent_interval_over_seeds_and_is_explained(figures: dict[str, Figure]) -> None:
    classes = [f"classes_{task}" for task in TASKS]
    for name in (
        "learning",
        "learning_over_energy",
        "districts",
        "vehicles",
        "job_ranks",
        "energy_by_policy",
        *classes,
    ):
        assert re.search(r"(Marker|Line|Bar): mean over seeds; .*: its 95 % t interval\.", caption(figures[name])), name
    assert "95 % t interval" in caption(figures["comparison"])
    assert "Policy minus random, paired by seed" in caption(figures["differences"])


def test_the_figures_of_one_seed_speak_of_no_mean_and_no_interval(runs: list[Run]) -> None:
    for name, figure in every_figure([runs[0], runs[3]]).items():
        assert not re.search(r"mean over|95 %|interval(?! can be given)", caption(figure)), name


def test_type_is_of_print_size_and_widths_are_those_of_a_paper(figures: dict[str, Figure]) -> None:
    for figure in figures.values():
        assert figure.get_figwidth() in (style.ONE_COLUMN_IN, style.TWO_COLUMNS_IN, 0.75 * style.TWO_COLUMNS_IN)
        for axes in figure.axes:
            assert axes.xaxis.label.get_fontsize() in (8, 9)


def test_nothing_is_cut_off_or_overlaps_the_legend(figures: dict[str, Figure]) -> None:
    """Axes with their labels, legends and captions lie within the figure, and no legend lies on an axes."""
    for name, figure in figures.items():
        style.settle(figure)
        whole = figure.bbox
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        for box in [b for b in boxes if b is not None] + [legend.get_window_extent() for legend in figure.legends]:
            assert min(box.x0 - whole.x0, box.y0 - whole.y0, whole.x1 - box.x1, whole.y1 - box.y1) >= -1, name
        for legend in figure.legends:
            assert not any(legend.get_window_extent().overlaps(box) for box in boxes if box is not None), name


def test_stacks_end_at_the_ledgers_total_and_know_every_cause(figures: dict[str, Figure], runs: list[Run]) -> None:
    total_kj = float(runs[0].table("energy")["energy_j"].sum()) / 1e3
    over_time, by_rsu = figures["energy_over_time"].axes[0], figures["energy_by_rsu"].axes[0]
    assert np.asarray(over_time.lines[0].get_ydata())[-1] == pytest.approx(total_kj)
    assert sum(patch.get_width() for bars in bars_of(by_rsu) for patch in bars) == pytest.approx(total_kj)
    cause = next(c for c in TABLES["energy"].columns if c.name == "cause")
    assert set(style.CAUSE_LOOKS) == set(cause.choices)
    assert set(words(figures["energy_over_time"])) == set(runs[0].table("energy")["cause"])


def bars_of(axes: Axes) -> list[BarContainer]:
    return [c for c in axes.containers if isinstance(c, BarContainer)]


def test_budget_figure_shows_budget_estimate_use_and_overrun(figures: dict[str, Figure], runs: list[Run]) -> None:
    axes = figures["energy_budget"].axes[TASKS.index("signs")]
    assert words(figures["energy_budget"]) == ["budget", "estimated", "used", "overrun"]
    used = np.asarray(axes.lines[2].get_ydata()).sum()
    assert used == pytest.approx(runs[0].table("rounds").query("task == 'signs'")["energy_j"].sum())


def test_budgets_over_time_show_every_task_and_add_up(figures: dict[str, Figure], runs: list[Run]) -> None:
    """Of the first run, which has no price, and of one whose policy moves budgets and prices energy."""
    assert words(figures["budgets"]) == TASKS
    assert "energy had no price" in {t.get_text() for t in figures["budgets"].axes[2].texts}
    moving = runs[3]
    figure = budgets.over_time(moving)
    budget, used, price = figure.axes
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()) for line in budget.lines}
    assert list(drawn) == TASKS
    total_j = moving.table("rounds").groupby("start_s")["energy_budget_j"].sum().to_numpy()
    assert np.sum([*drawn.values()], axis=0) * (1e3 if "kJ" in budget.get_ylabel() else 1) == pytest.approx(total_j)
    assert drawn["signs"][-1] > drawn["signs"][0] == drawn["lights"][0] > drawn["lights"][-1]
    assert all(0 <= share <= 1 for line in used.lines for share in np.asarray(line.get_ydata()))
    signs = moving.table("rounds").query("task == 'signs'").groupby("start_s")["price"]
    assert np.asarray(price.lines[TASKS.index("signs")].get_ydata()) == pytest.approx(signs.mean().to_numpy())
    band = price.collections[TASKS.index("signs")].get_paths()[0].vertices
    assert np.max(np.asarray(band)[:, 1]) == pytest.approx(signs.max().max())
    assert len(price.texts) == 0


def test_comparison_shows_every_metric_policy_interval_and_seed(figures: dict[str, Figure]) -> None:
    panels = figures["comparison"].axes
    assert len(panels) == 4 * 3 + 8  # four metrics by task, eight of the whole run
    assert {*comparison.OF_TASKS, *comparison.OF_RUNS} <= set(METRICS)
    for axes in panels:
        intervals = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        assert [c.has_xerr for c in intervals] == [True, True]
        assert [len(x) for line in axes.lines if len(x := np.asarray(line.get_xdata())) == 3] == [3, 3]
    assert [t.get_text() for t in panels[0].get_yticklabels()] == POLICIES
    for axes in figures["differences"].axes:
        assert len([c for c in axes.containers if isinstance(c, ErrorbarContainer)]) == 1


def test_the_front_is_filled_and_has_bars_on_both_axes_and_shares(figures: dict[str, Figure], runs: list[Run]) -> None:
    """Energy and latency are nearly equal, so that the less accurate policy may well be on the front, or not."""
    result = compare(runs)
    panels = figures["pareto"].axes
    assert [axes.get_title() for axes in panels[::3]] == [*TASKS, "mean over tasks"]
    for axes in (panels[0], panels[1], panels[9], panels[10]):
        bars = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        assert [(c.has_xerr, c.has_yerr) for c in bars] == [(True, True)] * 2
    for task, axes in zip([*TASKS, ""], panels[::3], strict=True):
        dominated = [bool(s.dominated_by) for s in result.standings if s.task == task]
        faces = [c.lines[0].get_markerfacecolor() for c in axes.containers if isinstance(c, ErrorbarContainer)]
        assert [face == "white" for face in faces] == dominated
    assert {t.get_text() for t in panels[2].texts} == {"too few seeds"}
    mean_kj = np.mean([run.table("energy").query("task == 'signs'")["energy_j"].sum() for run in runs[:3]]) / 1e3
    [first, _] = [c.lines[0] for c in panels[6].containers if isinstance(c, ErrorbarContainer)]
    assert np.asarray(first.get_xdata()) == pytest.approx([mean_kj])


def test_curves_of_targets_end_with_the_share_that_reached_them(figures: dict[str, Figure], runs: list[Run]) -> None:
    result = compare(runs, asked=Asked(targets=WISHED))
    over_time, _, never, _ = figures["targets"].axes
    shares = {
        row.policy: row.reach.reached / row.reach.runs
        for row in result.rows
        if row.reach is not None and row.metric.name == "time_to_accuracy_0.55"
    }
    assert len(set(shares.values())) == 2
    named = {str(line.get_label()): np.asarray(line.get_ydata()) for line in over_time.lines}
    assert {policy: float(named[policy][-1]) for policy in shares} == pytest.approx(shares)
    assert all(np.asarray(line.get_ydata()).max(initial=0.0) == 0 for line in never.lines)
    assert "runs that ended without it" in caption(figures["targets"])


def test_runs_of_different_worlds_are_drawn_apart(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iovsim.analysis.figures.save", lambda figure, folder, name: [folder / name])
    for everything in ("OF_A_WORLD", "OF_A_RUN", "OF_POLICIES", "OF_TASKS"):
        monkeypatch.setattr(f"iovsim.analysis.figures.{everything}", {})
    pair = [make_run(policy, 1, empty=True) for policy in POLICIES]
    changed = [replace(run, manifest=replace(run.manifest, scenario={"name": "toy-city", "x": 2.5})) for run in pair]
    folders = {path.parent.name for path in draw_all([*pair, *changed], tmp_path)}
    assert folders == {"x=None", "x=2.5"}


def test_one_seed_shows_no_interval_and_says_so(runs: list[Run]) -> None:
    pair = [runs[0], runs[3]]
    figure = comparison.values(compare(pair), pair)
    assert "One seed: no interval can be given." in caption(figure)
    assert not any(c.has_xerr for axes in figure.axes for c in axes.containers if isinstance(c, ErrorbarContainer))


def test_outcomes_and_ranks_have_a_bar_for_each_policy(figures: dict[str, Figure], runs: list[Run]) -> None:
    axes = figures["job_outcomes"].axes[0]
    assert words(figures["job_outcomes"]) == POLICIES
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names[0] == "delivered"
    assert "lost uplink (deadline)" in names
    assert names[-1] == "failed (diverged)"
    counts = [sum(patch.get_width() for patch in bars) for bars in bars_of(axes)]
    assert counts == pytest.approx([len(runs[0].table("jobs"))] * 2)
    for panel in figures["job_ranks"].axes:
        assert [t.get_text() for t in panel.get_xticklabels()] == ["2", "4", "8", "16"]
        assert [sum(patch.get_height() for patch in bars) for bars in bars_of(panel)] == pytest.approx([1.0, 1.0])


def test_many_ranks_share_bins_that_double() -> None:
    assert jobs._bins([2, 4, 8]) == {"2": [2], "4": [4], "8": [8]}
    assert jobs._bins([1, 2, 3, 4, 5, 8, 9, 16, 17, 32]) == {
        "1": [1],
        "2": [2],
        "3-4": [3, 4],
        "5-8": [5, 8],
        "9-16": [9, 16],
        "17-32": [17, 32],
    }


def test_rank_collapse_is_drawn_for_each_task_and_policy(figures: dict[str, Figure], runs: list[Run]) -> None:
    axes = figures["rank_collapse"].axes
    assert [a.get_title() for a in axes] == list(TASKS)
    assert words(figures["rank_collapse"]) == POLICIES
    merges = runs[0].table("merges").query("task == 'signs'")
    bars = [c for c in axes[TASKS.index("signs")].containers if isinstance(c, ErrorbarContainer)]
    assert len(bars) == len(POLICIES)
    for found in bars:
        assert len(np.asarray(found.lines[0].get_ydata())) <= len(merges)
        assert set(np.asarray(found.lines[0].get_ydata())) == {2.5}


def test_the_map_draws_roads_buildings_density_and_coverage(figures: dict[str, Figure], runs: list[Run]) -> None:
    axes = figures["map"].axes[0]
    circles = [p for p in axes.patches if isinstance(p, Circle)]
    assert [c.get_radius() for c in circles] == [260.0] * 3
    lines = next(c for c in axes.collections if isinstance(c, LineCollection))
    blocks = next(c for c in axes.collections if isinstance(c, PolyCollection))
    assert (len(lines.get_segments()), len(blocks.get_paths())) == (14, 36)
    image = axes.images[0].get_array()
    assert image is not None
    assert float(np.nansum(np.ma.filled(image, np.nan))) == pytest.approx(runs[0].table("density")["vehicle_s"].sum())
    assert {"rsu-a", "rsu-b", "rsu-c", "200 m"} <= {t.get_text() for t in axes.texts}


def test_the_map_writes_out_the_millions_of_metres_of_utm(runs: list[Run]) -> None:
    rsus, density = runs[0].table("rsus"), runs[0].table("density")
    far = (rsus.assign(y_m=rsus["y_m"] + 4_180_000.0), density.assign(y_m=density["y_m"] + 4_180_000.0))
    axes = maps.placement_map(*far, runs[0].table("shapes").head(0), "no roads").axes[0]
    axes.get_figure(root=True).draw_without_rendering()
    assert axes.yaxis.get_offset_text().get_text() == ""
    assert all(float(label.get_text()) > 4_000_000 for label in axes.get_yticklabels())


def test_gaps_are_between_contacts_of_one_vehicle() -> None:
    contacts = pd.DataFrame(
        {"vehicle": ["b", "a", "a", "a"], "start_s": [0.0, 50.0, 0.0, 20.0], "end_s": [5.0, 60.0, 20.0, 30.0]}
    )
    found, direct = connectivity.gaps(contacts)
    assert (found.tolist(), direct) == ([20.0], 1)


def test_contacts_cut_by_the_horizon_count_as_longer(figures: dict[str, Figure], runs: list[Run]) -> None:
    contacts = runs[0].table("contacts")
    axes = figures["contact_times"].axes[0]
    assert axes.texts[0].get_text().endswith(f"n = {len(contacts)}")
    cut = int((contacts["end"] == "horizon").sum())
    assert f"{cut} contacts cut by the end of the trace" in caption(figures["contact_times"])
    naive = float((contacts["end_s"] - contacts["start_s"]).median())
    drawn_s = float(np.asarray(axes.lines[1].get_xdata())[0])
    assert naive < drawn_s < 1.2 * naive


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "DOTS_PER_INCH", 40)


@pytest.mark.usefixtures("coarse")
def test_draw_all_writes_both_formats_into_a_new_folder(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slow in ("OF_A_WORLD", "OF_POLICIES"):
        monkeypatch.setattr(f"iovsim.analysis.figures.{slow}", {})
    written = draw_all(runs[:1], tmp_path / "new" / "folder")
    names = {*OF_A_RUN, *(f"{name}_{task}" for name in OF_TASKS for task in TASKS)}
    assert sorted(written) == sorted((tmp_path / "new" / "folder").iterdir())
    assert {p.name for p in written} == {f"{name}.{kind}" for name in names for kind in ("png", "pdf", "svg")}


def test_draw_all_draws_what_the_runs_allow(
    runs: list[Run], make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iovsim.analysis.figures.save", lambda figure, folder, name: [folder / name])
    of_tasks = {f"{name}_{task}" for name in OF_TASKS for task in TASKS}
    always, several = {*OF_A_WORLD, *OF_POLICIES, *of_tasks}, {"energy_by_policy", "comparison"}
    assert {p.name for p in draw_all(runs[:2], tmp_path)} == always | several | set(OF_A_RUN)
    pair = [runs[0], runs[3]]
    energies = {f"{name}_{run.manifest.policy.name}" for name in OF_A_RUN for run in pair}
    drawn = {p.name for p in draw_all(pair, tmp_path, baseline="energy-aware")}
    assert drawn == always | several | energies | {"differences", "pareto"}
    drawn = {p.name for p in draw_all(pair, tmp_path, wished=WISHED)}
    assert drawn == always | several | energies | {"differences", "pareto", "targets"}
    assert {p.name for p in draw_all([make_run("random", 1, empty=True)], tmp_path)} == always | set(OF_A_RUN)


def test_draw_all_refuses_what_cannot_be_drawn(runs: list[Run], tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no runs given"):
        draw_all([], tmp_path)
    with pytest.raises(ResultsError, match="different seeds: 'energy-aware' lacks 2"):
        draw_all([runs[0], runs[1], runs[3]], tmp_path)
    with pytest.raises(ResultsError, match="already given by"):
        draw_all([runs[0], runs[0]], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="file: cannot create the folder: File exists"):
        draw_all(runs[:1], tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_empty_run_says_why_nothing_is_drawn(make_run: MakeRun) -> None:
    run = make_run("random", 1, empty=True)
    drawn = {name: draw(run) for name, draw in (OF_A_RUN | {"contact_times": connectivity.contact_times}).items()}
    drawn |= {name: draw([run]) for name, draw in OF_POLICIES.items()}
    drawn |= {name: draw([run], "signs") for name, draw in OF_TASKS.items()}
    reasons = {name: {t.get_text() for axes in figure.axes for t in axes.texts} for name, figure in drawn.items()}
    assert reasons == {
        "energy_over_time": {"no energy was spent"},
        "energy_by_rsu": {"no energy was spent"},
        "energy_budget": {"no rounds"},
        "budgets": {"no rounds"},
        "contact_times": {"no completed contacts", "no completed gaps"},
        "learning": {"no evaluations"},
        "learning_over_energy": {"no evaluations"},
        "districts": {"no evaluations by district: only tasks whose data name districts have them"},
        "vehicles": {"no evaluations by vehicle"},
        "job_outcomes": {"no jobs"},
        "job_ranks": {"no jobs"},
        "rank_collapse": {"no merges"},
        "data": {"no vehicle holds data"},
        "classes": {"no evaluations by class"},
    }
    assert maps.city_map(run).axes[0].texts[0].get_text() == "0.2 m"
