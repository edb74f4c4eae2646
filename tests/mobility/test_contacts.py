"""Contacts against closed forms and against an independent state machine with a fine time step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iovsim.domain import Contact, ContactEnd, FloatArray, IntArray, Rsu
from iovsim.errors import ScenarioError, TraceError
from iovsim.mobility import contacts
from iovsim.mobility.contacts import ContactTable, extract
from iovsim.mobility.trace import Trace, fcd
from iovsim.rng import stream

Track = tuple[list[float], list[float], list[float]]


class MakeTrace(Protocol):
    def __call__(self, tracks: Mapping[str, Track]) -> Trace: ...


def rsu(name: str, x_m: float, y_m: float, range_m: float = 100.0) -> Rsu:
    return Rsu(rsu=name, x_m=x_m, y_m=y_m, height_m=6.0, range_m=range_m, tasks=())


def straight(
    x_m: float, y_m: float, vx: float, vy: float, steps: int, step_s: float = 1.0, begin_s: float = 0.0
) -> Track:
    times = [begin_s + k * step_s for k in range(steps)]
    return times, [x_m + vx * (t - begin_s) for t in times], [y_m + vy * (t - begin_s) for t in times]


def spans(table: ContactTable) -> list[tuple[str, str, float, float, str]]:
    return [(c.vehicle, c.rsu, c.start_s, c.end_s, c.end.value) for c in table]


@pytest.mark.parametrize("speed", [0.5, 3.0, 13.9, 33.0, 70.0, 150.0])
@pytest.mark.parametrize("offset_m", [0.0, 42.0, 99.0, 99.999])
@pytest.mark.parametrize("heading_deg", [0.0, 37.0, 250.0])
def test_contact_time_on_a_straight_road(
    make_trace: MakeTrace, speed: float, offset_m: float, heading_deg: float
) -> None:
    """2 sqrt(R^2 - d^2) / v, also where the whole disc lies within one step; geometry, no model."""
    cos, sin = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    centre, radius_m = (1234.5, -987.6), 100.0
    steps = int(2 * 137.3 / speed) + 3
    x_m = centre[0] - 137.3 * cos - offset_m * sin
    y_m = centre[1] - 137.3 * sin + offset_m * cos
    trace = make_trace({"v": straight(x_m, y_m, speed * cos, speed * sin, steps)})
    (contact,) = extract(trace, [rsu("r", *centre, radius_m)])
    expected_s = 2 * math.sqrt(radius_m**2 - offset_m**2) / speed
    # coordinates of 10^3 m carry 10^-13 m of rounding, which a grazing line at 99.999 m magnifies by d / half chord
    tolerance = 1e-9 if offset_m < 99.5 else 1e-8
    assert contact.end_s - contact.start_s == pytest.approx(expected_s, rel=tolerance)
    assert contact.end is ContactEnd.RANGE
    for at in (0, -1):
        assert math.dist((contact.x_m[at], contact.y_m[at]), centre) == pytest.approx(radius_m, rel=1e-10)


def test_a_line_that_misses_gives_no_contact(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(-300.0, 100.001, 20.0, 0.0, 40)})
    assert len(extract(trace, [rsu("r", 0.0, 0.0)])) == 0


def test_hysteresis_delays_leaving_only(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(-205.0, 0.0, 10.0, 0.0, 50)})
    (contact,) = extract(trace, [rsu("r", 0.0, 0.0)], hysteresis_m=25.0)
    np.testing.assert_allclose([contact.start_s, contact.end_s], [10.5, 33.0])


def test_vehicle_that_turns_inside_the_margin_stays(make_trace: MakeTrace) -> None:
    """Out to 110 m and back: one contact with a margin of 20 m, two without."""
    x_m = [0.0, 40.0, 80.0, 110.0, 80.0, 40.0, 0.0]
    trace = make_trace({"v": ([float(t) for t in range(7)], x_m, [0.0] * 7)})
    assert len(extract(trace, [rsu("r", 0.0, 0.0)], hysteresis_m=20.0)) == 1
    first, second = extract(trace, [rsu("r", 0.0, 0.0)])
    assert first.end_s == pytest.approx(2 + 20 / 30)
    assert second.start_s == pytest.approx(3 + 10 / 30)


@pytest.mark.parametrize("hysteresis_m", [0.0, 12.5])
def test_handover_at_the_shifted_bisector(make_trace: MakeTrace, hysteresis_m: float) -> None:
    """RSUs 120 m apart along the way: the margin is met `hysteresis_m` beyond the middle, at any sideways offset."""
    trace = make_trace({"v": straight(-203.0, 31.0, 7.0, 0.0, 90)})
    table = extract(trace, [rsu("a", 0.0, 0.0), rsu("b", 120.0, 0.0)], hysteresis_m=hysteresis_m)
    first, second = table
    handover_s = (203.0 + 60.0 + hysteresis_m) / 7.0
    assert [first.rsu, second.rsu] == ["a", "b"]
    assert first.end is ContactEnd.HANDOVER
    assert first.end_s == pytest.approx(handover_s, rel=1e-12)
    assert second.start_s == first.end_s
    row = table.handovers().iloc[0]
    assert (row["time_s"], row["from_rsu"], row["to_rsu"], row["gap_s"]) == (second.start_s, "a", "b", 0.0)


def test_no_ping_pong_within_the_margin(make_trace: MakeTrace) -> None:
    """A vehicle that wavers 8 m about the middle hands over each time without, and never with, a margin of 10 m."""
    x_m = [20.0] + [60.0 + 8.0 * (-1) ** k for k in range(20)]
    trace = make_trace({"v": ([float(t) for t in range(21)], x_m, [0.0] * 21)})
    rsus = [rsu("a", 0.0, 0.0), rsu("b", 120.0, 0.0)]
    assert len(extract(trace, rsus, hysteresis_m=10.0)) == 1
    assert len(extract(trace, rsus)) == 21


def test_handover_on_entering_a_nearer_disc(make_trace: MakeTrace) -> None:
    """b's small disc begins beyond the bisector: it takes over where the vehicle enters it, then gives back."""
    trace = make_trace({"v": straight(-80.0, 0.0, 5.0, 0.0, 30)})
    table = extract(trace, [rsu("a", 0.0, 0.0, 1000.0), rsu("b", 30.0, 0.0, 10.0)])
    assert [(r, end) for _, r, _, _, end in spans(table)] == [("a", "handover"), ("b", "handover"), ("a", "horizon")]
    np.testing.assert_allclose([c.start_s for c in table], [0.0, 20.0, 24.0])
    np.testing.assert_allclose([c.end_s for c in table], [20.0, 24.0, 29.0])


