"""Turns columns of contacts and their concatenated tracks into a `domain.ContactBook`, data frames and a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iovsim.arrays import let_go, mapped_arrays, save_arrays, save_pieces
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


BY_CONTACT = tuple(field.name for field in fields(ContactColumns) if not field.name.startswith(("rsu_", "vehicle_")))
"""The columns that are longer the more contacts there are."""


class ContactTable:
    """All contacts of a world, numbered by (start, RSU, vehicle). Implements `domain.ContactBook`; read-only."""

    def __init__(self, columns: ContactColumns) -> None:
        self.columns = columns
        for field in fields(columns):
            getattr(columns, field.name).flags.writeable = False
        self._by_vehicle = np.lexsort((columns.start_s, columns.vehicle))
        self._by_rsu: dict[str, tuple[IntArray, FloatArray, float]] = {}
        in_turn = np.argsort(columns.rsu, kind="stable")
        bounds = np.searchsorted(columns.rsu, np.arange(len(columns.rsu_names) + 1), sorter=in_turn).tolist()
        for name, (first, last) in zip(columns.rsu_names.tolist(), pairwise(bounds), strict=True):
            contacts = in_turn[first:last]
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

    @property
    def vehicles(self) -> list[str]:
        """The names of all that ever meet an RSU, sorted."""
        names: list[str] = self.columns.vehicle_names[np.unique(self.columns.vehicle)].tolist()
        return names

    def frame(self, first: int = 0, last: int | None = None) -> pd.DataFrame:
        """One row a contact from number `first` to before `last` (None: all): contact, vehicle, rsu, start_s, end_s,
        end, distance_min_m (horizontal)."""
        c, last = self.columns, len(self) if last is None else last
        some = slice(first, last)
        return pd.DataFrame(
            {
                "contact": np.arange(first, last),
                "vehicle": c.vehicle_names[c.vehicle[some]].astype(object),
                "rsu": c.rsu_names[c.rsu[some]].astype(object),
                "start_s": c.start_s[some],
                "end_s": c.end_s[some],
                "end": np.array([end.value for end in ENDS], dtype=object)[c.end[some]],
                "distance_min_m": self._distance_min_m(first, last),
            }
        )

    def handovers(self, first: int = 0, last: int | None = None) -> pd.DataFrame:
        """One row each time a vehicle's next contact, from number `first` to before `last` (None: any), is with another
        RSU: time_s, vehicle, from_rsu, to_rsu, gap_s.

        `gap_s` is 0 where the second took over at once, else the time without any RSU; `time_s` is the new start.
        """
        c, last = self.columns, len(self) if last is None else last
        before, after = self._by_vehicle[:-1], self._by_vehicle[1:]
        asked = (after >= first) & (after < last)
        before, after = before[asked], after[asked]
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

    def let_go(self) -> None:
        """Gives back the memory of what was read of a table that is mapped; it is read again where it is needed."""
        let_go(getattr(self.columns, field.name) for field in fields(self.columns))

    def _distance_min_m(self, first: int, last: int) -> FloatArray:
        """Least distance from the RSU over each piecewise linear track of the contacts `first` to `last` - 1."""
        c = self.columns
        if first == last:
            return np.zeros(0)
        track = slice(int(c.offset[first]), int(c.offset[last]))
        owner = np.repeat(np.arange(first, last), np.diff(c.offset[first : last + 1]))
        x_m, y_m, rsu = c.x_m[track], c.y_m[track], c.rsu[owner]
        qx, qy = x_m - c.rsu_x_m[rsu], y_m - c.rsu_y_m[rsu]
        ex, ey = np.diff(x_m, append=x_m[-1]), np.diff(y_m, append=y_m[-1])
        joined = np.append(owner[1:] == owner[:-1], False)  # the last sample of a track starts no segment
        length2 = np.where(joined, ex * ex + ey * ey, 0.0)
        nearest = np.clip(-(qx * ex + qy * ey) / np.where(length2 > 0, length2, 1.0), 0.0, 1.0)
        nearest = np.where(length2 > 0, nearest, 0.0)
        distance_m: FloatArray = np.hypot(qx + nearest * ex, qy + nearest * ey)
        return np.minimum.reduceat(distance_m, c.offset[first:last] - track.start)


def save_columns(folder: Path, parts: Iterable[ContactColumns]) -> None:
    """Writes columns of consecutive contacts as one table, while they come. Raises `ResultsError` as
    `ContactTable.save` does."""
    begun = iter(parts)
    first = next(begun)

    def pieces() -> Iterator[dict[str, NDArray[Any]]]:
        samples = 0
        for number, part in enumerate(chain([first], begun)):
            offset = part.offset + samples
            yield {name: getattr(part, name) if name != "offset" else offset[min(number, 1) :] for name in BY_CONTACT}
            samples += int(part.offset[-1])

    save_pieces(folder, pieces(), {f.name: getattr(first, f.name) for f in fields(first) if f.name not in BY_CONTACT})
