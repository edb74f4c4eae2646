"""LaTeX tables: what must hold for them to compile, what is bold, and the commands after each."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.results import Asked, Comparison, Run, Target, compare
from iovsim.results.latex import escaped, to_latex
from iovsim.results.recipe import Builtin, recipe

MakeRun = Callable[..., Run]
SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def result(make_run: MakeRun) -> Comparison:
    """Best beats second by 0.1 with little spread, second beats the awkwardly named third by chance."""
    noise = (0.0, 0.01, -0.01, 0.02, 0.0)
    runs = [make_run("best", s, 0.7 + n, 40.0 + s) for s, n in zip(SEEDS, noise, strict=True)]
    runs += [make_run("second", s, 0.6 + n / 2, 40.0 + s) for s, n in zip(SEEDS, noise, strict=True)]
    runs += [make_run("50%_of_#1 & {x}~^\\", s, 0.59 - 2 * n, 30.0) for s, n in zip(SEEDS, noise, strict=True)]
    return compare(runs, "second", asked=Asked(targets=(Target("signs", 0.95),)))


def tables(text: str) -> list[list[str]]:
    """The lines of every table; what follows it up to the next in the last of them."""
    return [part.split("\n") for part in re.split(r"(?=\\begin\{table\*\})", text)[1:]]


def test_environments_are_balanced_and_rows_have_a_cell_a_column(result: Comparison) -> None:
    text = to_latex([result])
    for name in ("table*", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    for lines in tables(text):
        [columns] = [m[1] for line in lines if (m := re.fullmatch(r"\\begin\{tabular\}\{(\w+)\}", line))]
        rows = [line for line in lines if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
        assert [line for line in lines if line in (r"\toprule", r"\midrule", r"\bottomrule")] == [
            r"\toprule",
            r"\midrule",
            r"\bottomrule",
        ]
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert len(set(labels)) == len(labels) == len(tables(text))


def test_everything_special_is_escaped_and_braces_and_dollars_pair(result: Comparison) -> None:
    for line in to_latex([result]).split("\n"):
        code = re.sub(r"\\[\\%&#_{}$]", "", line)
        if code.startswith(("%", r"\begin", r"\end", r"\label")):
            continue
        assert "%" not in code, line
        assert "#" not in code, line
        assert code.count("$") % 2 == 0, line
        assert code.count("{") == code.count("}"), line
        outside = re.sub(r"\$[^$]*\$", "", code)
        assert not re.search(r"[_^~<>|]", outside), line
        assert line.isascii(), line


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_escaped_text_has_no_bare_special_character(text: str) -> None:
    code = re.sub(r"\\[%&#_{}$]|\\text\w+\{\}|\$[^$]*\$", "", escaped(text))
    assert not re.search(r"[%&#_{}$~^\\<>|]", code)


def test_only_a_clear_best_is_bold_and_clear_differences_have_a_dagger(result: Comparison) -> None:
    lines = [line for lines in tables(to_latex([result.only(["final_accuracy", "energy_j"])])) for line in lines]
    best, second, third, *_ = [line for line in lines if re.match(r"best|second|50", line)]
    assert best.startswith(r"best & $\mathbf{0.704 \pm 0.014}^{\dagger}$ & ")
    assert second.startswith(r"second & $0.6020 \pm 0.0071$ & ")
    assert third.startswith(r"50\%\_of\_\#1 \& \{x\}\textasciitilde{}\textasciicircum{}\textbackslash{} & $0.582 \pm")
    energies = [line for line in lines if line.startswith((r"best & $4", r"second & $4"))]
    assert energies == [r"best & $43.0 \pm 2.0$ \\", r"second & $43.0 \pm 2.0$ \\"]
    head = next(line for line in lines if line.startswith("policy & energy"))
    assert head == r"policy & energy [J] $\downarrow$ \\"


def test_the_caption_says_what_bold_and_daggers_mean_and_what_was_cut_off(result: Comparison) -> None:
    captions = [line for line in to_latex([result]).split("\n") if line.startswith(r"\caption")]
    assert "Bold: the best mean, only where its paired difference to the second best is significant" in captions[0]
    assert "after Holm's correction for all pairs of policies" in captions[0]
    assert r"$\dagger$: significant difference to second" in captions[0]
    assert any("cut off at 100 s" in caption for caption in captions)
    assert any("With 5 seeds no p is below 0.0625" in caption for caption in captions)


def test_every_table_ends_with_the_commands_that_make_it(result: Comparison) -> None:
    made = recipe(result.manifests, Builtin())
    for lines in tables(to_latex([result], [made])):
        after = [line for line in lines[lines.index(r"\end{table*}") + 1 :] if line]
        assert after == [f"% {line}" for line in made.lines()]
        assert sum(line.startswith("% iovsim run inputs/grid-") for line in after) == 3


def test_one_seed_says_that_nothing_can_be_tested(make_run: MakeRun) -> None:
    text = to_latex([compare([make_run("a", 1), make_run("b", 1)])])
    assert "One seed: no interval and no test can be given." in text
    assert r"\mathbf" not in text
    assert r"^{\dagger}" not in text
