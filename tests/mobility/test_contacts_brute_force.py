"""Contacts of real maps against brute force: every vehicle, every RSU, the rules read literally every 10 ms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from iovsim.domain import IntArray, Rsu
from iovsim.mobility import sumo
from iovsim.mobility.contacts import extract
from iovsim.mobility.placement import place_rsus
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.trace import Trace

ROOT = Path(__file__).parents[2]
PORTSIDE = ROOT / "sumo_maps" / "portside" / "portside.sumocfg"
LUST_RED = ROOT / "../shared/scenarios/lust_red_district/lust_red.sumocfg"

FINE = 100
"""Instants a step of 1 s."""


def brute_force(trace: Trace, rsus: Sequence[Rsu], hysteresis_m: float) -> dict[tuple[str, int], IntArray]:
    """By vehicle and the number of the step that begins: the RSU (-1: none) at each of its `FINE` instants."""
    x_m, y_m = np.array([r.x_m for r in rsus]), np.array([r.y_m for r in rsus])
    reach_m = np.array([r.range_m for r in rsus])
    apart_m = np.hypot(x_m[:, None] - x_m, y_m[:, None] - y_m)
    found: dict[tuple[str, int], IntArray] = {}
    before: dict[str, tuple[float, float]] = {}
    state: dict[str, int] = {}
    for window in trace.windows():
        for time_s, rows in window.steps():
            names = [window.names[code] for code in window.vehicle[rows]]
            place = dict(zip(names, zip(window.x_m[rows], window.y_m[rows], strict=True), strict=True))
            both = [name for name in names if name in before]
            at = np.array([state.get(name, -1) for name in both], dtype=np.int64)
            first = np.array([before[name] for name in both]).reshape(-1, 2)
            last = np.array([place[name] for name in both]).reshape(-1, 2)
            seen = np.empty((len(both), FINE), dtype=np.int64)
            for instant in range(FINE):
                here = first + (instant / FINE) * (last - first)
                d = np.hypot(here[:, :1] - x_m, here[:, 1:] - y_m)
                at = seen[:, instant] = step(d, at, reach_m, apart_m, hysteresis_m)
            for name, states in zip(both, seen, strict=True):
                found[name, round(time_s - trace.begin_s) - 1] = states
            state = dict(zip(both, at.tolist(), strict=True))
            before = place
    return found


def step(
    d: NDArray[np.float64], at: IntArray, reach_m: NDArray[np.float64], apart_m: NDArray[np.float64], margin_m: float
) -> IntArray:
    own = d[np.arange(len(d)), at][:, None]
    inside = d <= reach_m
    better = inside & (own**2 - d**2 >= 2 * apart_m[at] * margin_m) & (d < own) & (at >= 0)[:, None]
    to = np.where(better, d, np.inf)
    leaves = (at >= 0) & ~better.any(axis=1) & (own[:, 0] > reach_m[at] + margin_m)
    at = np.where(better.any(axis=1), to.argmin(axis=1), np.where(leaves, -1, at))
    free = (at < 0) & inside.any(axis=1)
    return np.where(free, np.where(inside, d, np.inf).argmin(axis=1), at)


@pytest.mark.parametrize("hysteresis_m", [0.0, 12.0])
@pytest.mark.parametrize(
    ("sumocfg", "times"), [(PORTSIDE, (0, 120)), (LUST_RED, (25200, 25500))], ids=["portside", "district"]
)
def test_both_agree_but_within_two_instants_of_a_change(
    tmp_path: Path, sumocfg: Path, times: tuple[int, int], hysteresis_m: float
) -> None:
    if not sumocfg.is_file():
        pytest.skip("the Luxembourg district is not beside this checkout")
    trace = Trace(sumo.record(sumocfg, seed=1, begin_s=times[0], end_s=times[1], cache=tmp_path))
    sites = place_rsus("grid", read_map(sumo.inputs(sumocfg)), range_m=220.0, count=25)
    rsus = sorted((Rsu(s.rsu, s.x_m, s.y_m, 5.0, 220.0, ()) for s in sites), key=lambda r: r.rsu)
    table = extract(trace, rsus, hysteresis_m=hysteresis_m)
    expected = brute_force(trace, rsus, hysteresis_m)
    codes = {rsu.rsu: code for code, rsu in enumerate(rsus)}
    checked = 0
    for (vehicle, k), states in expected.items():
        time_s = trace.begin_s + k + np.arange(FINE) / FINE
        ours, near = np.full(FINE, -1), np.zeros(FINE, dtype=np.bool_)
        for contact in table.of_vehicle(vehicle):
            ours[(time_s >= contact.start_s) & (time_s < contact.end_s)] = codes[contact.rsu]
            near |= np.minimum(abs(time_s - contact.start_s), abs(time_s - contact.end_s)) <= 2 / FINE
        np.testing.assert_array_equal(ours[~near], states[~near], err_msg=f"{vehicle} at {time_s[0]:g} s")
        checked += int((~near & (ours >= 0)).sum())
    assert len(table) > 10
    assert checked > 1000
