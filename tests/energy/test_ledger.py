"""Radio energy by hand, and how phases are booked."""

from __future__ import annotations

import math

import pytest

from iovsim.domain import PhaseEnd, PhaseKind, Radio
from iovsim.energy import TIERS, downlink_j, entries, sidelink_j, uplink_j, waiting_j

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


def test_both_ends_of_each_phase_are_booked() -> None:
    down, compute = _phase(PhaseKind.DOWNLINK, 5.0, 3.0, 1.0), _phase(PhaseKind.COMPUTE, 9.0, 20.0, 0.0)
    booked = [
        *entries([down, compute], rsu="r0", vehicle="a", task="signs", aggregated=True),
        *entries([down], rsu="r1", vehicle="b", task="lanes", aggregated=False),
    ]
    assert [(e.time_s, e.owner, e.phase, e.cause, e.energy_j) for e in booked] == [
        (5.0, "vehicle", "downlink", "downlink", 3.0),
        (5.0, "rsu", "downlink", "downlink", 1.0),
        (9.0, "vehicle", "compute", "compute", 20.0),
        (9.0, "rsu", "compute", "compute", 0.0),
        (5.0, "vehicle", "downlink", "wasted", 3.0),
        (5.0, "rsu", "downlink", "wasted", 1.0),
    ]
    assert [(e.rsu, e.vehicle, e.task) for e in booked] == [("r0", "a", "signs")] * 4 + [("r1", "b", "lanes")] * 2


def test_sidelink_by_hand() -> None:
    # sender (5 + 1.5 + 0.15 / 0.3) W * 2 s, receiver (5 + 1.5) W * 2 s
    assert sidelink_j(NANO, NANO, 0.15, 2.0) == pytest.approx((14.0, 13.0))


def test_a_phase_may_name_others_who_spent() -> None:
    carried = PhaseEnd(PhaseKind.UPLINK, 1.0, 2.0, True, 8.0, 3.0, 1.0, vehicle="carrier", rsu="next")
    phases = [_phase(PhaseKind.COMPUTE, 1.0, 5.0, 0.0), carried]
    booked = entries(phases, rsu="r0", vehicle="a", task="t", aggregated=True)
    assert [(e.vehicle, e.rsu) for e in booked] == [("a", "r0")] * 2 + [("carrier", "next")] * 2
