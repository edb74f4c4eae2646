"""Forecasts of residual contact time against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from iovsim.domain import Contact, ContactEnd, Rsu
from iovsim.mobility.forecast import FORECASTS, HeadingForecast, OracleForecast

RSU = Rsu(rsu="r", x_m=10.0, y_m=-5.0, height_m=6.0, range_m=100.0, tasks=())


def contact(vx: float, vy: float, x_m: float = 10.0, y_m: float = -5.0) -> Contact:
    """Two samples at 20 s and 21 s that move with (vx, vy), then a jump that no forecast may know of."""
    return Contact(
        contact=0,
        vehicle="v",
        rsu="r",
        start_s=20.0,
        end_s=22.0,
        end=ContactEnd.VANISHED,
        time_s=np.array([20.0, 21.0, 22.0]),
        x_m=np.array([x_m, x_m + vx, 1e6]),
        y_m=np.array([y_m, y_m + vy, 1e6]),
        vx_mps=np.array([vx, vx, -1e3]),
        vy_mps=np.array([vy, vy, -1e3]),
    )


def test_from_the_centre_it_is_range_over_speed() -> None:
    assert HeadingForecast().residual_s(contact(3.0, 4.0), RSU, 20.0) == pytest.approx(100.0 / 5.0)


@pytest.mark.parametrize("time_s", [20.25, 20.999, 21.0, 21.5])
def test_it_moves_on_between_samples_and_knows_nothing_later(time_s: float) -> None:
    expected_s = 20.0 - (time_s - 20.0)
    assert HeadingForecast().residual_s(contact(3.0, 4.0), RSU, time_s) == pytest.approx(expected_s)


def test_along_a_chord() -> None:
    """60 m aside of the centre and 80 m before it, at 10 m/s: the whole chord of 160 m lies ahead."""
    assert HeadingForecast().residual_s(contact(10.0, 0.0, 10.0 - 80.0, -5.0 + 60.0), RSU, 20.0) == pytest.approx(16.0)


def test_standing_and_slow_vehicles_get_the_cap() -> None:
    assert HeadingForecast().residual_s(contact(0.0, 0.0), RSU, 20.0) == 300.0
    assert HeadingForecast(horizon_s=50.0).residual_s(contact(0.1, 0.0), RSU, 20.0) == 50.0


@pytest.mark.parametrize(("vx", "expected_s"), [(10.0, 0.0), (0.0, 0.0), (-10.0, 21.0)])
def test_in_the_margin_beyond_the_range(vx: float, expected_s: float) -> None:
    """110 m out: leaving or standing gives 0; coming back, the way to the far border counts."""
    assert HeadingForecast().residual_s(contact(vx, 0.0, 120.0), RSU, 20.0) == pytest.approx(expected_s)
    assert HeadingForecast().residual_s(contact(0.0, 10.0, 120.0), RSU, 20.0) == 0.0  # passes by


def test_before_the_contact_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"starts at 20\.0 s, after 19\.0 s"):
        HeadingForecast().residual_s(contact(1.0, 0.0), RSU, 19.0)


def test_oracle_tells_the_truth() -> None:
    assert OracleForecast().residual_s(contact(3.0, 4.0), RSU, 20.5) == 1.5
    assert OracleForecast().residual_s(contact(3.0, 4.0), RSU, 25.0) == 0.0


def test_all_forecasts_are_made_by_name_and_finite() -> None:
    assert sorted(FORECASTS) == ["heading", "oracle"]
    for kind in FORECASTS.values():
        assert math.isfinite(kind().residual_s(contact(1.0, 1.0), RSU, 20.5))


def site(name: str, x_m: float, y_m: float = -5.0, range_m: float = 100.0) -> Rsu:
    return Rsu(name, x_m, y_m, 6.0, range_m, ())


def expect(found: tuple[str, float] | None, name: str, seconds: float) -> None:
    assert found is not None
    assert found[0] == name
    assert found[1] == pytest.approx(seconds)


def test_the_next_rsu_is_the_first_on_the_straight_line_beyond_ones_own() -> None:
    east = contact(20.0, 0.0)  # leaves "r" at x = 110, 5 s after 20 s
    near, far, behind = site("near", 400.0), site("far", 900.0), site("behind", -300.0)
    expect(HeadingForecast().next_rsu(east, [RSU, far, near, behind], [], 20.0), "near", 290.0 / 20.0)
    expect(HeadingForecast().next_rsu(east, [RSU, far], [], 20.5), "far", 790.0 / 20.0 - 0.5)
    assert HeadingForecast(horizon_s=30.0).next_rsu(east, [RSU, far], [], 20.0) is None
    assert HeadingForecast().next_rsu(east, [RSU, behind, site("aside", 300.0, 500.0)], [], 20.0) is None


def test_where_ranges_overlap_it_is_there_when_it_leaves_its_own() -> None:
    east = contact(20.0, 0.0)
    expect(HeadingForecast().next_rsu(east, [RSU, site("near", 150.0)], [], 20.0), "near", 5.0)
    assert HeadingForecast().next_rsu(east, [RSU, site("inner", 20.0, range_m=50.0)], [], 20.0) is None


def test_who_stands_comes_to_no_other_rsu() -> None:
    assert HeadingForecast().next_rsu(contact(0.0, 0.0), [RSU, site("near", 150.0)], [], 20.0) is None


def test_once_it_has_left_the_way_to_the_next_rsu_is_what_counts() -> None:
    """Its own range is no matter then, wherever the line would lead through it."""
    gone = replace(contact(20.0, 0.0), end_s=20.5)
    expect(HeadingForecast().next_rsu(gone, [RSU, site("near", 150.0)], [], 20.5), "near", 1.5)


def test_the_oracle_looks_up_the_next_contact_with_one_of_them() -> None:
    now = contact(3.0, 4.0)
    later = [replace(now, rsu="other", start_s=30.0), replace(now, rsu="host", start_s=45.0)]
    assert OracleForecast().next_rsu(now, [RSU, site("host", 0.0)], later, 21.0) == ("host", 24.0)
    assert OracleForecast().next_rsu(now, [RSU], later, 21.0) is None
    assert OracleForecast().next_rsu(now, [RSU], [replace(now, start_s=25.0)], 21.0) == ("r", 4.0), "its own again"
