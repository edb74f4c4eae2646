"""Holds the links of a world in columns: looked up by contact, saved to and mapped from a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iovsim.arrays import let_go, mapped_arrays, save_arrays, save_pieces
from iovsim.domain import FloatArray, IntArray, Link
from iovsim.errors import ScenarioError
from iovsim.radio.geometry import LOS, NLOS, NLOSV, LosArray
from iovsim.units import ratio_to_db


@dataclass(frozen=True, slots=True, eq=False)
class LinkTable:
    """A `domain.LinkBook`. The link of `contacts[k]` (ascending) is the samples `offsets[k]:offsets[k + 1]`."""

    contacts: IntArray  # (contacts,)
    offsets: IntArray  # (contacts + 1,)
    time_s: FloatArray  # (n,)
    mean_gain: FloatArray  # (n,)
    fading: FloatArray  # (n,)
    los: LosArray  # (n,)

    def __post_init__(self) -> None:
        for column in fields(self):
            getattr(self, column.name).flags.writeable = False

    def __len__(self) -> int:
        return len(self.contacts)

    def __iter__(self) -> Iterator[Link]:
        return (self.link(int(contact)) for contact in self.contacts)

    def link(self, contact: int) -> Link:
        """The link of a contact, as views. Raises `KeyError` for a contact that the table was not made from."""
        k = int(np.searchsorted(self.contacts, contact))
        if k == len(self.contacts) or self.contacts[k] != contact:
            raise KeyError(f"no link for contact {contact}")
        part = slice(int(self.offsets[k]), int(self.offsets[k + 1]))
        return Link(contact, self.time_s[part], self.mean_gain[part], self.fading[part], self.los[part])

    def frame(self, first: int = 0, last: int | None = None) -> pd.DataFrame:
        """One row a contact of the table from number `first` to before `last` (None: all): `contact`, `mean_gain_db`
        (time average of the gain in dB, without fading) and the shares of time in each state, `los_share`,
        `nlosv_share`, `nlos_share`. Averages are trapezoidal in time."""
        last = len(self) if last is None else last
        return pd.DataFrame({"contact": self.contacts[first:last], **self._averages(first, last)})

    def _averages(self, first: int, last: int) -> dict[str, FloatArray]:
        """The averages of `frame` over the contacts `first` to `last` - 1 of the table, by name."""
        part = slice(int(self.offsets[first]), int(self.offsets[last]))
        starts, ends = self.offsets[first:last] - part.start, self.offsets[first + 1 : last + 1] - part.start
        time_s, los = self.time_s[part], self.los[part]
        gap = np.diff(time_s, append=time_s[-1:])
        gap[ends - 1] = 0.0
        weight = (gap + np.r_[0.0, gap[:-1]]) / 2.0
        total = np.add.reduceat(weight, starts) if last > first else np.zeros(0)

        def average(values: FloatArray) -> FloatArray:
            return np.add.reduceat(weight * values, starts) / total if last > first else np.zeros(0)

        shares = {
            name: average((los == state).astype(np.float64))
            for name, state in (("los_share", LOS), ("nlosv_share", NLOSV), ("nlos_share", NLOS))
        }
        return {"mean_gain_db": average(ratio_to_db(self.mean_gain[part])), **shares}

    def let_go(self) -> None:
        """Gives back the memory of what was read of a table that is mapped; it is read again where it is needed."""
        let_go(getattr(self, column.name) for column in fields(self))

    def save(self, folder: Path) -> None:
        """Writes plain arrays, whole or not at all. Raises `ResultsError` where they cannot be written."""
        save_arrays(folder, {column.name: getattr(self, column.name) for column in fields(self)})

    @classmethod
    def load(cls, folder: Path) -> LinkTable:
        """Maps what `save` wrote. Raises `ScenarioError` where the folder is missing, damaged or something else."""
        try:
            return cls(**mapped_arrays(folder))
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise ScenarioError(
                f"{folder}: not a table of links ({error}); delete the folder, and it is made again from the scenario."
            ) from None


def save_parts(folder: Path, parts: Iterable[LinkTable]) -> None:
    """Writes tables of consecutive contacts as one, while they come. Raises `ResultsError` as `LinkTable.save` does."""

    def columns() -> Iterator[dict[str, NDArray[Any]]]:
        samples = 0
        for number, part in enumerate(parts):
            offsets = part.offsets + samples
            yield {
                column.name: getattr(part, column.name) if column.name != "offsets" else offsets[min(number, 1) :]
                for column in fields(part)
            }
            samples += int(part.offsets[-1])

    save_pieces(folder, columns())


def joined(parts: Sequence[LinkTable]) -> LinkTable:
    """Tables of consecutive contacts as one."""
    lengths = [np.diff(part.offsets) for part in parts]
    columns = {
        column.name: np.concatenate([getattr(part, column.name) for part in parts])
        for column in fields(LinkTable)
        if column.name != "offsets"
    }
    return LinkTable(offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64), **columns)