def test_nearest_of_several_at_first_sight(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(40.0, 0.0, 0.0, 0.0, 3)})
    (contact,) = extract(trace, [rsu("a", 0.0, 0.0), rsu("b", 60.0, 0.0), rsu("c", 90.0, 0.0)])
    assert (contact.rsu, contact.start_s, contact.end_s, contact.end) == ("b", 0.0, 2.0, ContactEnd.HORIZON)


def test_rsus_at_one_place_do_not_loop(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(-150.0, 0.0, 30.0, 0.0, 12)})
    (contact,) = extract(trace, [rsu("a", 0.0, 0.0), rsu("b", 0.0, 0.0)])
    assert contact.rsu == "a"


def test_gap_between_two_rsus(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(0.0, 0.0, 10.0, 0.0, 60)})
    table = extract(trace, [rsu("a", 0.0, 0.0), rsu("b", 400.0, 0.0)])
    assert [end for *_, end in spans(table)] == ["range", "range"]
    (gap_s,) = table.handovers()["gap_s"]
    assert gap_s == pytest.approx(20.0)


def test_return_to_the_same_rsu_is_no_handover(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": ([0.0, 1.0, 2.0], [0.0, 300.0, 0.0], [0.0, 0.0, 0.0])})
    table = extract(trace, [rsu("a", 0.0, 0.0)])
    assert len(table) == 2
    assert table.handovers().empty


def test_vanished_and_horizon(make_trace: MakeTrace) -> None:
    """Gone at 4 s while others drive on; back after a hole; there to the end; alone and gone before the end."""
    hole = ([0.0, 1.0, 2.0, 5.0, 6.0, 7.0, 8.0, 9.0], [0.0] * 8, [5.0] * 8)
    trace = make_trace({"gone": straight(0, 0, 1, 0, 5), "hole": hole, "stays": straight(0, 9, 1, 0, 10)})
    assert spans(extract(trace, [rsu("r", 0.0, 0.0)])) == [
        ("gone", "r", 0.0, 4.0, "vanished"),
        ("hole", "r", 0.0, 2.0, "vanished"),
        ("stays", "r", 0.0, 9.0, "horizon"),
        ("hole", "r", 5.0, 9.0, "horizon"),
    ]


def test_limits_cut_contacts_between_samples(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(0.0, 0.0, 3.0, 0.0, 20)})
    (contact,) = extract(trace, [rsu("r", 0.0, 0.0)], start_s=2.25, end_s=7.5)
    assert (contact.start_s, contact.end_s, contact.end) == (2.25, 7.5, ContactEnd.HORIZON)
    np.testing.assert_allclose(contact.time_s, [2.25, 3, 4, 5, 6, 7, 7.5])
    np.testing.assert_allclose(contact.x_m, 3.0 * contact.time_s)


