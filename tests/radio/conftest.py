"""Contacts and geometries for the radio's tests, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from iovsim.domain import Contact, ContactEnd, FloatArray, Rsu
from iovsim.radio import LinkGeometry


class Book:
    """The smallest `domain.ContactBook`."""

    def __init__(self, contacts: Sequence[Contact]) -> None:
        self._contacts = list(contacts)

    def __len__(self) -> int:
        return len(self._contacts)

    def __iter__(self) -> Iterator[Contact]:
        return iter(self._contacts)

    def active(self, rsu: str, time_s: float) -> Sequence[Contact]:
        here = [c for c in self._contacts if c.rsu == rsu and c.start_s <= time_s < c.end_s]
        return sorted(here, key=lambda c: c.vehicle)

    def of_vehicle(self, vehicle: str) -> Sequence[Contact]:
        return sorted((c for c in self._contacts if c.vehicle == vehicle), key=lambda c: c.start_s)


@pytest.fixture
def book() -> Callable[[Sequence[Contact]], Book]:
    return Book


@pytest.fixture
def contact() -> Callable[..., Contact]:
    """`contact(number, vehicle, rsu, start_s, x_m, y_m)`: one sample a second along the given points."""

    def make(
        number: int, vehicle: str, rsu: str, start_s: float, x_m: FloatArray, y_m: FloatArray, step_s: float = 1.0
    ) -> Contact:
        time_s = start_s + step_s * np.arange(len(x_m), dtype=np.float64)
        still = np.zeros(len(x_m))
        end_s = float(time_s[-1])
        return Contact(number, vehicle, rsu, start_s, end_s, ContactEnd.RANGE, time_s, x_m, y_m, still, still)

    return make


@pytest.fixture
def rsu() -> Rsu:
    return Rsu(rsu="r0", x_m=0.0, y_m=0.0, height_m=5.0, range_m=300.0, tasks=("signs",))


@pytest.fixture
def geometry() -> Callable[..., LinkGeometry]:
    """`geometry(distance_m, los)`: one contact at the given 3D distances, all in state `los`."""

    def make(
        distance_m: Sequence[float] | FloatArray,
        los: int = 0,
        *,
        blocker: float | FloatArray = 0.0,
        moved_m: float = 10.0,
        rsu_height_m: float = 5.0,
        vehicle_height_m: float = 1.5,
        carrier_hz: float = 5.9e9,
    ) -> LinkGeometry:
        slant = np.asarray(distance_m, dtype=np.float64)
        n = len(slant)
        return LinkGeometry(
            offsets=np.array([0, n], dtype=np.int64),
            time_s=np.arange(n, dtype=np.float64),
            distance_2d_m=np.sqrt(np.maximum(slant**2 - (rsu_height_m - vehicle_height_m) ** 2, 0.0)),
            distance_3d_m=slant,
            moved_m=np.r_[0.0, np.full(n - 1, moved_m)],
            los=np.full(n, los, dtype=np.int8),
            blocker=np.broadcast_to(np.asarray(blocker, dtype=np.float64), (n,)),
            rsu_height_m=np.full(n, rsu_height_m),
            vehicle_height_m=vehicle_height_m,
            carrier_hz=carrier_hz,
        )

    return make
