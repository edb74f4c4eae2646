"""Two vehicles of one RSU become what sending from the one to the other takes."""

from __future__ import annotations

import numpy as np

from iovsim.domain import FloatArray, Link, PhaseEnd, PhaseKind, Radio
from iovsim.energy.radio_energy import sidelink_j
from iovsim.engine.terms import Terms, mean_gain_at
from iovsim.radio.rate import rate_bps
from iovsim.radio.transfer import transfer, transfer_s


def sidelink_bps(radio: Radio, power_w: float, gain: FloatArray) -> FloatArray:
    """Rate from vehicle to vehicle at the given gains, on the whole sidelink band, which no two share (ours)."""
    return rate_bps(
        gain,
        radio.sidelink_bandwidth_hz,
        power_w,
        radio.vehicle_noise_w_per_hz,
        radio.efficiency,
        radio.max_bps_per_hz,
    )


def sending_s(radio: Radio, link: Link, power_w: float, bits: float, time_s: float) -> float:
    """Seconds that `bits` would take if the mean gain stayed as it is at `time_s`, without fading."""
    return transfer_s(bits, float(sidelink_bps(radio, power_w, np.array([mean_gain_at(link, time_s)]))[0]))


def sidelink(
    sender: Terms, receiver: Terms, link: Link, power_w: float, bits: float, start_s: float, limit_s: float
) -> tuple[PhaseEnd, PhaseEnd]:
    """What both vehicles do while the one sends `bits` to the other: equal times and bits, and each its own energy."""
    rate = sidelink_bps(sender.radio, power_w, link.mean_gain * link.fading)
    sent = transfer(link.time_s, rate, start_s, bits, limit_s)
    sender_j, receiver_j = sidelink_j(sender.device, receiver.device, power_w, sent.end_s - start_s)
    carrier = receiver.contact.vehicle
    return (
        PhaseEnd(PhaseKind.SIDELINK, start_s, sent.end_s, sent.completed, sent.bits, sender_j, 0.0),
        PhaseEnd(PhaseKind.RECEIVING, start_s, sent.end_s, sent.completed, sent.bits, receiver_j, 0.0, carrier),
    )
