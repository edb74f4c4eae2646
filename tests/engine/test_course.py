"""Phases against arithmetic done by hand, on a link of constant gain."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from iovsim.domain import Assignment, PhaseEnd
from iovsim.energy import train_flops, update_bits
from iovsim.engine.course import compute, downlink, uplink, waiting
from iovsim.engine.estimate import estimate
from iovsim.engine.terms import Terms

from .conftest import GAIN

ASSIGNMENT = Assignment("v0", "signs", 8, 1, 2e6, 2e6, 0.2, 28.0)
Make = Callable[[float], Terms]


def shannon_bps(bandwidth_hz: float, power_w: float, noise_w_per_hz: float) -> float:
    snr = power_w * GAIN / (noise_w_per_hz * bandwidth_hz)
    return 0.75 * bandwidth_hz * min(math.log2(1 + snr), 7.4)


def test_downlink_takes_bits_over_rate_and_both_ends_pay(terms: Make) -> None:
    t = terms(100.0)
    rate_bps = shannon_bps(2e6, t.radio.rsu_power_w * 0.1, t.radio.vehicle_noise_w_per_hz)
    bits = update_bits(t.task.charged, 8)
    end = downlink(t, ASSIGNMENT, 3.0, 50.0)
    assert end.completed
    assert end.bits == bits
    assert end.end_s - 3.0 == pytest.approx(bits / rate_bps, rel=1e-12)
    seconds = end.end_s - 3.0
    assert end.vehicle_j == pytest.approx((t.device.idle_w + t.device.rx_w) * seconds)
    assert end.rsu_j == pytest.approx(t.radio.rsu_power_w * 0.1 / t.radio.rsu_pa_efficiency * seconds)


def test_uplink_uses_all_the_vehicles_power_in_its_share(terms: Make) -> None:
    t = terms(100.0)
    rate_bps = shannon_bps(2e6, 0.2, t.radio.rsu_noise_w_per_hz)
    end = uplink(t, ASSIGNMENT, 0.0, 50.0)
    assert end.end_s == pytest.approx(update_bits(t.task.charged, 8) / rate_bps, rel=1e-12)
    watts = t.device.idle_w + t.device.tx_circuit_w + 0.2 / t.device.pa_efficiency
    assert end.vehicle_j == pytest.approx(watts * end.end_s)


def test_compute_takes_flops_over_speed_and_hardly_depends_on_rank(terms: Make) -> None:
    t = terms(100.0)
    low, high = (compute(t, Assignment("v0", "signs", r, 2, 2e6, 2e6, 0.2, 28.0), 1.0, 90.0) for r in (2, 8))
    flops = train_flops(t.task.charged, 2, 2 * len(t.samples))
    assert low.end_s == pytest.approx(1.0 + flops / t.device.compute_flops)
    assert low.vehicle_j == pytest.approx(t.device.active_w * (low.end_s - 1.0))
    assert 1.0 < (high.end_s - 1.0) / (low.end_s - 1.0) < 1.02


@pytest.mark.parametrize("phase", [downlink, uplink, compute])
def test_a_phase_is_cut_at_its_limit_with_the_energy_spent_so_far(
    terms: Make, phase: Callable[[Terms, Assignment, float, float], PhaseEnd]
) -> None:
    t = terms(100.0)
    whole = phase(t, ASSIGNMENT, 0.0, 100.0)
    cut = phase(t, ASSIGNMENT, 0.0, whole.end_s / 4)
    assert whole.completed
    assert not cut.completed
    assert cut.end_s == whole.end_s / 4
    assert cut.bits == pytest.approx(whole.bits / 4)
    assert cut.vehicle_j == pytest.approx(whole.vehicle_j / 4)
    assert cut.rsu_j == pytest.approx(whole.rsu_j / 4)


def test_waiting_costs_idle_power(terms: Make) -> None:
    t = terms(100.0)
    assert waiting(t, 2.0, 5.0).vehicle_j == pytest.approx(3.0 * t.device.idle_w)


def test_the_estimate_equals_the_course_where_the_gain_stays(terms: Make) -> None:
    t = terms(100.0)
    predicted = estimate(t, ASSIGNMENT, 0.0)
    down = downlink(t, ASSIGNMENT, 0.0, 100.0)
    work = compute(t, ASSIGNMENT, down.end_s, 100.0)
    up = uplink(t, ASSIGNMENT, work.end_s, 100.0)
    assert predicted.total_s == pytest.approx(up.end_s)
    assert predicted.energy_j == pytest.approx(sum(p.vehicle_j + p.rsu_j for p in (down, work, up)))
