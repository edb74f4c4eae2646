r"""Turns comparisons into LaTeX tables in the style of booktabs, each followed by the commands that make it again.

Ours: what is bold is the best of a column only where its difference to the second best is significant; a dagger marks
a significant difference to the baseline. The document needs `\usepackage{booktabs}` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from iovsim.results.metrics import METRICS, Metric
from iovsim.results.notes import REACHED, TESTS, target_note
from iovsim.results.pareto import OBJECTIVES
from iovsim.results.recipe import Recipe
from iovsim.results.significance import LEVEL
from iovsim.results.texts import CONTRAST_HEADS, contrast_cells, front_cells, front_note

if TYPE_CHECKING:
    from iovsim.results.comparison import Comparison, Row

WIDEST = 4
"""Metrics beside each other; further ones follow in a table of their own."""

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "≤": r"$\le$",
    "†": r"$\dagger$",
    "d_z": "$d_z$",
    "g_z": "$g_z$",
}
_TOKEN = re.compile(r"\b[dg]_z\b|.", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?( ± \d+(\.\d+)?)?")
_UNIT = re.compile(r"_(s|j)$")


def to_latex(comparisons: Sequence[Comparison], recipes: Sequence[Recipe] | None = None) -> str:
    """Tables of values (a row a policy, a column a metric), of contrasts and of the front, variant by variant."""
    parts = [r"% needs \usepackage{booktabs}"]
    for place, result in enumerate(comparisons):
        made = [] if recipes is None else [f"% {line}" for line in recipes[place].lines()]
        tables = (*_values(result, place), *_contrasts(result, place), *_front(result, place))
        parts += ["\n".join([*table, *made]) for table in tables]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """The text as LaTeX prints it."""
    return _TOKEN.sub(lambda found: _ESCAPES.get(found[0], found[0]), text)


def _values(result: Comparison, place: int) -> Iterator[list[str]]:
    for task, metric_rows in result.sections():
        for first in range(0, len(metric_rows), WIDEST):
            part = metric_rows[first : first + WIDEST]
            heads = ["policy", *(_head(metric) for metric, _ in part)]
            lines = [
                [escaped(policy), *(_cell(result, rows[i]) for _, rows in part)]
                for i, policy in enumerate(result.policies)
            ]
            caption = _caption(result, f"task {task}" if task else "the whole run", part)
            yield _table(caption, _label(result, place, task, "values", first // WIDEST), heads, lines)


def _caption(result: Comparison, what: str, part: Sequence[tuple[Metric, Sequence[Row]]]) -> str:
    seeds, where = len(result.seeds), f"{what[0].upper()}{what[1:]}, {result.title}"
    test = f"{TESTS[result.test]}, p ≤ {LEVEL:g} after Holm's correction for"
    told = [f"{where}: mean ± half-width of the 95 % Student t interval over {seeds} seeds."]
    if seeds == 1:
        told = [f"{where}. One seed: no interval and no test can be given."]
    elif len(result.policies) > 1:
        told += [
            "Bold: the best mean, only where its paired difference to the second best is significant "
            f"({test} all pairs of policies).",
            f"†: significant difference to {result.baseline} ({test} the comparisons of the column).",
        ]
    targets = [
        target_note(metric, rows[0].task, reaches)
        for metric, rows in part
        if (reaches := {row.policy: row.reach for row in rows if row.reach is not None})
    ]
    return escaped(" ".join([*told, *targets, *([REACHED] if targets else [])]))


def _cell(result: Comparison, row: Row) -> str:
    text = result.value_text(row)
    best = any(
        family.clear_best == row.policy
        for family in result.families
        if (family.task, family.metric.name) == (row.task, row.metric.name)
    )
    differs = row.contrast is not None and row.contrast.significant(result.test)
    return _math(text, bold=best, mark=r"^{\dagger}" if differs else "")


def _math(text: str, bold: bool = False, mark: str = "") -> str:
    """The text with its leading number in math, so that minus signs are such; what follows as words."""
    found = _NUMBER.match(text)
    if found is None:
        return escaped(text) + (f"${mark}$" if mark else "")
    number = found[0].replace("±", r"\pm")
    shown = rf"\mathbf{{{number}}}" if bold else number
    return f"${shown}{mark}$" + escaped(text[found.end() :])


def _head(metric: Metric) -> str:
    """The metric's name without the suffix of its unit, the unit in brackets, and an arrow to what is better."""
    name = _UNIT.sub("", metric.name).replace("_", " ")
    unit = "" if metric.unit == "1" else f" [{metric.unit}]"
    return escaped(f"{name}{unit} {'↑' if metric.better == 'higher' else '↓'}")


def _contrasts(result: Comparison, place: int) -> Iterator[list[str]]:
    for task, metric_rows in result.sections():
        names = [metric.name for metric, _ in metric_rows]
        found = [f for f in result.families if f.task == task and f.metric.name in names and f.contrasts]
        if not found or len(result.seeds) == 1:
            continue
        heads = ["metric", *map(escaped, CONTRAST_HEADS)]
        lines = [
            [_head(family.metric) if i == 0 else "", *map(_math, contrast_cells(contrast))]
            for family in found
            for i, contrast in enumerate(family.contrasts)
        ]
        what = f"Paired differences, {f'task {task}' if task else 'the whole run'}, {result.title}."
        caption = escaped(" ".join([what, *result.small_print]))
        yield _table(caption, _label(result, place, task, "differences", 0), heads, lines, size=r"\scriptsize")


def _front(result: Comparison, place: int) -> Iterator[list[str]]:
    if not result.standings:
        return
    heads = ["task", "policy", *(_head(METRICS[name]) for name in OBJECTIVES), "on the front", "share"]
    lines = [[escaped(found.task or "mean over tasks"), *map(_math, front_cells(found))] for found in result.standings]
    caption = escaped(f"Pareto front, {result.title}. {front_note(result.standings)}")
    yield _table(caption, _label(result, place, "", "front", 0), heads, lines)


def _label(result: Comparison, place: int, task: str, what: str, number: int) -> str:
    parts = (result.world, f"v{place + 1}" if result.variant else "", task or "run", what, str(number + 1))
    return "tab:" + re.sub(r"[^A-Za-z0-9:-]+", "-", "-".join(filter(None, parts)))


def _table(
    caption: str, label: str, heads: Sequence[str], lines: Sequence[Sequence[str]], size: str = r"\small"
) -> list[str]:
    return [
        r"\begin{table*}",
        r"\centering",
        size,
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        f"{' & '.join(heads)} \\\\",
        r"\midrule",
        *(f"{' & '.join(line)} \\\\" for line in lines),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
