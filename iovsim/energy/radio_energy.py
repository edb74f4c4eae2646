"""Turns seconds on the air, or of waiting, into the joules of the vehicle and of the RSU.

A linear amplifier model, P = circuits + radiated / efficiency (Auer et al., "How much energy is needed to run a
wireless network?", IEEE Wireless Communications 18(5), 2011). The vehicle's computer idles meanwhile. An RSU's power is
shared among its links in proportion to bandwidth; what it draws with no link at all is no part of learning and not
charged.
"""

from __future__ import annotations

from typing import NamedTuple

from iovsim.domain import Device, Radio


class Joules(NamedTuple):
    """What both ends spent on one phase."""

    vehicle_j: float
    rsu_j: float


def downlink_j(device: Device, radio: Radio, bandwidth_hz: float, seconds: float) -> Joules:
    """The vehicle receives for `seconds` on `bandwidth_hz` of the downlink band."""
    share = bandwidth_hz / radio.bandwidth_down_hz
    return Joules(
        (device.idle_w + device.rx_w) * seconds,
        radio.rsu_power_w * share / radio.rsu_pa_efficiency * seconds,
    )


def uplink_j(device: Device, radio: Radio, bandwidth_hz: float, power_w: float, seconds: float) -> Joules:
    """The vehicle sends for `seconds` on `bandwidth_hz` of the uplink band, radiating `power_w`."""
    share = bandwidth_hz / radio.bandwidth_up_hz
    return Joules(
        (device.idle_w + device.tx_circuit_w + power_w / device.pa_efficiency) * seconds,
        radio.rsu_rx_w * share * seconds,
    )


def sidelink_j(sender: Device, receiver: Device, power_w: float, seconds: float) -> tuple[float, float]:
    """Joules of both vehicles while one sends to the other for `seconds`, radiating `power_w`; no RSU takes part."""
    return (
        (sender.idle_w + sender.tx_circuit_w + power_w / sender.pa_efficiency) * seconds,
        (receiver.idle_w + receiver.rx_w) * seconds,
    )


def waiting_j(device: Device, seconds: float) -> float:
    """Joules of a vehicle that waits for `seconds` with its radio off; the RSU spends none."""
    return device.idle_w * seconds
