"""The figure of charge over time shows medians and quantiles of what the table holds, where there is a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from iovsim.analysis.batteries import charge_over_time, has_batteries
from iovsim.analysis.figures import draw_all

from iovsim.results import Manifest, PolicyRecord, Run, RunFolder, open_run


def run_with(charges_j: dict[float, list[float]], path: Path) -> Run:
    manifest = Manifest("toy", "0" * 64, 1, PolicyRecord("some", "staged", "linear", {}), {"name": "toy"}, {})
    with RunFolder.create(path, manifest) as folder:
        for time_s, charges in charges_j.items():
            for number, after_j in enumerate(charges):
                row = dict.fromkeys(
                    ("before_j", "driving_j", "recuperated_j", "charged_j", "training_j", "radio_j", "waiting_j",
                     "unmet_j", "surplus_j"), 0.0,
                )  # fmt: skip
                folder.recorder.add("batteries", time_s=time_s, vehicle=f"v{number}", after_j=after_j, **row)
    return open_run(path)


def test_charge_is_drawn_as_median_and_quantiles(tmp_path: Path) -> None:
    charges_j = {20.0: [5e3, 6e3, 7e3, 9e3], 40.0: [0.0, 4e3, 8e3], 60.0: [4e3, 3e3]}
    figure = charge_over_time(run_with(charges_j, tmp_path / "run"))
    (axes,) = figure.axes
    (line,) = axes.lines
    assert np.asarray(line.get_xdata()).tolist() == [20.0, 40.0, 60.0]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([6.5, 4.0, 3.5])
    band = axes.collections[0].get_paths()[0].vertices
    expected = [np.quantile(charges, 0.9) / 1e3 for charges in charges_j.values()]
    assert np.max(band[:, 1]) == pytest.approx(max(expected))
    assert axes.get_ylabel() == "Charge (kJ)"
    assert "2 to 4 vehicles with a battery in a period; 0% of all ran empty" in figure.get_supxlabel().replace(
        "\n", " "
    )


def test_it_is_drawn_for_runs_with_batteries_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iovsim.analysis.figures.save", lambda figure, folder, name: [folder / name])
    for others in ("OF_A_WORLD", "OF_A_RUN", "OF_POLICIES", "OF_TASKS"):
        monkeypatch.setattr(f"iovsim.analysis.figures.{others}", {})
    none, some = run_with({}, tmp_path / "none"), run_with({20.0: [1.0]}, tmp_path / "some")
    assert (has_batteries(none), has_batteries(some)) == (False, True)
    assert [path.name for path in draw_all([none], tmp_path / "a")] == []
    assert [path.name for path in draw_all([some], tmp_path / "b")] == ["charge"]
