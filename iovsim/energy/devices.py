"""The device tiers a scenario may give its vehicles: Jetson-class computers with a C-V2X modem.

| tier      | effective FLOP/s | active | idle | memory | published for the module                                    |
|-----------|------------------|--------|------|--------|-------------------------------------------------------------|
| orin-nano | 3e12             | 15 W   | 5 W  | 8 GiB  | 7-25 W, 67 sparse INT8 TOPS (NVIDIA, Orin Nano Super 8 GB)  |
| orin-nx   | 5.5e12           | 20 W   | 6 W  | 16 GiB | 10-25 W, up to 100 sparse INT8 TOPS (NVIDIA, Orin NX 16 GB) |
| agx-orin  | 1.2e13           | 40 W   | 10 W | 32 GiB | 15-60 W, up to 275 sparse INT8 TOPS (NVIDIA, AGX Orin)      |

The last column is published; the others, memory apart, are ours, because no source measures them together. Effective
speed: about 0.2 of the dense FP16 peak, which is a quarter of the sparse INT8 figure. Active: a usual power mode of the
module. Idle: module and carrier board with the operating system up. The modem is ours too: 1.5 W in reception, 1.5 W of
transmit circuits, and 30 % of the amplifier's power radiated.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from iovsim.domain import Device

GIB_BITS = 8.0 * 2**30


def _jetson(tier: str, compute_flops: float, active_w: float, idle_w: float, memory_gib: float) -> Device:
    return Device(
        tier=tier,
        compute_flops=compute_flops,
        active_w=active_w,
        idle_w=idle_w,
        rx_w=1.5,
        tx_circuit_w=1.5,
        pa_efficiency=0.3,
        memory_bits=memory_gib * GIB_BITS,
    )


TIERS: Mapping[str, Device] = MappingProxyType(
    {
        "orin-nano": _jetson("orin-nano", 3e12, 15.0, 5.0, 8),
        "orin-nx": _jetson("orin-nx", 5.5e12, 20.0, 6.0, 16),
        "agx-orin": _jetson("agx-orin", 12e12, 40.0, 10.0, 32),
    }
)
