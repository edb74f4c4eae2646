"""Contacts that grow step by step are at every moment those of a recording of the same steps, as far as it has come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iovsim.domain import Contact, Rsu
from iovsim.errors import TraceError
from iovsim.mobility.contact_table import ContactTable
from iovsim.mobility.contacts import extract
from iovsim.mobility.live_contacts import LiveContacts
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Trace

Track = tuple[list[float], list[float], list[float]]  # times, x, y


class MakeTrace(Protocol):
    def __call__(self, tracks: Mapping[str, Track], *, name: str = ...) -> Trace: ...


RSUS = [Rsu(f"r{i}", 150.0 * i, 30.0 * (i % 2), 5.0, 110.0, ()) for i in (2, 0, 1)]


@st.composite
def tracks(draw: st.DrawFn) -> dict[str, Track]:
    """A few vehicles that come, stand, turn, vanish for a while, and sometimes stop the very moment a period begins."""
    found: dict[str, Track] = {}
    for number in range(draw(st.integers(1, 5))):
        first = draw(st.integers(0, 15))
        steps = draw(st.lists(st.tuples(st.integers(-40, 60), st.integers(-30, 30)), min_size=2, max_size=25))
        x_m = draw(st.integers(-150, 400)) + np.cumsum([0.0, *(dx for dx, _ in steps)])
        y_m = draw(st.integers(-60, 90)) + np.cumsum([0.0, *(dy for _, dy in steps)])
        time_s = np.arange(first, first + len(x_m), dtype=np.float64)
        seen = np.array(draw(st.lists(st.integers(0, 9), min_size=len(x_m), max_size=len(x_m)))) > 0
        if seen.sum() >= 2:
            found[f"v{number}"] = (time_s[seen].tolist(), x_m[seen].tolist(), y_m[seen].tolist())
    found["always"] = (list(map(float, range(45))), [1e6] * 45, [0.0] * 45)
    return found


def live_over(trace: Trace, begin_s: float, end_s: float) -> LiveContacts:
    return LiveContacts(RSUS, start_s=begin_s, end_s=end_s, step_s=trace.step_s, jump_m=trace.jump_m, hysteresis_m=5.0)


def steps(trace: Trace) -> Iterator[Samples]:
    """All vehicles at each step from the trace's first to its last, as they come."""
    by_time: dict[float, list[Samples]] = {}
    for window in trace.windows():
        for time_s, rows in window.steps():
            names = [window.names[code] for code in window.vehicle[rows].tolist()]
            columns = (window.x_m[rows], window.y_m[rows], window.speed_mps[rows], window.angle_deg[rows])
            by_time[time_s] = [Samples(window.time_s[rows], names, *columns)]
    nobody = Samples(np.zeros(0), [], *np.zeros((4, 0)))
    for time_s in np.arange(trace.begin_s, trace.end_s + 0.5):
        yield by_time.get(float(time_s), [nobody])[0]


def assert_known_part(known: Contact, whole: Contact, time_s: float) -> None:
    """`known` is `whole` as far as `time_s`."""
    assert (known.contact, known.vehicle, known.rsu, known.start_s) == (
        whole.contact,
        whole.vehicle,
        whole.rsu,
        whole.start_s,
    )
    n = len(known.time_s)
    for name in ("time_s", "x_m", "y_m", "vx_mps", "vy_mps"):
        np.testing.assert_array_equal(getattr(known, name), getattr(whole, name)[:n])
    if whole.end_s < time_s:
        assert (known.end_s, known.end, n) == (whole.end_s, whole.end, len(whole.time_s))
    else:
        assert known.time_s[-1] == known.end_s == time_s


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tracks(), st.integers(1, 9), st.sampled_from([0.0, 2.0, 7.5]))
def test_the_book_is_the_table_as_far_as_it_has_come(
    make_trace: MakeTrace, found: dict[str, Track], period: int, begin_s: float
) -> None:
    trace, end_s = make_trace(found), 40.5
    table = extract(trace, RSUS, start_s=begin_s, end_s=end_s, hysteresis_m=5.0)
    live = live_over(trace, begin_s, end_s)
    now_s = begin_s
    for time_s, step in zip(np.arange(trace.begin_s, trace.end_s + 0.5).tolist(), steps(trace), strict=True):
        live.take(time_s, step)
        if now_s + period + 1 <= time_s <= end_s - 1:
            live.settle(now_s)
            now_s += period
            lasting = [c for c in table if c.start_s < time_s and c.end_s > now_s - period]
            assert [c.contact for c in live] == [c.contact for c in lasting]
            for known, whole in zip(live, lasting, strict=True):
                assert_known_part(known, whole, time_s)
                assert live[known.contact] is known
            for rsu in RSUS:
                active = [c.contact for c in live.active(rsu.rsu, now_s)]
                assert active == [c.contact for c in table.active(rsu.rsu, now_s)]
            for vehicle in found:
                ours = [c.contact for c in live.of_vehicle(vehicle)]
                assert ours == [c.contact for c in table.of_vehicle(vehicle) if c in lasting or c.contact in ours]
    live.settle(now_s)
    live.check(table, "here")


def test_another_recording_is_told_apart(make_trace: MakeTrace) -> None:
    track: Track = ([0.0, 1.0, 2.0, 3.0], [0.0, 10.0, 20.0, 30.0], [0.0] * 4)
    trace = make_trace({"v": track})
    live = live_over(trace, 0.0, 3.0)
    for time_s, step in zip(track[0], steps(trace), strict=True):
        live.take(time_s, step)
    live.settle(0.0)

    def table(name: str) -> ContactTable:
        return extract(make_trace({name: track}, name=f"{name}.parquet"), RSUS, start_s=0.0, end_s=3.0)

    live.check(table("v"), "town.sumocfg")
    with pytest.raises(
        TraceError, match=r"town.sumocfg: its traffic gives 1 contacts where the live run met 1, or others"
    ):
        live.check(table("w"), "town.sumocfg")
