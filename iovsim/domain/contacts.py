"""Moving vehicles become contacts with road-side units, and each contact a radio link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from iovsim.domain.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Rsu:
    """A road-side unit: antenna position, coverage radius and the tasks whose rounds it runs."""

    rsu: str
    x_m: float
    y_m: float
    height_m: float
    range_m: float
    tasks: tuple[str, ...]


class ContactEnd(StrEnum):
    """Why a contact ended."""

    RANGE = "range"  # the vehicle drove out of coverage
    HANDOVER = "handover"  # another RSU took over
    VANISHED = "vanished"  # the vehicle left the trace (arrived or parked)
    HORIZON = "horizon"  # the trace ended


@dataclass(frozen=True, slots=True, eq=False)
class Contact:
    """One vehicle attached to one RSU over `[start_s, end_s)`, with its track. It contains the future: engine only.

    The track has n >= 2 samples, `time_s` strictly increasing, `time_s[0] == start_s`, `time_s[-1] == end_s`; positions
    between samples are linear. `vx_mps, vy_mps` at a sample are what the vehicle knows of its motion at that instant
    (they look backwards only).
    """

    contact: int
    vehicle: str
    rsu: str
    start_s: float
    end_s: float
    end: ContactEnd
    time_s: FloatArray
    x_m: FloatArray
    y_m: FloatArray
    vx_mps: FloatArray
    vy_mps: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """The radio channel over one contact, sampled at the track's times; reciprocal (the same up and down).

    `mean_gain` holds path loss, shadowing and antenna gains (what a receiver can average); `fading` is the factor of
    small-scale fading, mean 1. The power gain at a sample is their product. `los` is 0 LOS, 1 NLOSv, 2 NLOS.
    """

    contact: int
    time_s: FloatArray
    mean_gain: FloatArray
    fading: FloatArray
    los: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Radio:
    """Both ends of every link: bandwidth, power and noise. Powers and densities are linear."""

    bandwidth_up_hz: float
    bandwidth_down_hz: float
    rsu_power_w: float  # over the whole downlink band; a share of the band gets the same share of it
    vehicle_power_w: float  # the most a vehicle may radiate
    rsu_noise_w_per_hz: float
    vehicle_noise_w_per_hz: float
    efficiency: float  # part of the Shannon rate that is left after overhead
    max_bps_per_hz: float  # what the highest modulation carries, before `efficiency`
    rsu_pa_efficiency: float
    rsu_rx_w: float  # an RSU's receiver, shared by its links in proportion to bandwidth
    sidelink_bandwidth_hz: float  # from vehicle to vehicle, a band of its own


class ContactBook(Protocol):
    """All contacts of a world, in the order of their numbers (mobility makes it, the engine reads it).

    In a live run it grows with every period and holds those that are not over when the latest one began. A contact that
    is still open then ends, for the time being, where its track does, with `HORIZON`: after all that happens in the
    period.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Contact]: ...

    def __getitem__(self, contact: int, /) -> Contact:
        """A contact by its number, as far as it is known."""
        ...

    def active(self, rsu: str, time_s: float) -> Sequence[Contact]:
        """Contacts of `rsu` with `start_s <= time_s < end_s`, sorted by vehicle."""
        ...

    def of_vehicle(self, vehicle: str) -> Sequence[Contact]:
        """All contacts of a vehicle in the order of time; none of an unknown one."""
        ...


class LinkBook(Protocol):
    """The links of a world by contact number (radio makes it, the engine reads it)."""

    def link(self, contact: int) -> Link: ...


class SidelinkBook(Protocol):
    """Links from vehicle to vehicle (radio makes them when asked)."""

    def link(self, one: Contact, other: Contact) -> Link:
        """Of the two contacts' vehicles, while both contacts last; the same in either order."""
        ...


class Forecast(Protocol):
    """Predicts how long a contact will last and where the vehicle goes next, from what is known at `time_s`."""

    def residual_s(self, contact: Contact, rsu: Rsu, time_s: float) -> float: ...

    def next_rsu(
        self, contact: Contact, rsus: Sequence[Rsu], later: Sequence[Contact], time_s: float
    ) -> tuple[str, float] | None:
        """Which of `rsus` the vehicle will come to when it has left its own, and in how many seconds; None: to none.

        `rsus` holds its own one too. `later` are the vehicle's contacts after this one: only an oracle may look there.
        """
        ...
