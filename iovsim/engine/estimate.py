"""An assignment becomes its predicted course, from the link's current mean gain alone: what a policy may know."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from iovsim.domain import Assignment, Estimate, FloatArray
from iovsim.energy.compute import train_j, training_memory_bits
from iovsim.energy.radio_energy import downlink_j, uplink_j
from iovsim.engine.terms import Terms, charged, compute_s, down_bits, downlink_bps, mean_gain_at, up_bits, uplink_bps
from iovsim.radio.transfer import transfer_s


def estimate(terms: Terms, assignment: Assignment, time_s: float) -> Estimate:
    """Seconds and joules (vehicle and RSU together) if the mean gain stayed as it is at `time_s`, without fading."""
    gain: FloatArray = np.array([mean_gain_at(terms.link, time_s)])
    needed_bits = memory_bits(terms, assignment)
    down_s = transfer_s(down_bits(terms, assignment), float(downlink_bps(terms, assignment, gain)[0]))
    up_s = upload_s(terms, assignment, time_s)
    needed_s = compute_s(terms, assignment)
    if not math.isfinite(down_s + up_s):
        return Estimate(down_s, needed_s, up_s, math.inf, needed_bits)
    energy_j = (
        sum(downlink_j(terms.device, terms.radio, assignment.bandwidth_down_hz, down_s))
        + train_j(terms.device, needed_s)
        + sum(uplink_j(terms.device, terms.radio, assignment.bandwidth_up_hz, assignment.power_w, up_s))
    )
    return Estimate(down_s, needed_s, up_s, energy_j, needed_bits)


def upload_s(terms: Terms, assignment: Assignment, time_s: float) -> float:
    """Seconds that the upload would take if the mean gain stayed as it is at `time_s`."""
    gain: FloatArray = np.array([mean_gain_at(terms.link, time_s)])
    return transfer_s(up_bits(terms, assignment), float(uplink_bps(terms, assignment, gain)[0]))


def memory_bits(terms: Terms, assignment: Assignment) -> float:
    """What training as assigned takes of the vehicle's memory."""
    task = replace(terms.task, charged=charged(terms, assignment))
    return training_memory_bits(task, assignment.rank, terms.tuning)
