"""Links from vehicle to vehicle: the same models, both ends moving, the same for whoever asks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from iovsim.domain import Contact
from iovsim.radio import LOS, NLOS, Buildings, Channel, Sidelinks
from iovsim.radio.fading import NoFading
from iovsim.radio.path_loss import AuthorsP1, LogDistance, Tr37885Urban
from iovsim.radio.shadowing import CorrelatedShadowing, NoShadowing

MakeContact = Callable[..., Contact]

PLAIN = Channel(path_loss=LogDistance(exponent=2.0), shadowing=NoShadowing(), fading=NoFading())


def test_the_gain_is_both_vehicles_antennas_less_the_loss_at_their_distance(contact: MakeContact) -> None:
    one = contact(0, "a", "r0", 0.0, np.array([0.0, 0.0, 0.0]), np.zeros(3))
    other = contact(1, "b", "r0", 0.0, np.array([100.0, 50.0, 10.0]), np.zeros(3))
    link = Sidelinks(PLAIN, 1).link(one, other)
    # Friis at 100 m and 5.9 GHz is 87.864 dB; 20 log10 of the distance below; 3 dB each antenna
    expected = 6.0 - (87.8644 + 20 * np.log10(np.array([100.0, 50.0, 10.0]) / 100.0))
    assert 10 * np.log10(link.mean_gain) == pytest.approx(expected, abs=1e-3)
    assert link.fading.tolist() == [1.0, 1.0, 1.0]


def test_the_authors_law_is_theirs_between_vehicles_too(contact: MakeContact) -> None:
    """1 / (d^2 + 1e-6) at the distance of the two vehicles, apart from antennas."""
    channel = Channel(path_loss=AuthorsP1(), shadowing=NoShadowing(), fading=NoFading(), vehicle_antenna_gain_db=0.0)
    one = contact(0, "a", "r0", 0.0, np.zeros(2), np.zeros(2))
    other = contact(1, "b", "r0", 0.0, np.array([30.0, 60.0]), np.array([40.0, 80.0]))
    assert Sidelinks(channel, 1).link(one, other).mean_gain == pytest.approx(1 / np.array([2500.0, 10000.0]))


def test_it_lasts_as_long_as_both_contacts_and_knows_both_tracks(contact: MakeContact) -> None:
    one = contact(0, "a", "r0", 0.0, np.arange(0.0, 50.0, 10.0), np.zeros(5))
    other = contact(1, "b", "r0", 1.5, np.full(6, 100.0), np.zeros(6))
    link = Sidelinks(PLAIN, 1).link(one, other)
    assert link.time_s.tolist() == [1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    distance_m = 100.0 - 10.0 * link.time_s
    assert 10 * np.log10(link.mean_gain[0] / link.mean_gain) == pytest.approx(20 * np.log10(distance_m / distance_m[0]))
    with pytest.raises(ValueError, match="contacts 0 and 2 have no time in common"):
        Sidelinks(PLAIN, 1).link(one, contact(2, "c", "r0", 4.0, np.zeros(3), np.zeros(3)))


def test_it_is_the_same_in_either_order_and_another_for_another_pair_or_seed(contact: MakeContact) -> None:
    x_m = np.linspace(-100.0, 100.0, 41)
    a, b, c = (contact(k, name, "r0", 0.0, x_m + 20.0 * k, np.full(41, 5.0)) for k, name in enumerate("abc"))
    sidelinks = Sidelinks(Channel(), 3)
    one, other = sidelinks.link(a, b), sidelinks.link(b, a)
    assert one.contact == other.contact == 0
    for name in ("time_s", "mean_gain", "fading", "los"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for another in (sidelinks.link(a, c), sidelinks.link(b, c), Sidelinks(Channel(), 4).link(a, b)):
        assert not np.isclose(one.fading, another.fading).any()


def test_a_building_stands_in_the_way_of_vehicles_too(contact: MakeContact) -> None:
    wall = np.array([[40.0, -10.0], [60.0, -10.0], [60.0, 10.0], [40.0, 10.0]])
    channel = Channel(buildings=Buildings([wall]))
    one = contact(0, "a", "r0", 0.0, np.zeros(3), np.zeros(3))
    hidden = contact(1, "b", "r0", 0.0, np.full(3, 100.0), np.zeros(3))
    aside = contact(2, "c", "r0", 0.0, np.full(3, 5.0), np.full(3, 3.0))
    assert (Sidelinks(channel, 1).link(one, hidden).los == NLOS).all()
    assert (Sidelinks(channel, 1).link(one, aside).los != NLOS).all()


def test_shadowing_decorrelates_with_what_both_drive(contact: MakeContact) -> None:
    """Neighbouring samples correlate as exp(-(d1 + d2) / decorrelation): Wang, Tameh and Nix 2008."""
    n, samples = 400, []
    channel = Channel(path_loss=LogDistance(), shadowing=CorrelatedShadowing(sigma_los_db=8.0), fading=NoFading())
    drive_m = np.arange(n) * 4.0
    for moves in (0.0, 1.0):
        values = []
        for k in range(20):
            one = contact(0, f"a{k}", "r0", 0.0, drive_m, np.zeros(n))
            other = contact(1, f"b{k}", "r0", 0.0, moves * drive_m, np.full(n, 100.0))
            link = Sidelinks(channel, 1).link(one, other)
            assert (link.los == LOS).all()
            distance_m = np.hypot(drive_m * (1 - moves), 100.0)
            values.append(10 * np.log10(link.mean_gain) + 27.5 * np.log10(distance_m))
        pairs = [(v[:-1] - np.mean(values), v[1:] - np.mean(values)) for v in values]
        samples.append(sum(float(a @ b) for a, b in pairs) / sum(float(a @ a) for a, _ in pairs))
    assert samples == pytest.approx([np.exp(-4.0 / 10.0), np.exp(-8.0 / 10.0)], abs=0.03)


def test_a_vehicle_in_the_way_costs_more_between_vehicles_than_below_an_rsu(contact: MakeContact) -> None:
    """TR 37.885, 6.2.1: a mean of 9 dB where both antennas are below the blocker, 5 where one is above."""
    channel = Channel(path_loss=Tr37885Urban(), shadowing=NoShadowing(), fading=NoFading())
    losses = []
    for k in range(300):
        one = contact(0, f"a{k}", "r0", 0.0, np.zeros(2), np.zeros(2))
        other = contact(1, f"b{k}", "r0", 0.0, np.full(2, 300.0), np.zeros(2))
        link = Sidelinks(channel, 1).link(one, other)
        blocked = 6.0 - 10 * np.log10(link.mean_gain) - (38.77 + 16.7 * np.log10(300.0) + 18.2 * np.log10(5.9))
        losses += blocked[link.los == 1].tolist()
        assert blocked[link.los == LOS] == pytest.approx(0.0, abs=1e-9)
    assert len(losses) > 400
    assert np.mean(losses) == pytest.approx(9.0, abs=0.5)
