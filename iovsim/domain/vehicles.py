"""A vehicle becomes, apart from its motion, a device and the samples that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from iovsim.domain.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Device:
    """What one vehicle's computer and radio draw and deliver.

    `active_w` is the whole platform while it trains, `idle_w` while it only waits or talks; the radio comes on top:
    `rx_w` while receiving, `tx_circuit_w` plus radiated power over `pa_efficiency` while sending.
    `compute_flops` is the *effective* speed in training (peak times utilisation), in FLOP/s.
    """

    tier: str
    compute_flops: float
    active_w: float
    idle_w: float
    rx_w: float
    tx_circuit_w: float
    pa_efficiency: float
    memory_bits: float
    memory_share: float = 0.75  # what training may take of it; the rest holds the system and the driving functions


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """The samples one vehicle holds for one task: indices into the task's training pool."""

    task: str
    train: IntArray
    test: IntArray  # the vehicle's own held-out samples, in no vehicle's `train`
    seen_s: FloatArray  # when each of `train` came to be held, ascending; -inf: held from the start
    test_seen_s: FloatArray  # likewise, of `test`

    def held(self, time_s: float) -> IntArray:
        """The training samples that the vehicle holds at `time_s`."""
        return self.train[: int(np.searchsorted(self.seen_s, time_s, side="right"))]

    def held_test(self, time_s: float) -> IntArray:
        """The samples of its own test that the vehicle holds at `time_s`; none before the first came."""
        return self.test[: int(np.searchsorted(self.test_seen_s, time_s, side="right"))]


@dataclass(frozen=True, slots=True, eq=False)
class Vehicle:
    """A vehicle apart from its motion: its device, its district and its data by task."""

    vehicle: str
    device: Device
    district: int
    shards: Mapping[str, Shard]
