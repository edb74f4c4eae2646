"""The whole chain: contacts in, links out, and what other contacts must not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iovsim.domain import Contact, ContactBook, FloatArray, LinkBook, Rsu
from iovsim.errors import ScenarioError
from iovsim.radio import LOS, NLOS, NLOSV, Buildings, Channel, LinkGeometry, LinkTable, save_parts
from iovsim.radio.fading import NoFading
from iovsim.radio.path_loss import LogDistance, Tr37885Highway
from iovsim.radio.shadowing import NoShadowing

MakeBook = Callable[[list[Contact]], ContactBook]
MakeContact = Callable[..., Contact]


@pytest.fixture
def street(contact: MakeContact) -> list[Contact]:
    """Twelve vehicles that drive past the RSU, at different times and distances."""
    x_m = np.linspace(-250.0, 250.0, 51)
    return [contact(k, f"v{k:02d}", "r0", 30.0 * k, x_m[: 51 - k], np.full(51 - k, 5.0 + k)) for k in range(12)]


def test_the_gain_is_antennas_less_loss(contact: MakeContact, book: MakeBook, rsu: Rsu) -> None:
    channel = Channel(
        path_loss=LogDistance(exponent=2.0),
        shadowing=NoShadowing(),
        fading=NoFading(),
        rsu_antenna_gain_db=8.0,
        vehicle_antenna_gain_db=3.0,
        vehicle_height_m=5.0,
    )
    table = channel.links(book([contact(4, "v", "r0", 0.0, np.array([100.0, 60.0]), np.array([0.0, 80.0]))]), [rsu], 1)
    link = table.link(4)
    # Friis at 100 m and 5.9 GHz is 87.864 dB; the second point is as far as the first
    assert 10 * np.log10(link.mean_gain) == pytest.approx([11.0 - 87.8644] * 2, abs=1e-3)
    assert link.fading.tolist() == [1.0, 1.0]
    assert link.los.tolist() == [LOS, LOS]
    assert link.time_s.tolist() == [0.0, 1.0]


def test_a_contact_has_the_same_link_whatever_else_exists(street: list[Contact], book: MakeBook, rsu: Rsu) -> None:
    all_of_them = Channel().links(book(street), [rsu], seed=3)
    other_rsu = Rsu("a-new-one", 50.0, 50.0, 6.0, 300.0, ())
    alone = Channel().links(book([street[7]]), [other_rsu, rsu], seed=3)
    for name in ("time_s", "mean_gain", "fading", "los"):
        np.testing.assert_array_equal(getattr(alone.link(7), name), getattr(all_of_them.link(7), name))


def test_seeds_and_contacts_differ(street: list[Contact], book: MakeBook, rsu: Rsu) -> None:
    one, two = (Channel().links(book(street), [rsu], seed) for seed in (3, 4))
    assert not np.isclose(one.link(0).fading, two.link(0).fading).any()
    assert not np.isclose(one.link(0).fading[:40], one.link(1).fading[:40]).any()


def test_the_number_of_a_contact_does_not_matter(contact: MakeContact, book: MakeBook, rsu: Rsu) -> None:
    track = np.linspace(-100.0, 100.0, 21), np.full(21, 5.0)
    first, second = (
        Channel().links(book([contact(number, "v", "r0", 7.0, *track)]), [rsu], 1).link(number) for number in (2, 90)
    )
    np.testing.assert_array_equal(first.mean_gain, second.mean_gain)
    np.testing.assert_array_equal(first.fading, second.fading)


def test_a_building_makes_its_shadow_nlos_and_some_25_db_deep(contact: MakeContact, book: MakeBook, rsu: Rsu) -> None:
    # A wall across y = 10 from x = 20 on; the vehicle drives along y = 20: hidden once its sight line crosses y = 10
    # at x >= 20, that is from x = 40 on.
    wall = np.array([[20.0, 10.0], [400.0, 10.0], [400.0, 12.0], [20.0, 12.0]])
    track = contact(0, "v", "r0", 0.0, np.arange(0.0, 200.0, 5.0), np.full(40, 20.0))
    channel = Channel(buildings=Buildings([wall]), shadowing=NoShadowing(), path_loss=Tr37885Highway())
    link = channel.links(book([track]), [rsu], 1).link(0)
    hidden = track.x_m >= 40.0
    assert (link.los[hidden] == NLOS).all()
    assert (link.los[~hidden & (track.x_m < 33.0)] != NLOS).all()
    free = Channel(shadowing=NoShadowing(), path_loss=LogDistance(exponent=2.0)).links(book([track]), [rsu], 1).link(0)
    deficit_db = 10 * np.log10(free.mean_gain[hidden] / link.mean_gain[hidden])
    # TR 37.885: NLOS less free space is 3.6 + 10 log10 d, from 20 dB at 45 m to 27 dB at 200 m
    assert deficit_db.min() > 19.0
    assert deficit_db.max() < 28.0


def test_los_states_hold_along_the_road_and_follow_the_law(contact: MakeContact, book: MakeBook, rsu: Rsu) -> None:
    # Circles of radius 100 m, one step 10 m: the law says P(LOS) = 0.336 everywhere
    angle = np.arange(60) * 0.1
    tracks = [contact(k, f"v{k}", "r0", float(k), 100 * np.cos(angle), 100 * np.sin(angle)) for k in range(400)]
    table = Channel().links(book(tracks), [rsu], 2)
    states = table.los.reshape(400, 60)
    # 400 tracks of about 600 m: some 6 independent stretches each, standard error about 0.01
    assert np.mean(states == LOS) == pytest.approx(0.3358, abs=0.04)
    changes = np.mean(states[:, 1:] != states[:, :-1])
    # Independent draws would change 2 p (1 - p) = 0.446 of the time; with correlation rho = e^(-10/50) it is
    # 2 (p - P(both normals below the threshold)) = 0.177
    assert changes == pytest.approx(0.177, abs=0.03)
    assert set(np.unique(states)) == {LOS, NLOSV}


def test_a_book_out_of_order_is_refused(street: list[Contact], book: MakeBook, rsu: Rsu) -> None:
    with pytest.raises(ValueError, match="contact 10 comes after 11"):
        Channel().links(book(street[::-1]), [rsu], 1)


@pytest.mark.parametrize("samples", [1, 60, 100])
def test_parts_hold_what_the_whole_does(
    street: list[Contact], book: MakeBook, rsu: Rsu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    """Whatever is worked on at a time, every bit is the same: in memory, in files, and of the averages."""
    whole = Channel(buildings=Buildings([np.array([[0.0, 2.0], [30.0, 2.0], [30.0, 4.0]])])).links(
        book(street), [rsu], 1
    )
    whole.save(tmp_path / "whole")
    averages = whole.frame()
    monkeypatch.setattr("iovsim.radio.channel.SAMPLES", samples)
    channel = Channel(buildings=Buildings([np.array([[0.0, 2.0], [30.0, 2.0], [30.0, 4.0]])]))
    assert len([*channel.parts(book(street), [rsu], 1)]) > 1
    assert {NLOS, NLOSV, LOS} == set(np.unique(whole.los).tolist())
    save_parts(tmp_path / "parts", channel.parts(book(street), [rsu], 1))
    loaded = LinkTable.load(tmp_path / "parts")
    one_by_one = pd.concat([loaded.frame(k, k + 1) for k in range(len(loaded))], ignore_index=True)
    pd.testing.assert_frame_equal(one_by_one, averages, check_exact=True)
    pd.testing.assert_frame_equal(loaded.frame(), averages, check_exact=True)
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "parts" / file.name).read_bytes() == file.read_bytes(), file.name


def test_an_empty_book_gives_an_empty_table(book: MakeBook, rsu: Rsu, tmp_path: Path) -> None:
    table = Channel(buildings=Buildings([])).links(book([]), [rsu], 1)
    assert len(table) == 0
    assert list(table.frame()) == ["contact", "mean_gain_db", "los_share", "nlosv_share", "nlos_share"]
    table.save(tmp_path / "links")
    assert len(LinkTable.load(tmp_path / "links")) == 0
    save_parts(tmp_path / "parts", Channel().parts(book([]), [rsu], 1))
    assert LinkTable.load(tmp_path / "parts").offsets.tolist() == [0]


def test_progress_counts_to_the_end(street: list[Contact], book: MakeBook, rsu: Rsu) -> None:
    seen: list[tuple[int, int]] = []
    Channel().links(book(street), [rsu], 1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(12, 12)]


def test_saved_tables_load_unchanged(street: list[Contact], book: MakeBook, rsu: Rsu, tmp_path: Path) -> None:
    table = Channel().links(book(street), [rsu], 1)
    path = tmp_path / "links"
    table.save(path)
    again: LinkBook = LinkTable.load(path)
    for link in table:
        for name in ("time_s", "mean_gain", "fading", "los"):
            np.testing.assert_array_equal(getattr(again.link(link.contact), name), getattr(link, name))
    assert [p.name for p in tmp_path.iterdir()] == ["links"]


def test_damaged_tables_are_named(street: list[Contact], book: MakeBook, rsu: Rsu, tmp_path: Path) -> None:
    place = tmp_path / "links"
    with pytest.raises(ScenarioError, match=r"links: not a table of links .*delete the folder"):
        LinkTable.load(place)
    Channel().links(book(street), [rsu], 1).save(place)
    (place / "fading.npy").write_bytes(b"nonsense")
    with pytest.raises(ScenarioError, match=r"links: not a table of links"):
        LinkTable.load(place)
    (place / "fading.npy").unlink()
    with pytest.raises(ScenarioError, match=r"links: not a table of links"):
        LinkTable.load(place)


def test_links_are_read_only_and_unknown_contacts_an_error(street: list[Contact], book: MakeBook, rsu: Rsu) -> None:
    table = Channel().links(book(street), [rsu], 1)
    with pytest.raises(ValueError, match="read-only"):
        table.link(0).mean_gain[0] = 1.0
    with pytest.raises(KeyError, match="no link for contact 99"):
        table.link(99)


def test_the_frame_averages_over_time() -> None:
    table = LinkTable(
        contacts=np.array([5, 8]),
        offsets=np.array([0, 3, 5]),
        time_s=np.array([0.0, 1.0, 4.0, 2.0, 3.0]),
        mean_gain=np.array([1e-8, 1e-9, 1e-10, 1e-7, 1e-7]),
        fading=np.ones(5),
        los=np.array([LOS, NLOSV, NLOS, LOS, LOS], dtype=np.int8),
    )
    frame = table.frame()
    # weights 0.5, 2, 1.5 of 4 s: (0.5 * -80 + 2 * -90 + 1.5 * -100) / 4 = -92.5
    assert frame["mean_gain_db"].tolist() == pytest.approx([-92.5, -70.0])
    assert frame["los_share"].tolist() == pytest.approx([0.125, 1.0])
    assert frame["nlosv_share"].tolist() == pytest.approx([0.5, 0.0])
    assert frame["nlos_share"].tolist() == pytest.approx([0.375, 0.0])


@dataclass(frozen=True)
class Broken:
    """A user's model with a mistake in it."""

    environment: str = "urban"

    def loss_db(self, geometry: LinkGeometry) -> FloatArray:
        return np.full(3, np.nan)


def test_mistakes_are_named(street: list[Contact], book: MakeBook, rsu: Rsu) -> None:
    with pytest.raises(ScenarioError, match=r"contact 0: its RSU 'r0' is unknown; did you mean 'r10'"):
        Channel().links(book(street), [Rsu("r10", 0.0, 0.0, 5.0, 300.0, ())], 1)
    with pytest.raises(ScenarioError, match=r"Broken: loss_db must give one finite number .*shape \(3,\) with 3"):
        Channel(path_loss=Broken()).links(book(street), [rsu], 1)
    with pytest.raises(ScenarioError, match=r"Broken: environment = 'urbane' is unknown; did you mean 'urban'"):
        Channel(path_loss=Broken(environment="urbane"))
    with pytest.raises(ScenarioError, match=r"Channel: carrier_hz = 5.9 is not allowed"):
        Channel(carrier_hz=5.9)
