"""Radio energy by hand, and a ledger whose sums agree to the last bit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import PhaseEnd, PhaseKind, Radio
from iovsim.energy import TIERS, Ledger, downlink_j, sidelink_j, uplink_j, waiting_j
from iovsim.energy.ledger import Column

NANO = TIERS["orin-nano"]
RADIO = Radio(
    bandwidth_up_hz=20e6,
    bandwidth_down_hz=10e6,
    rsu_power_w=1.0,
    vehicle_power_w=0.2,
    rsu_noise_w_per_hz=1.26e-20,
    vehicle_noise_w_per_hz=3.16e-20,
    efficiency=0.75,
    max_bps_per_hz=7.4,
    rsu_pa_efficiency=0.25,
    rsu_rx_w=5.0,
    sidelink_bandwidth_hz=20e6,
)


def test_downlink_by_hand() -> None:
    # vehicle (5 + 1.5) W * 2 s; RSU 1 W * 0.2 of the band / 0.25 * 2 s
    assert downlink_j(NANO, RADIO, 2e6, 2.0) == pytest.approx((13.0, 1.6))


def test_uplink_by_hand() -> None:
    # vehicle (5 + 1.5 + 0.15 / 0.3) W * 2 s; RSU 5 W * 0.1 of the band * 2 s
    assert uplink_j(NANO, RADIO, 2e6, 0.15, 2.0) == pytest.approx((14.0, 1.0))


def test_waiting_by_hand() -> None:
    assert waiting_j(NANO, 3.0) == 15.0


def test_shares_of_the_band_add_up_to_the_whole_rsu() -> None:
    whole = downlink_j(NANO, RADIO, 10e6, 1.0).rsu_j
    assert math.fsum(downlink_j(NANO, RADIO, 2.5e6, 1.0).rsu_j for _ in range(4)) == pytest.approx(whole)


def _phase(kind: PhaseKind, end_s: float, vehicle_j: float, rsu_j: float) -> PhaseEnd:
    return PhaseEnd(kind, end_s - 1.0, end_s, True, 0.0, vehicle_j, rsu_j)


def test_rows_and_totals() -> None:
    ledger = Ledger()
    down, compute = _phase(PhaseKind.DOWNLINK, 5.0, 3.0, 1.0), _phase(PhaseKind.COMPUTE, 9.0, 20.0, 0.0)
    ledger.book([down, compute], rsu="r0", vehicle="a", task="signs", aggregated=True)
    ledger.book([down], rsu="r1", vehicle="b", task="lanes", aggregated=False)
    assert [(e.time_s, e.owner, e.phase, e.cause, e.energy_j) for e in ledger.rows()] == [
        (5.0, "vehicle", "downlink", "downlink", 3.0),
        (5.0, "rsu", "downlink", "downlink", 1.0),
        (9.0, "vehicle", "compute", "compute", 20.0),
        (9.0, "rsu", "compute", "compute", 0.0),
        (5.0, "vehicle", "downlink", "wasted", 3.0),
        (5.0, "rsu", "downlink", "wasted", 1.0),
    ]
    assert ledger.total_j() == 28.0
    assert ledger.totals_j("cause") == {"compute": 20.0, "downlink": 4.0, "wasted": 4.0}
    assert ledger.totals_j("owner") == {"rsu": 2.0, "vehicle": 26.0}
    assert ledger.totals_j("task") == {"lanes": 4.0, "signs": 24.0}
    assert ledger.totals_j("rsu") == {"r0": 24.0, "r1": 4.0}
    assert ledger.totals_j("vehicle") == {"a": 24.0, "b": 4.0}
    assert ledger.totals_j("phase") == {"compute": 20.0, "downlink": 8.0}


joules = st.floats(0.0, 1e6)
phases = st.builds(_phase, st.sampled_from(PhaseKind), st.floats(1.0, 1e4), joules, joules)
jobs = st.lists(
    st.tuples(st.lists(phases, max_size=4), st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), max_size=8
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(jobs)
def test_the_total_is_exactly_the_phases_in_any_order(
    booked: list[tuple[list[PhaseEnd], str, str, bool]],
) -> None:
    ledger, shuffled = Ledger(), Ledger()
    for some, task, vehicle, aggregated in booked:
        ledger.book(some, rsu="r", vehicle=vehicle, task=task, aggregated=aggregated)
    for some, task, vehicle, aggregated in reversed(booked):
        shuffled.book(some[::-1], rsu="r", vehicle=vehicle, task=task, aggregated=aggregated)
    everything = [joule for some, *_ in booked for p in some for joule in (p.vehicle_j, p.rsu_j)]
    assert ledger.total_j() == shuffled.total_j() == math.fsum(everything)
    columns: tuple[Column, ...] = ("task", "vehicle", "cause")
    for column in columns:
        assert ledger.totals_j(column) == shuffled.totals_j(column)
    lost = [joule for some, _, _, ok in booked if not ok for p in some for joule in (p.vehicle_j, p.rsu_j)]
    assert ledger.totals_j("cause").get("wasted", 0.0) == math.fsum(lost)


def test_sidelink_by_hand() -> None:
    # sender (5 + 1.5 + 0.15 / 0.3) W * 2 s, receiver (5 + 1.5) W * 2 s
    assert sidelink_j(NANO, NANO, 0.15, 2.0) == pytest.approx((14.0, 13.0))


def test_a_phase_may_name_others_who_spent() -> None:
    ledger = Ledger()
    carried = PhaseEnd(PhaseKind.UPLINK, 1.0, 2.0, True, 8.0, 3.0, 1.0, vehicle="carrier", rsu="next")
    ledger.book([_phase(PhaseKind.COMPUTE, 1.0, 5.0, 0.0), carried], rsu="r0", vehicle="a", task="t", aggregated=True)
    assert ledger.totals_j("vehicle") == {"a": 5.0, "carrier": 4.0}
    assert ledger.totals_j("rsu") == {"next": 4.0, "r0": 5.0}
