"""An assignment becomes its phases: each one's end, success, bits and joules by arithmetic over the future of the link.

A phase is a function of (terms, assignment, start, limit). Nothing races: what would outlast the limit is cut there.
"""

from __future__ import annotations

from collections.abc import Callable

from iovsim.domain import Assignment, PhaseEnd, PhaseKind
from iovsim.energy.compute import train_j
from iovsim.energy.radio_energy import downlink_j, uplink_j, waiting_j
from iovsim.engine.terms import Terms, compute_s, down_bits, downlink_bps, up_bits, uplink_bps
from iovsim.radio.transfer import transfer

Phase = Callable[[Terms, Assignment, float, float], PhaseEnd]


def downlink(terms: Terms, assignment: Assignment, start_s: float, limit_s: float) -> PhaseEnd:
    """The adapter goes down at the assigned rank, or what the vehicle is behind of stacked ones; and the price."""
    rate = downlink_bps(terms, assignment, terms.link.mean_gain * terms.link.fading)
    bits = down_bits(terms, assignment)
    sent = transfer(terms.link.time_s, rate, start_s, bits, limit_s)
    vehicle_j, rsu_j = downlink_j(terms.device, terms.radio, assignment.bandwidth_down_hz, sent.end_s - start_s)
    return PhaseEnd(PhaseKind.DOWNLINK, start_s, sent.end_s, sent.completed, sent.bits, vehicle_j, rsu_j)


def compute(terms: Terms, assignment: Assignment, start_s: float, limit_s: float) -> PhaseEnd:
    """Local training."""
    return work(terms, compute_s(terms, assignment), start_s, limit_s)


def work(terms: Terms, needed_s: float, start_s: float, limit_s: float) -> PhaseEnd:
    """The vehicle trains for `needed_s`."""
    end_s = min(start_s + needed_s, limit_s)
    completed = start_s + needed_s <= limit_s
    spent_j = train_j(terms.device, end_s - start_s)
    return PhaseEnd(PhaseKind.COMPUTE, start_s, end_s, completed, 0.0, spent_j, 0.0)


def uplink(terms: Terms, assignment: Assignment, start_s: float, limit_s: float) -> PhaseEnd:
    """The trained adapter goes up."""
    rate = uplink_bps(terms, assignment, terms.link.mean_gain * terms.link.fading)
    bits = up_bits(terms, assignment)
    sent = transfer(terms.link.time_s, rate, start_s, bits, limit_s)
    vehicle_j, rsu_j = uplink_j(
        terms.device, terms.radio, assignment.bandwidth_up_hz, assignment.power_w, sent.end_s - start_s
    )
    return PhaseEnd(PhaseKind.UPLINK, start_s, sent.end_s, sent.completed, sent.bits, vehicle_j, rsu_j)


def waiting(terms: Terms, start_s: float, end_s: float) -> PhaseEnd:
    """After its upload a client idles until the round closes."""
    return PhaseEnd(PhaseKind.WAITING, start_s, end_s, True, 0.0, waiting_j(terms.device, end_s - start_s), 0.0)


def carrying(terms: Terms, until_s: float, start_s: float, limit_s: float) -> PhaseEnd:
    """The vehicle idles with a finished update until it comes to an RSU that takes it."""
    end_s = max(min(until_s, limit_s), start_s)
    spent_j = waiting_j(terms.device, end_s - start_s)
    return PhaseEnd(PhaseKind.CARRYING, start_s, end_s, until_s <= limit_s, 0.0, spent_j, 0.0)


FEDERATED_COURSE: tuple[tuple[PhaseKind, Phase], ...] = (
    (PhaseKind.DOWNLINK, downlink),
    (PhaseKind.COMPUTE, compute),
    (PhaseKind.UPLINK, uplink),
)
"""Download, train, upload: the course of every job of plain federated learning."""
