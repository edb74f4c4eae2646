"""Turns columns of contacts and their concatenated tracks into a `domain.ContactBook`, data frames and a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iovsim.arrays import mapped_arrays, save_arrays
from iovsim.domain import Contact, ContactEnd, FloatArray, IntArray
from iovsim.errors import TraceError

ENDS = (ContactEnd.RANGE, ContactEnd.HANDOVER, ContactEnd.VANISHED, ContactEnd.HORIZON)
"""Reasons in the order of their codes in `ContactColumns.end`."""

SAME_INSTANT_S = 1e-6
"""Times nearer than this are one instant: above rounding (1e-11 s at a day), below SUMO's clock of 1 ms."""


@dataclass(frozen=True, slots=True, eq=False)
class ContactColumns:
    """Contacts as arrays: n contacts sorted by (start, RSU, vehicle), m track samples, r RSUs, v vehicles.

    `vehicle` and `rsu` (n,) point into the sorted names; `end` (n,) into `ENDS`; contact i owns the samples
    `offset[i]:offset[i + 1]`.
    """

    vehicle_names: NDArray[np.str_]
    rsu_names: NDArray[np.str_]
    rsu_x_m: FloatArray
    rsu_y_m: FloatArray
    vehicle: IntArray
    rsu: IntArray
    start_s: FloatArray
    end_s: FloatArray
    end: NDArray[np.int8]
    offset: IntArray
    time_s: FloatArray
    x_m: FloatArray
    y_m: FloatArray
    vx_mps: FloatArray
    vy_mps: FloatArray


