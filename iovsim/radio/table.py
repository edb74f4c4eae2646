"""Holds the links of a world in columns: looked up by contact, saved to and mapped from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from iovsim.arrays import mapped_arrays, save_arrays
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

    def frame(self) -> pd.DataFrame:
        """One row a contact: `contact`, `mean_gain_db` (time average of the gain in dB, without fading) and the shares
        of time in each state, `los_share`, `nlosv_share`, `nlos_share`. Averages are trapezoidal in time."""
        gap = np.diff(self.time_s, append=self.time_s[-1:])
        gap[self.offsets[1:] - 1] = 0.0
        weight = (gap + np.r_[0.0, gap[:-1]]) / 2.0
        starts = self.offsets[:-1]
        total = np.add.reduceat(weight, starts) if len(self) else np.zeros(0)

        def average(values: FloatArray) -> FloatArray:
            return np.add.reduceat(weight * values, starts) / total if len(self) else np.zeros(0)

        shares = {
            name: average((self.los == state).astype(np.float64))
            for name, state in (("los_share", LOS), ("nlosv_share", NLOSV), ("nlos_share", NLOS))
        }
        return pd.DataFrame({"contact": self.contacts, "mean_gain_db": average(ratio_to_db(self.mean_gain)), **shares})

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