def test_track_velocities_look_backwards(make_trace: MakeTrace) -> None:
    """Speeds 60, 80, 120 m/s in turn: at the entry within the second step the vehicle still knows the first's."""
    trace = make_trace({"v": ([0.0, 1.0, 2.0, 3.0], [-200.0, -140.0, -60.0, 60.0], [0.0] * 4)})
    (contact,) = extract(trace, [rsu("r", 0.0, 0.0)])
    np.testing.assert_allclose(contact.time_s, [1.5, 2.0, 3.0])
    np.testing.assert_allclose(contact.x_m, [-100.0, -60.0, 60.0])
    np.testing.assert_allclose(contact.vx_mps, [60.0, 80.0, 120.0])
    np.testing.assert_allclose(contact.vy_mps, 0.0, atol=1e-12)


def test_crossings_at_trace_steps_are_single_samples(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(-200.0, 0.0, 50.0, 0.0, 9)})
    (contact,) = extract(trace, [rsu("r", 0.0, 0.0)])
    np.testing.assert_array_equal(contact.time_s, [2, 3, 4, 5, 6])


def folded(position_m: FloatArray) -> FloatArray:
    """Reflected at +-350 m."""
    return 350.0 - np.abs((position_m + 350.0) % 1400.0 - 700.0)