class ContactTable:
    """All contacts of a world, numbered by (start, RSU, vehicle). Implements `domain.ContactBook`; read-only."""

    def __init__(self, columns: ContactColumns) -> None:
        self.columns = columns
        for field in fields(columns):
            getattr(columns, field.name).flags.writeable = False
        self._by_vehicle = np.lexsort((columns.start_s, columns.vehicle))
        self._by_rsu: dict[str, tuple[IntArray, FloatArray, float]] = {}
        for code, name in enumerate(columns.rsu_names.tolist()):
            contacts = np.flatnonzero(columns.rsu == code)
            starts = columns.start_s[contacts]
            longest_s = float((columns.end_s[contacts] - starts).max()) if len(contacts) else 0.0
            self._by_rsu[name] = (contacts, starts, longest_s)

    def __len__(self) -> int:
        return len(self.columns.start_s)

    def __iter__(self) -> Iterator[Contact]:
        return (self[contact] for contact in range(len(self)))

    def __getitem__(self, contact: int) -> Contact:
        """Contact number `contact`; its arrays are read-only views. Raises `IndexError` beyond the last."""
        if not 0 <= contact < len(self):
            raise IndexError(f"contact {contact} of {len(self)}")
        c = self.columns
        track = slice(int(c.offset[contact]), int(c.offset[contact + 1]))
        return Contact(
            contact=int(contact),
            vehicle=str(c.vehicle_names[c.vehicle[contact]]),
            rsu=str(c.rsu_names[c.rsu[contact]]),
            start_s=float(c.start_s[contact]),
            end_s=float(c.end_s[contact]),
            end=ENDS[c.end[contact]],
            time_s=c.time_s[track],
            x_m=c.x_m[track],
            y_m=c.y_m[track],
            vx_mps=c.vx_mps[track],
            vy_mps=c.vy_mps[track],
        )

    def active(self, rsu: str, time_s: float) -> Sequence[Contact]:
        """Contacts of `rsu` with `start_s <= time_s < end_s`, sorted by vehicle. Raises `KeyError` if unknown."""
        contacts, starts, longest_s = self._by_rsu[rsu]
        first = int(np.searchsorted(starts, time_s - longest_s - SAME_INSTANT_S, side="left"))
        last = int(np.searchsorted(starts, time_s, side="right"))
        found = contacts[first:last]
        found = found[self.columns.end_s[found] > time_s]
        found = found[np.argsort(self.columns.vehicle[found], kind="stable")]
        return [self[int(contact)] for contact in found]

    def of_vehicle(self, vehicle: str) -> Sequence[Contact]:
        """All contacts of a vehicle in the order of time; none of an unknown one."""
        c = self.columns
        code = int(np.searchsorted(c.vehicle_names, vehicle))
        if code == len(c.vehicle_names) or c.vehicle_names[code] != vehicle:
            return []
        first, last = np.searchsorted(c.vehicle, [code, code + 1], sorter=self._by_vehicle)
        return [self[int(contact)] for contact in self._by_vehicle[first:last]]

    def frame(self) -> pd.DataFrame:
        """One row a contact: contact, vehicle, rsu, start_s, end_s, end, distance_min_m (horizontal)."""
        c = self.columns
        return pd.DataFrame(
            {
                "contact": np.arange(len(self)),
                "vehicle": c.vehicle_names[c.vehicle].astype(object),
                "rsu": c.rsu_names[c.rsu].astype(object),
                "start_s": c.start_s,
                "end_s": c.end_s,
                "end": np.array([end.value for end in ENDS], dtype=object)[c.end],
                "distance_min_m": self._distance_min_m(),
            }
        )

    def handovers(self) -> pd.DataFrame:
        """One row each time a vehicle's next contact is with another RSU: time_s, vehicle, from_rsu, to_rsu, gap_s.

        `gap_s` is 0 where the second took over at once, else the time without any RSU; `time_s` is the new start.
        """
        c = self.columns
        order = np.lexsort((c.start_s, c.vehicle))
        before, after = order[:-1], order[1:]
        moved = (c.vehicle[before] == c.vehicle[after]) & (c.rsu[before] != c.rsu[after])
        before, after = before[moved], after[moved]
        by_time = np.argsort(after, kind="stable")  # contact numbers run with their start
        before, after = before[by_time], after[by_time]
        gap_s = c.start_s[after] - c.end_s[before]
        return pd.DataFrame(
            {
                "time_s": c.start_s[after],
                "vehicle": c.vehicle_names[c.vehicle[after]].astype(object),
                "from_rsu": c.rsu_names[c.rsu[before]].astype(object),
                "to_rsu": c.rsu_names[c.rsu[after]].astype(object),
                "gap_s": np.where(gap_s < SAME_INSTANT_S, 0.0, gap_s),
            }
        )

    def save(self, folder: Path) -> None:
        """Writes plain arrays, whole or not at all. Raises `ResultsError` where they cannot be written."""
        save_arrays(folder, {field.name: getattr(self.columns, field.name) for field in fields(self.columns)})

    @staticmethod
    def load(folder: Path) -> ContactTable:
        """Maps what `save` wrote. Raises `TraceError` where the folder is missing, damaged or of another kind."""
        try:
            return ContactTable(ContactColumns(**mapped_arrays(folder)))
        except FileNotFoundError:
            raise TraceError(f"{folder}: no such contact table; build the world again.") from None
        except (TypeError, ValueError, OSError, EOFError) as error:
            raise TraceError(f"{folder}: not a contact table ({error}); delete it and build the world again.") from None

    def _distance_min_m(self) -> FloatArray:
        """Least distance from the RSU over each piecewise linear track."""
        c = self.columns
        if len(self) == 0:
            return np.zeros(0)
        owner = np.repeat(np.arange(len(self)), np.diff(c.offset))
        qx, qy = c.x_m - c.rsu_x_m[c.rsu[owner]], c.y_m - c.rsu_y_m[c.rsu[owner]]
        ex, ey = np.diff(c.x_m, append=c.x_m[-1]), np.diff(c.y_m, append=c.y_m[-1])
        joined = np.append(owner[1:] == owner[:-1], False)  # the last sample of a track starts no segment
        length2 = np.where(joined, ex * ex + ey * ey, 0.0)
        nearest = np.clip(-(qx * ex + qy * ey) / np.where(length2 > 0, length2, 1.0), 0.0, 1.0)
        nearest = np.where(length2 > 0, nearest, 0.0)
        distance_m: FloatArray = np.hypot(qx + nearest * ex, qy + nearest * ey)
        return np.minimum.reduceat(distance_m, c.offset[:-1])
