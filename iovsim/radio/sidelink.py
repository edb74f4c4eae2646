"""Two vehicles' contacts become the radio link between them, by the same chain of models as links to RSUs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.domain import Contact, FloatArray, IntArray, Link
from iovsim.radio.channel import Channel
from iovsim.radio.geometry import Noise, Tracks, moved_m
from iovsim.rng import stream


@dataclass(frozen=True, slots=True)
class Sidelinks:
    """A `domain.SidelinkBook` over a channel: PC5, from vehicle to vehicle.

    3GPP TR 37.885 has its path loss and its LOS law for such links (6.2), so they are taken as they are, between two
    antennas at the vehicles' height: NLOSv then costs a mean of 9 dB and not 5. Shadowing, LOS state and blocker
    decorrelate with what both vehicles drive, added up (Wang, Tameh and Nix, IEEE Transactions on Vehicular Technology
    57(1), 2008: the correlation of a link is the product of those of its moving ends).

    Random numbers come from streams named by both vehicles and the link's beginning, so a link is the same whoever
    asks for it and in whichever order.
    """

    channel: Channel
    seed: int

    def link(self, one: Contact, other: Contact) -> Link:
        """Sampled whenever one of the tracks is, while both contacts last; `contact` is that of the first by name.

        Raises `ValueError` where the two contacts have no time in common.
        """
        first, second = sorted((one, other), key=lambda contact: contact.vehicle)
        start_s, end_s = max(first.start_s, second.start_s), min(first.end_s, second.end_s)
        if not start_s < end_s:
            raise ValueError(f"contacts {one.contact} and {other.contact} have no time in common")
        tracks = self._tracks(first, second, start_s, end_s)
        names = first.vehicle, second.vehicle, f"{start_s:.3f}"
        los, blocker, shadowing = (
            stream(self.seed, f"sidelink {what}", *names).standard_normal(len(tracks.time_s))
            for what in ("los", "blocker", "shadowing")
        )
        noise = Noise(los, blocker, shadowing)
        geometry = self.channel.geometry(tracks, noise)
        return Link(
            contact=first.contact,
            time_s=tracks.time_s,
            mean_gain=self.channel.mean_gain(geometry, noise, 2.0 * self.channel.vehicle_antenna_gain_db),
            fading=self.channel.fading.power(stream(self.seed, "sidelink fading", *names), geometry.los),
            los=geometry.los,
        )

    def _tracks(self, first: Contact, second: Contact, start_s: float, end_s: float) -> Tracks:
        time_s = np.unique(np.concatenate([[start_s, end_s], first.time_s, second.time_s]))
        time_s = time_s[(time_s >= start_s) & (time_s <= end_s)]
        offsets: IntArray = np.array([0, len(time_s)], dtype=np.int64)
        x0_m, y0_m = _positions(first, time_s)
        x1_m, y1_m = _positions(second, time_s)
        height_m = np.full(len(time_s), self.channel.vehicle_height_m)
        step_m = moved_m(x0_m, y0_m, offsets) + moved_m(x1_m, y1_m, offsets)
        return Tracks(offsets, time_s, x0_m, y0_m, height_m, x1_m, y1_m, step_m)


def _positions(contact: Contact, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.interp(time_s, contact.time_s, contact.x_m), np.interp(time_s, contact.time_s, contact.y_m)
