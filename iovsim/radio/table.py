"""Holds the links of a world in columns: looked up by contact, saved to and loaded from one file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from iovsim.domain import FloatArray, IntArray, Link
from iovsim.errors import ScenarioError
from iovsim.files import whole_file
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

    def save(self, path: Path) -> None:
        """Writes a `.npz` file, whole or not at all. Raises `ResultsError` where it cannot be written."""
        with whole_file(path) as part:
            np.savez(part, **{column.name: getattr(self, column.name) for column in fields(self)})

    @classmethod
    def load(cls, path: Path) -> LinkTable:
        """Reads what `save` wrote. Raises `ScenarioError` where the file is missing, damaged or something else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(**{column.name: file[column.name] for column in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise ScenarioError(
                f"{path}: not a table of links ({error}); delete the file, and it is made again from the scenario."
            ) from None
