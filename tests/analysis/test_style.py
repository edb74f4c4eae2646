"""The one look of all figures: told apart in grey, unmoved by the caller's settings, printable, equal byte for byte."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from iovsim.analysis import energy, jobs, style
from PIL import Image

from iovsim.results import Run


def test_looks_differ_without_colour_and_beyond_seven() -> None:
    many = style.looks([str(i) for i in range(14)])
    assert len({(look.color, look.marker, look.hatch) for look in many.values()}) == 14
    seven = list(many.values())[:7]
    assert (
        len({look.marker for look in seven})
        == len({look.hatch for look in seven})
        == len({look.line for look in seven})
        == 7
    )


@pytest.mark.parametrize(
    ("largest_j", "expected"), [(1500.0, (1.0, "J")), (2500.0, (1e-3, "kJ")), (3e6, (1e-6, "MJ")), (0.0, (1.0, "J"))]
)
def test_energy_scale(largest_j: float, expected: tuple[float, str]) -> None:
    assert style.energy_scale(largest_j) == expected


def test_the_callers_settings_neither_matter_nor_change(runs: list[Run]) -> None:
    with mpl.rc_context({"font.size": 30}):
        figure = jobs.outcomes(runs)
        assert figure.axes[0].xaxis.label.get_fontsize() == 8
        assert mpl.rcParams["font.size"] == 30


def test_files_are_printable_and_equal_byte_for_byte(runs: list[Run], tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        style.save(energy.by_rsu(runs[0]), tmp_path / folder, "energy")
    for kind in ("png", "pdf", "svg"):
        first, second = ((tmp_path / folder / f"energy.{kind}").read_bytes() for folder in ("one", "two"))
        assert first == second
        assert len(first) > 5000
    with Image.open(tmp_path / "one/energy.png") as image:
        assert image.size[0] == 3.5 * 300
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [f"energy.{kind}" for kind in ("pdf", "png", "svg")]


@pytest.mark.parametrize("width_in", [style.ONE_COLUMN_IN, style.TWO_COLUMNS_IN])
@pytest.mark.parametrize("count", [1, 4, 12])
def test_a_legend_of_long_names_stays_within_the_figure(width_in: float, count: int, runs: list[Run]) -> None:
    figure, (axes,) = style.styled(style.new_figure)(runs, width_in=width_in)
    for i in range(count):
        axes.plot([0, 1], [0, i], label=f"energy-aware-lyapunov-{i} (10 seeds)")
    style.styled(style.legend_above)(figure)
    style.settle(figure)
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert axes.get_window_extent().height > 0.3 * style.DOTS_PER_INCH * 2.6
