"""The device tiers a scenario may give its vehicles: Jetson-class computers, and less, with a C-V2X modem.

| tier         | effective | active | idle  | memory | published for the module                                    |
|--------------|-----------|--------|-------|--------|-------------------------------------------------------------|
| telematics   | 1.2e10    | 4 W    | 1.5 W | 2 GiB  | nothing: four Cortex-A53 cores at 1.8 GHz, no accelerator   |
| jetson-nano  | 9.5e10    | 10 W   | 2 W   | 4 GiB  | 5-10 W, 472 GFLOP/s in FP16 (NVIDIA, Jetson Nano)           |
| orin-nano-4g | 1.7e12    | 10 W   | 4 W   | 4 GiB  | 7-25 W, 34 sparse INT8 TOPS (NVIDIA, Orin Nano Super 4 GB)  |
| orin-nano    | 3e12      | 15 W   | 5 W   | 8 GiB  | 7-25 W, 67 sparse INT8 TOPS (NVIDIA, Orin Nano Super 8 GB)  |
| orin-nx      | 5.5e12    | 20 W   | 6 W   | 16 GiB | 10-25 W, up to 100 sparse INT8 TOPS (NVIDIA, Orin NX 16 GB) |
| agx-orin     | 1.2e13    | 40 W   | 10 W  | 32 GiB | 15-60 W, up to 275 sparse INT8 TOPS (NVIDIA, AGX Orin)      |

The last column is published; the others, memory apart, are ours, because no source measures them together. The
effective speed, FLOP/s, is about 0.2 of the dense FP16 peak, for an Orin a quarter of the sparse INT8 figure; of
`telematics` 0.2 of 8 single-precision FLOPs a cycle and core, by arithmetic. All of `telematics` is ours: a control
unit without a graphics processor. Active: a usual power mode of the module. Idle: module and carrier board with the
operating system up. The modem is ours too: 1.5 W in reception, 1.5 W of transmit circuits, and 30 % of the amplifier's
power radiated. Training may take `memory_share` of the memory (0.75, ours), so that ViT-B with LoRA does not fit
everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from iovsim.domain import Device

GIB_BITS = 8.0 * 2**30


def _tier(tier: str, compute_flops: float, active_w: float, idle_w: float, memory_gib: float) -> Device:
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
        "telematics": _tier("telematics", 12e9, 4.0, 1.5, 2),
        "jetson-nano": _tier("jetson-nano", 95e9, 10.0, 2.0, 4),
        "orin-nano-4g": _tier("orin-nano-4g", 1.7e12, 10.0, 4.0, 4),
        "orin-nano": _tier("orin-nano", 3e12, 15.0, 5.0, 8),
        "orin-nx": _tier("orin-nx", 5.5e12, 20.0, 6.0, 16),
        "agx-orin": _tier("agx-orin", 12e12, 40.0, 10.0, 32),
    }
)
