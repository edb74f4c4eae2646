"""Turns runs into a folder of figures: whatever the given runs allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from iovsim.errors import ResultsError
from iovsim.files import explained
from iovsim.results import Asked, Comparison, Run, Target, compare
from iovsim.results.variants import folder_name, variants

from . import (
    batteries,
    budgets,
    comparison,
    connectivity,
    data,
    energy,
    jobs,
    learning,
    maps,
    pareto,
    quality,
    rank_collapse,
    targets,
)
from .style import save, tasks

OF_A_WORLD: dict[str, Callable[[Run], Figure]] = {
    "map": maps.city_map,
    "contact_times": connectivity.contact_times,
    "connected": connectivity.connected_over_time,
}
OF_A_RUN: dict[str, Callable[[Run], Figure]] = {
    "energy_over_time": energy.over_time,
    "energy_by_rsu": energy.by_rsu,
    "energy_budget": energy.against_budget,
    "budgets": budgets.over_time,
}
OF_POLICIES: dict[str, Callable[[Sequence[Run]], Figure]] = {
    "learning": learning.over_time,
    "learning_over_energy": learning.over_energy,
    "districts": quality.districts,
    "vehicles": quality.vehicles,
    "job_outcomes": jobs.outcomes,
    "job_ranks": jobs.ranks,
    "rank_collapse": rank_collapse.over_time,
}


OF_TASKS: dict[str, Callable[[Sequence[Run], str], Figure]] = {
    "data": lambda runs, task: data.held(runs[0], task),
    "classes": quality.classes,
}


def draw_all(runs: Sequence[Run], out: Path, baseline: str | None = None, wished: Sequence[Target] = ()) -> list[Path]:
    """Draws into `out` (made if need be), each figure as PNG, PDF and SVG, and returns the files.

    Runs of different worlds (see `iovsim.results.variants`) are drawn into folders of their own, named by what differs.

    The world's figures come from the first run, and so do those of the tasks' data. Each policy's first run adds its
    energy figures, and that of its batteries if it has any (with the policy's name where there are several); several
    runs add the comparison of their policies. Raises `ResultsError` where the runs cannot be compared (see
    `iovsim.results.compare`), read, or where `out` cannot be written. `wished` are accuracies whose reaching is drawn.
    """
    if not runs:
        raise ResultsError("figures: no runs given; name at least one run folder.")
    groups = variants(runs)
    if len(groups) > 1:
        return [path for v, mine in groups for path in draw_all(mine, out / folder_name(v), baseline, wished)]
    result = compare(runs, baseline, asked=Asked(targets=tuple(wished))) if len(runs) > 1 else None
    with explained(out, "create the folder"):
        out.mkdir(parents=True, exist_ok=True)
    return [path for name, figure in _figures(runs, result, wished) for path in save(figure, out, name)]


def _figures(runs: Sequence[Run], result: Comparison | None, wished: Sequence[Target]) -> Iterator[tuple[str, Figure]]:
    """Every figure under its name, drawn when its turn comes."""
    for name, draw_world in OF_A_WORLD.items():
        yield name, draw_world(runs[0])
    for name, draw in OF_POLICIES.items():
        yield name, draw(runs)
    for task in tasks(runs):
        for name, draw_task in OF_TASKS.items():
            yield f"{name}_{task}", draw_task(runs, task)
    first = {run.manifest.policy.name: run for run in reversed(runs)}
    for policy, run in sorted(first.items()):
        for name, draw_run in OF_A_RUN.items():
            yield name if len(first) == 1 else f"{name}_{policy}", draw_run(run)
        if batteries.has_batteries(run):
            yield "charge" if len(first) == 1 else f"charge_{policy}", batteries.charge_over_time(run)
    if result is not None:
        yield "energy_by_policy", energy.by_policy(runs)
        yield "comparison", comparison.values(result, runs)
        if len(result.policies) > 1:
            yield "differences", comparison.differences(result, runs)
        if result.standings:
            yield "pareto", pareto.front(result, runs)
    if wished:
        yield "targets", targets.reached(runs, wished)
