"""Turns contacts into links: geometry ▸ LOS state ▸ path loss ▸ shadowing ▸ fading, over many contacts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from iovsim.arrays import SAMPLES
from iovsim.domain import Contact, ContactBook, FloatArray, IntArray, Rsu
from iovsim.errors import ScenarioError, near_match
from iovsim.radio.blockage import Buildings
from iovsim.radio.checks import number
from iovsim.radio.correlation import along_tracks
from iovsim.radio.fading import RayleighFading
from iovsim.radio.geometry import (
    Fading,
    LinkGeometry,
    LosArray,
    Noise,
    PathLoss,
    Shadowing,
    Tracks,
    distances_m,
    moved_m,
)
from iovsim.radio.los import P_LOS, los_states
from iovsim.radio.path_loss import Tr37885Urban
from iovsim.radio.shadowing import CorrelatedShadowing
from iovsim.radio.table import LinkTable, joined
from iovsim.rng import stream
from iovsim.units import db_to_ratio

BLOCKER_DECORRELATION_M = 13.0
"""How far a vehicle drives until another vehicle stands in the way: TR 37.885's NLOSv shadowing distance, taken for the
blockage loss too (ours; the report draws it once a link)."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The radio world between RSUs and vehicles. Antenna gains come in dB from the scenario and meet the loss here.

    Every random number of a contact comes from streams named by its RSU, vehicle and start, so a contact's link is the
    same whichever other contacts exist. `los_decorrelation_m`: see `los.py`.
    Raises `ScenarioError` for a number out of range or a path-loss model whose `environment` has no LOS law.
    """

    path_loss: PathLoss = Tr37885Urban()  # noqa: RUF009 - frozen
    shadowing: Shadowing = CorrelatedShadowing()  # noqa: RUF009 - frozen
    fading: Fading = RayleighFading()  # noqa: RUF009 - frozen
    buildings: Buildings | None = None
    carrier_hz: float = 5.9e9
    rsu_antenna_gain_db: float = 3.0
    vehicle_antenna_gain_db: float = 3.0
    vehicle_height_m: float = 1.5
    los_decorrelation_m: float = 50.0

    def __post_init__(self) -> None:
        number(self, "carrier_hz", 1e8, 1e11)
        number(self, "rsu_antenna_gain_db", -30.0, 60.0)
        number(self, "vehicle_antenna_gain_db", -30.0, 60.0)
        number(self, "vehicle_height_m", 0.1, 20.0)
        number(self, "los_decorrelation_m", 0.1, 1e5)
        if self.path_loss.environment not in P_LOS:
            raise ScenarioError(
                f"{type(self.path_loss).__name__}: environment = {self.path_loss.environment!r} is unknown; "
                + near_match(self.path_loss.environment, P_LOS)
            )

    def links(
        self,
        contacts: ContactBook,
        rsus: Sequence[Rsu],
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> LinkTable:
        """The link of every contact, sampled at its track's times. `progress(done, total)` counts contacts.

        Raises `ScenarioError` where a contact names an RSU that is not in `rsus`, or where the path-loss model gives a
        wrong shape or a number that is not finite.
        """
        return joined([*self.parts(contacts, rsus, seed, progress)])

    def parts(
        self,
        contacts: ContactBook,
        rsus: Sequence[Rsu],
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[LinkTable]:
        """The same in tables of consecutive contacts, each of about `SAMPLES` samples: memory does not grow with them.

        Every number is that of `links`: a contact's link depends on no other contact.
        """
        done = 0
        for some in _runs(contacts):
            yield self._part(some, rsus, seed)
            done += len(some)
            if progress is not None and some:
                progress(done, len(contacts))

    def _part(self, contacts: Sequence[Contact], rsus: Sequence[Rsu], seed: int) -> LinkTable:
        tracks = self._tracks(contacts, rsus)
        noise = _noise(contacts, seed)
        geometry = self.geometry(tracks, noise)
        gains_db = self.rsu_antenna_gain_db + self.vehicle_antenna_gain_db
        return LinkTable(
            contacts=np.array([contact.contact for contact in contacts], dtype=np.int64),
            offsets=geometry.offsets,
            time_s=geometry.time_s,
            mean_gain=self.mean_gain(geometry, noise, gains_db),
            fading=self._fading(contacts, geometry.offsets, geometry.los, seed),
            los=geometry.los,
        )

    def geometry(self, tracks: Tracks, noise: Noise) -> LinkGeometry:
        """What the models see of links between the ends of `tracks`."""
        flat, slant = distances_m(
            tracks.x1_m - tracks.x0_m, tracks.y1_m - tracks.y0_m, tracks.height0_m - self.vehicle_height_m
        )
        blocked = np.zeros(len(flat), dtype=np.bool_)
        if self.buildings is not None:
            blocked = self.buildings.blocked(tracks.x0_m, tracks.y0_m, tracks.x1_m, tracks.y1_m)
        view = along_tracks(noise.los, tracks.moved_m, tracks.offsets, self.los_decorrelation_m)
        return LinkGeometry(
            offsets=tracks.offsets,
            time_s=tracks.time_s,
            distance_2d_m=flat,
            distance_3d_m=slant,
            moved_m=tracks.moved_m,
            los=los_states(self.path_loss.environment, flat, view, blocked),
            blocker=along_tracks(noise.blocker, tracks.moved_m, tracks.offsets, BLOCKER_DECORRELATION_M),
            rsu_height_m=tracks.height0_m,
            vehicle_height_m=self.vehicle_height_m,
            carrier_hz=self.carrier_hz,
        )

    def mean_gain(self, geometry: LinkGeometry, noise: Noise, gains_db: float) -> FloatArray:
        """Power ratio of each sample without fading, (n,); `gains_db` are those of both antennas.

        Raises `ScenarioError` where the path-loss model gives a wrong shape or a number that is not finite.
        """
        loss = np.asarray(self.path_loss.loss_db(geometry), dtype=np.float64)
        if loss.shape != geometry.time_s.shape or not np.isfinite(loss).all():
            raise ScenarioError(
                f"{type(self.path_loss).__name__}: loss_db must give one finite number of dB a sample, shape "
                f"{geometry.time_s.shape}; it gave shape {loss.shape} with {np.sum(~np.isfinite(loss))} not finite."
            )
        return db_to_ratio(gains_db - (loss + self.shadowing.shadow_db(geometry, noise.shadowing)))

    def _tracks(self, contacts: Sequence[Contact], rsus: Sequence[Rsu]) -> Tracks:
        offsets = np.concatenate([[0], np.cumsum([len(contact.time_s) for contact in contacts])]).astype(np.int64)
        x_m, y_m = _column(contacts, "x_m"), _column(contacts, "y_m")
        site = _sites(contacts, rsus)
        rsu_x, rsu_y, rsu_height = (
            np.array([getattr(rsu, name) for rsu in rsus], dtype=np.float64)[site]
            for name in ("x_m", "y_m", "height_m")
        )
        step = moved_m(x_m, y_m, offsets)
        return Tracks(offsets, _column(contacts, "time_s"), rsu_x, rsu_y, rsu_height, x_m, y_m, step)

    def _fading(self, contacts: Sequence[Contact], offsets: IntArray, los: LosArray, seed: int) -> FloatArray:
        power = np.empty(len(los))
        for k, contact in enumerate(contacts):
            part = slice(int(offsets[k]), int(offsets[k + 1]))
            power[part] = self.fading.power(_stream(seed, "fading", contact), los[part])
        return power


def _runs(contacts: Iterable[Contact]) -> Iterator[list[Contact]]:
    """Consecutive contacts of about `SAMPLES` samples together; at least one run, which may be empty."""
    run: list[Contact] = []
    samples, number = 0, -1
    for contact in contacts:
        if contact.contact <= number:
            raise ValueError(f"contact {contact.contact} comes after {number}; a book has them in order")
        number = contact.contact
        run.append(contact)
        samples += len(contact.time_s)
        if samples >= SAMPLES:
            yield run
            run, samples = [], 0
    if run or number < 0:
        yield run


def _noise(contacts: Sequence[Contact], seed: int) -> Noise:
    """White noise of all contacts end to end, drawn from each contact's own streams."""

    def normal(what: str) -> FloatArray:
        parts = [_stream(seed, what, contact).standard_normal(len(contact.time_s)) for contact in contacts]
        return np.concatenate([np.zeros(0), *parts])

    return Noise(normal("los"), normal("blocker"), normal("shadowing"))


def _stream(seed: int, what: str, contact: Contact) -> np.random.Generator:
    # Not by contact number, which depends on how many contacts came before.
    return stream(seed, what, contact.rsu, contact.vehicle, f"{contact.start_s:.3f}")


def _column(contacts: Sequence[Contact], name: str) -> FloatArray:
    return np.concatenate([np.zeros(0), *(getattr(contact, name) for contact in contacts)])


def _sites(contacts: Sequence[Contact], rsus: Sequence[Rsu]) -> IntArray:
    """For every sample, the index of its contact's RSU in `rsus`."""
    index = {rsu.rsu: i for i, rsu in enumerate(rsus)}
    sites = []
    for contact in contacts:
        if contact.rsu not in index:
            raise ScenarioError(
                f"contact {contact.contact}: its RSU {contact.rsu!r} is unknown; {near_match(contact.rsu, index)}"
            )
        sites.append(index[contact.rsu])
    return np.repeat(np.array(sites, dtype=np.int64), [len(contact.time_s) for contact in contacts])