def wander(seed: int, vehicles: int, steps: int) -> dict[str, Track]:
    """Tracks with turns, stops, and different times of arrival and leaving."""
    rng = stream(seed, "wander")
    tracks: dict[str, Track] = {}
    for v in range(vehicles):
        first = int(rng.integers(0, steps // 3))
        count = int(rng.integers(steps // 2, steps - first))
        heading = np.cumsum(rng.normal(0.0, 0.25, count))
        speed = np.where(rng.random(count) < 0.15, 0.0, rng.uniform(0.0, 60.0, count))
        x_m = folded(rng.uniform(-300, 300) + np.cumsum(speed * np.cos(heading)))
        y_m = folded(rng.uniform(-300, 300) + np.cumsum(speed * np.sin(heading)))
        tracks[f"v{v}"] = ([float(first + k) for k in range(count)], x_m.tolist(), y_m.tolist())
    return tracks


SITES = [rsu("a", -160, 0, 150), rsu("b", 60, 40, 180), rsu("c", 150, -130, 90), rsu("d", 40, 210, 140)]


def state_machine(track: Track, rsus: Sequence[Rsu], hysteresis_m: float, dt_s: float) -> tuple[FloatArray, IntArray]:
    """The rules read literally, on a fine grid: (times, index of the RSU or -1)."""
    time_s = np.arange(track[0][0], track[0][-1], dt_s)
    x_m, y_m = np.interp(time_s, track[0], track[1]), np.interp(time_s, track[0], track[2])
    distance_m = np.array([np.hypot(x_m - r.x_m, y_m - r.y_m) for r in rsus])
    reach_m = np.array([r.range_m for r in rsus])
    apart_m = np.array([[math.dist((p.x_m, p.y_m), (q.x_m, q.y_m)) for q in rsus] for p in rsus])
    states = np.empty(len(time_s), dtype=np.int64)
    at = -1
    for k, d in enumerate(distance_m.T):
        if at >= 0:
            better = (d <= reach_m) & (d[at] ** 2 - d**2 >= 2 * apart_m[at] * hysteresis_m) & (d < d[at])
            if better.any():
                at = int(np.argmin(np.where(better, d, np.inf)))
            elif d[at] > reach_m[at] + hysteresis_m:
                at = -1
        if at < 0 and (d <= reach_m).any():
            at = int(np.argmin(np.where(d <= reach_m, d, np.inf)))
        states[k] = at
    return time_s, states


@pytest.mark.parametrize("hysteresis_m", [0.0, 6.0, 30.0])
def test_against_a_state_machine_with_a_fine_step(make_trace: MakeTrace, hysteresis_m: float) -> None:
    """Both agree at all instants except those within two fine steps of a change."""
    tracks, dt_s = wander(7, 16, 60), 4e-3
    table = extract(make_trace(tracks), SITES, hysteresis_m=hysteresis_m)
    names = [site.rsu for site in SITES]
    changes = 0
    for vehicle, track in tracks.items():
        time_s, states = state_machine(track, SITES, hysteresis_m, dt_s)
        found = np.full(len(time_s), -1)
        near = np.zeros(len(time_s), dtype=bool)
        for contact in table:
            if contact.vehicle == vehicle:
                changes += 1
                found[(time_s >= contact.start_s) & (time_s < contact.end_s)] = names.index(contact.rsu)
                near |= np.abs(time_s - contact.start_s) < 2 * dt_s
                near |= np.abs(time_s - contact.end_s) < 2 * dt_s
        np.testing.assert_array_equal(found[~near], states[~near], err_msg=vehicle)
    assert changes > 35


@settings(derandomize=True, max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), hysteresis_m=st.sampled_from([0.0, 1.0, 20.0]))
def test_invariants(make_trace: MakeTrace, seed: int, hysteresis_m: float) -> None:
    table = extract(make_trace(wander(seed, 8, 40)), SITES, hysteresis_m=hysteresis_m)
    sites = {site.rsu: site for site in SITES}
    last_end: dict[str, float] = {}
    keys = [(c.start_s, c.rsu, c.vehicle) for c in table]
    assert keys == sorted(keys)
    for number, contact in enumerate(table):
        site = sites[contact.rsu]
        assert contact.contact == number
        assert contact.start_s >= last_end.get(contact.vehicle, -1.0)  # at most one RSU at a time
        last_end[contact.vehicle] = contact.end_s
        assert (contact.time_s[0], contact.time_s[-1]) == (contact.start_s, contact.end_s)
        assert (np.diff(contact.time_s) > 0).all()
        distance_m = np.hypot(contact.x_m - site.x_m, contact.y_m - site.y_m)
        assert (distance_m <= site.range_m + hysteresis_m + 1e-6).all()
        assert distance_m[0] <= site.range_m + 1e-6


@pytest.mark.parametrize("rows", [1, 50, 10**6])
def test_size_of_blocks_changes_no_bit(make_trace: MakeTrace, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = make_trace(wander(3, 20, 60))
    one = extract(trace, SITES, hysteresis_m=5.0)
    monkeypatch.setattr(fcd, "BATCH_ROWS", rows)
    other = extract(trace, SITES, hysteresis_m=5.0)
    assert len(one) > 20
    for name in one.columns.__slots__:
        np.testing.assert_array_equal(getattr(one.columns, name), getattr(other.columns, name), err_msg=name)


@pytest.mark.parametrize("samples", [1, 40, 10**6])
@pytest.mark.parametrize("rows", [1, 50, 10**6])
def test_a_table_made_in_its_folder_is_the_saved_one(
    make_trace: MakeTrace, tmp_path: Path, rows: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, whatever is in memory at a time; the file that tracks wait in is gone."""
    trace = make_trace(wander(3, 20, 60))
    extract(trace, SITES, hysteresis_m=5.0).save(tmp_path / "saved")
    monkeypatch.setattr(fcd, "BATCH_ROWS", rows)
    monkeypatch.setattr(contacts, "SAMPLES", samples)
    table = extract(trace, SITES, hysteresis_m=5.0, folder=tmp_path / "deep" / "made")
    table.let_go()
    assert len(table) > 20
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["made"]
    for file in (tmp_path / "saved").iterdir():
        assert (tmp_path / "deep" / "made" / file.name).read_bytes() == file.read_bytes(), file.name
    assert spans(table) == spans(ContactTable.load(tmp_path / "saved"))


def test_order_of_rsus_changes_nothing(make_trace: MakeTrace) -> None:
    trace = make_trace(wander(4, 10, 40))
    assert spans(extract(trace, SITES)) == spans(extract(trace, SITES[::-1]))


def test_active_is_the_list_of_open_contacts(make_trace: MakeTrace) -> None:
    table = extract(make_trace(wander(5, 20, 60)), SITES)
    starts = [table[0].start_s, table[3].start_s, table[3].end_s]
    for time_s in (*starts, 10.0, 31.7, 59.0):
        for site in SITES:
            expected = [c for c in table if c.rsu == site.rsu and c.start_s <= time_s < c.end_s]
            names = [c.vehicle for c in table.active(site.rsu, time_s)]
            assert names == sorted(c.vehicle for c in expected)
    with pytest.raises(KeyError, match="nowhere"):
        table.active("nowhere", 1.0)


def test_of_a_vehicle_are_its_contacts_in_the_order_of_time(make_trace: MakeTrace) -> None:
    table = extract(make_trace(wander(5, 20, 60)), SITES)
    several = 0
    for vehicle in sorted({c.vehicle for c in table}):
        expected = sorted((c.start_s, c.contact) for c in table if c.vehicle == vehicle)
        assert [(c.start_s, c.contact) for c in table.of_vehicle(vehicle)] == expected
        several += len(expected) > 1
    assert several > 3
    assert list(table.of_vehicle("nobody")) == []
    assert list(table.of_vehicle("")) == []
    none = extract(make_trace({"v": straight(0, 0, 1, 0, 5)}), [])
    assert list(none.of_vehicle("v")) == []


def test_frame(make_trace: MakeTrace) -> None:
    trace = make_trace({"v": straight(-305.0, 28.0, 30.0, 0.0, 21), "w": straight(60.0, 80.0, 0.0, 0.0, 21)})
    frame = extract(trace, [rsu("r", 0.0, 0.0)]).frame()
    assert list(frame.columns) == ["contact", "vehicle", "rsu", "start_s", "end_s", "end", "distance_min_m"]
    assert frame["end"].tolist() == ["horizon", "range"]
    np.testing.assert_allclose(frame["distance_min_m"], [100.0, 28.0])


def test_no_rsu_no_contact(make_trace: MakeTrace) -> None:
    table = extract(make_trace({"v": straight(0, 0, 1, 0, 5)}), [])
    assert (len(table), list(table), len(table.frame()), len(table.handovers())) == (0, [], 0, 0)


def test_save_and_load(make_trace: MakeTrace, tmp_path: Path) -> None:
    table = extract(make_trace(wander(6, 10, 40)), SITES)
    place = tmp_path / "deep" / "contacts"
    table.save(place)
    loaded = ContactTable.load(place)
    for name in table.columns.__slots__:
        np.testing.assert_array_equal(getattr(table.columns, name), getattr(loaded.columns, name))
    first = {file.name: file.read_bytes() for file in place.iterdir()}
    table.save(place)
    assert {file.name: file.read_bytes() for file in place.iterdir()} == first
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["contacts"]


def test_load_refuses_what_it_did_not_write(make_trace: MakeTrace, tmp_path: Path) -> None:
    place = tmp_path / "contacts"
    with pytest.raises(TraceError, match="no such contact table"):
        ContactTable.load(place)
    extract(make_trace(wander(6, 10, 40)), SITES).save(place)
    whole = (place / "x_m.npy").read_bytes()
    (place / "x_m.npy").write_bytes(whole[:-8])
    with pytest.raises(TraceError, match="not a contact table"):
        ContactTable.load(place)
    (place / "x_m.npy").unlink()
    with pytest.raises(TraceError, match="not a contact table"):
        ContactTable.load(place)


def test_arrays_are_read_only(make_trace: MakeTrace) -> None:
    contact: Contact = extract(make_trace({"v": straight(0, 0, 1, 0, 5)}), [rsu("r", 0, 0)])[0]
    with pytest.raises(ValueError, match="read-only"):
        contact.x_m[0] = 1.0


def test_bad_arguments(make_trace: MakeTrace) -> None:
    trace: Trace = make_trace({"v": straight(0, 0, 1, 0, 5)})
    with pytest.raises(ScenarioError, match="'r' is named twice"):
        extract(trace, [rsu("r", 0, 0), rsu("r", 9, 9)])
    with pytest.raises(ScenarioError, match=r"range_m is 0\.0; it must be above 0"):
        extract(trace, [rsu("r", 0, 0, 0.0)])
    with pytest.raises(ScenarioError, match="hysteresis_m is -1; it must be 0 or more"):
        extract(trace, [rsu("r", 0, 0)], hysteresis_m=-1)
    with pytest.raises(ScenarioError, match="covers 0 s to 4 s; none of it"):
        extract(trace, [rsu("r", 0, 0)], start_s=100, end_s=200)


def test_progress_reaches_one(make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcd, "BATCH_ROWS", 10)
    told: list[float] = []
    extract(make_trace({"v": straight(0, 0, 1, 0, 50)}), [rsu("r", 0, 0)], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 5
