"""Turns runs into a folder of figures: whatever the given runs allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from iovsim.errors import ResultsError
from iovsim.results import Run, compare
from iovsim.results.files import explained

from . import comparison, connectivity, energy, jobs, learning, maps
from .style import save

OF_A_WORLD: dict[str, Callable[[Run], Figure]] = {
    "map": maps.city_map,
    "contact_times": connectivity.contact_times,
    "connected": connectivity.connected_over_time,
}
OF_A_RUN: dict[str, Callable[[Run], Figure]] = {
    "energy_over_time": energy.over_time,
    "energy_by_rsu": energy.by_rsu,
    "energy_budget": energy.against_budget,
}
OF_POLICIES: dict[str, Callable[[Sequence[Run]], Figure]] = {
    "accuracy_over_time": learning.accuracy_over_time,
    "accuracy_over_energy": learning.accuracy_over_energy,
    "accuracy_of_vehicles": learning.accuracy_of_vehicles,
    "job_outcomes": jobs.outcomes,
    "job_ranks": jobs.ranks,
}


def draw_all(runs: Sequence[Run], out: Path, baseline: str | None = None) -> list[Path]:
    """Draws into `out` (made if need be), each figure as PNG and PDF, and returns the files.

    The world's figures come from the first run. Each policy's first run adds its energy figures (with the policy's name
    where there are several); several runs add the comparison of their policies. Raises `ResultsError` where the runs
    cannot be compared (see `iovsim.results.compare`), read, or where `out` cannot be written.
    """
    if not runs:
        raise ResultsError("figures: no runs given; name at least one run folder.")
    result = compare(runs, baseline) if len(runs) > 1 else None
    with explained(out, "create the folder"):
        out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw_world in OF_A_WORLD.items():
        written += save(draw_world(runs[0]), out, name)
    for name, draw in OF_POLICIES.items():
        written += save(draw(runs), out, name)
    first = {run.manifest.policy.name: run for run in reversed(runs)}
    for policy, run in sorted(first.items()):
        for name, draw_run in OF_A_RUN.items():
            written += save(draw_run(run), out, name if len(first) == 1 else f"{name}_{policy}")
    if result is not None:
        written += save(energy.by_policy(runs), out, "energy_by_policy")
        written += save(comparison.values(result, runs), out, "comparison")
        if len(result.policies) > 1:
            written += save(comparison.differences(result, runs), out, "differences")
    return written
