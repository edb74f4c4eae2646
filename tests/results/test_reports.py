"""The frame and the Markdown of comparisons: every figure, every pair, and what few seeds cannot give."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pandas as pd
import pytest

from iovsim.errors import ResultsError
from iovsim.results import METRICS, Asked, Run, compare
from iovsim.results.frame import SHARE, csv_text, to_frame
from iovsim.results.notes import notes, small_print
from iovsim.results.recipe import Builtin, recipe
from iovsim.results.texts import p_text

MakeRun = Callable[..., Run]


@pytest.fixture(scope="module")
def make_three(make_run: MakeRun) -> Callable[[int], list[Run]]:
    """Runs of three policies on so many of six seeds."""
    runs = [
        make_run(policy, seed, accuracy + 0.01 * seed * better, 30.0 + better)
        for seed in range(1, 7)
        for policy, accuracy, better in (("a", 0.5, 0), ("b", 0.55, 1), ("c", 0.5, 2))
    ]
    return lambda seeds: runs[: 3 * seeds]


def lines_of(frame: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    return [
        {str(key): value for key, value in line.items()} for line in frame[frame["metric"] == metric].to_dict("records")
    ]


def test_a_frame_has_a_line_for_every_pair_that_was_asked_for(make_three: Callable[[int], list[Run]]) -> None:
    few = compare(make_three(2))
    many = compare(make_three(2), asked=Asked(every_pair=True))
    assert [(line["policy"], line["baseline"]) for line in lines_of(few.frame(), "final_accuracy")] == [
        ("a", "a"),
        ("b", "a"),
        ("c", "a"),
    ]
    lines = lines_of(many.frame(), "final_accuracy")
    assert [(line["policy"], line["baseline"]) for line in lines[3:]] == [("c", "b")]
    assert lines[3]["difference_mean"] == pytest.approx(0.53 - 0.565)
    assert lines[1]["t_holm"] > lines_of(few.frame(), "final_accuracy")[1]["t_holm"]
    assert {row.policy: row.contrast.against for row in many.rows if row.contrast} == {"b": "a", "c": "a"}


def test_all_statistics_are_there_with_six_seeds_and_commands_on_demand(make_three: Callable[[int], list[Run]]) -> None:
    """Differences of c to a are 0.02, 0.04, ..., 0.12: mean 0.07, s = 0.0374166, and all six have one sign."""
    result = compare(make_three(6), asked=Asked(half_widths={"final_accuracy": 0.01}))
    [_, _, line] = lines_of(to_frame([result], [recipe(result.manifests, Builtin())]), "final_accuracy")
    assert (line["difference_n"], line["zeros"], line["wilcoxon_p"], line["wilcoxon_holm"]) == (6, 0, 0.03125, 0.0625)
    assert line["d_z"] == pytest.approx(0.07 / 0.0374166, rel=1e-5)
    assert line["rank_biserial"] == 1.0
    assert line["seeds_more"] == 51
    assert 0.02 < line["bootstrap_low"] < line["difference_mean"] < line["bootstrap_high"] < 0.12
    assert line["command"].startswith("iovsim run inputs/grid-")
    assert "inputs/c-" in line["command"]
    shares = lines_of(result.frame(), SHARE)
    assert [(line["policy"], line["task"], line["n"], line["dominated_by"]) for line in shares] == [
        ("a", "signs", 6, ""),
        ("b", "signs", 6, ""),
        ("c", "signs", 6, "b"),
    ]
    assert [line["mean"] for line in shares] == [1.0, 1.0, pytest.approx(shares[2]["mean"])]
    cells = pd.read_csv(StringIO(csv_text(result.frame())), dtype=str)
    assert cells["seeds_more"].dropna().str.isdigit().all()
    assert cells["n"].str.isdigit().all()
    assert set(result.frame()["metric"]) == {*METRICS, SHARE}


def test_markdown_has_differences_fronts_and_bold_where_significant(make_three: Callable[[int], list[Run]]) -> None:
    result = compare(make_three(6)).only(["final_accuracy"])
    text = result.to_markdown()
    assert "| final_accuracy ↑ | 0.500 ± 0.000 | 0.585 ± 0.020<br>**Δ +0.085 ± 0.020** |" in text
    assert "### Paired differences" in text
    assert "### Pareto front of accuracy, latency and energy" in text
    assert "| signs | b | 0.585 ± 0.020 | 3.00 ± 0.00 | 25.0 ± 0.0 | on the front | 100 % |" in text
    assert "```sh" not in text


@pytest.mark.parametrize(
    ("seeds", "present", "absent"),
    [
        (1, ["One seed: no interval can be given, no test, no effect size"], ["Bootstrap", "Wilcoxon", "Significant"]),
        (
            2,
            [
                "one degree of freedom are 9 times",
                "No bootstrap interval: 2 seeds",
                "g_z, which corrects for few seeds, needs three seeds",
                "With 2 seeds no p is below 0.5; 7 seeds can give 0.05 after Holm's correction",
            ],
            ["BCa"],
        ),
        (3, ["With 3 seeds no p is below 0.25;", "No bootstrap interval: 3 seeds"], ["needs three seeds", "degree of"]),
        (4, ["With 4 seeds no p is below 0.125;", "No bootstrap interval: 4 seeds"], ["BCa"]),
        (5, ["With 5 seeds no p is below 0.0625;", "BCa", "too narrow"], ["No bootstrap"]),
        (7, ["With 7 seeds no p is below 0.015625."], ["seeds can give"]),
    ],
)
def test_what_few_seeds_cannot_give_is_said(seeds: int, present: list[str], absent: list[str]) -> None:
    text = " ".join([*notes({}, seeds, 2, "t", (), ()), *small_print(seeds, 2)])
    for words in present:
        assert words in text
    for words in absent:
        assert words not in text


def test_one_seed_prints_no_nonsense(make_three: Callable[[int], list[Run]]) -> None:
    text = compare(make_three(1)).only(["final_accuracy"]).to_markdown()
    assert "| final_accuracy ↑ | 0.500 | 0.560<br>Δ +0.0600 | 0.520<br>Δ +0.0200 |" in text
    assert "Paired differences" not in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("p", "text"), [(None, "–"), (0.0001, "< 0.001"), (0.0123, "0.012"), (0.5, "0.5"), (0.996, "1"), (1.0, "1")]
)
def test_p_values_have_two_digits(p: float | None, text: str) -> None:
    assert p_text(p) == text


def test_a_half_width_of_no_metric_is_refused(make_three: Callable[[int], list[Run]]) -> None:
    with pytest.raises(ResultsError, match="half-width of 'energy': no such metric; did you mean 'energy_j'"):
        compare(make_three(1), asked=Asked(half_widths={"energy": 1.0}))
