"""What a notebook shows of a comparison holds the values that the text holds, with names escaped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iovsim.results import Manifest, PolicyRecord, Run, RunFolder, compare, open_run
from iovsim.results.comparison import Comparison

Rows = dict[str, dict[str, Any]]


@pytest.fixture
def compared(tmp_path: Path, manifest: Manifest, row_of: Rows) -> Callable[[list[float]], Comparison]:
    """Two policies on three seeds whose energies differ as given; the second policy's name has to be escaped."""

    def run(policy: str, seed: int, energy_j: float) -> Run:
        record, path = PolicyRecord(policy, "greedy", "none", {}), tmp_path / f"{seed}-{policy[0]}"
        with RunFolder.create(path, replace(manifest, seed=seed, world_hash=f"{seed:064x}", policy=record)) as folder:
            folder.recorder.add("energy", **row_of["energy"] | {"energy_j": energy_j})
        return open_run(path)

    def make(differences_j: list[float]) -> Comparison:
        runs = [run("all", seed, 50.0 + seed) for seed in range(3)]
        runs += [run("few<b>", seed, 50.0 + seed + more) for seed, more in enumerate(differences_j)]
        return compare(runs, "all").only(["energy_j"])

    return make


def test_a_clear_difference_is_bold_and_names_are_escaped(compared: Callable[[list[float]], Comparison]) -> None:
    page = compared([-10.0, -10.1, -9.9])._repr_html_()
    assert "<th>all (baseline)</th><th>few&lt;b&gt;</th>" in page
    assert "few<b>" not in page
    assert "<td>51.0 ± 2.5</td><td>41.0 ± 2.6<br><b>Δ -10.00 ± 0.25</b></td>" in page
    assert "whole run" in page
    assert "energy_j [J] ↓" in page
    assert "95 % Student t interval over 3 seeds" in page


def test_a_difference_that_may_be_chance_is_not_bold(compared: Callable[[list[float]], Comparison]) -> None:
    page = compared([-10.0, 10.0, 5.0])._repr_html_()
    assert "<br>Δ +2 ± 26</td>" in page
    assert "<b>Δ" not in page
