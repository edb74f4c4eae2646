"""Statistics of the random filters, by intervals of about four standard errors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from iovsim.errors import ScenarioError
from iovsim.radio import FADING, LOS, NLOS, NLOSV, SHADOWING, Fading, LinkGeometry
from iovsim.radio.correlation import along_tracks
from iovsim.radio.fading import NoFading, RayleighFading, RicianFading
from iovsim.radio.shadowing import CorrelatedShadowing, NoShadowing

Geometry = Callable[..., LinkGeometry]
N = 40_000


@pytest.mark.parametrize(
    ("los", "sigma_db", "decorrelation_m"),
    [(LOS, 3.0, 10.0), (NLOSV, 3.0, 13.0), (NLOS, 4.0, 13.0)],  # TR 37.885, table 6.2.1-1; TR 38.901, table 7.5-6
)
def test_shadowing_spread_and_decorrelation(
    los: int, sigma_db: float, decorrelation_m: float, geometry: Geometry
) -> None:
    link = geometry(np.full(N, 100.0), los, moved_m=decorrelation_m / 2)
    shadow = CorrelatedShadowing().shadow_db(link, np.random.default_rng(5).standard_normal(N))
    assert np.mean(shadow) == pytest.approx(0.0, abs=0.04 * sigma_db)
    assert np.std(shadow) == pytest.approx(sigma_db, rel=0.03)
    # half and one decorrelation distance on: e^-0.5 and e^-1 (Gudmundson 1991)
    assert np.corrcoef(shadow[:-1], shadow[1:])[0, 1] == pytest.approx(np.exp(-0.5), abs=0.02)
    assert np.corrcoef(shadow[:-2], shadow[2:])[0, 1] == pytest.approx(np.exp(-1.0), abs=0.03)


def test_a_vehicle_that_stands_keeps_its_shadow(geometry: Geometry) -> None:
    link = geometry(np.full(50, 100.0), LOS, moved_m=0.0)
    shadow = CorrelatedShadowing().shadow_db(link, np.random.default_rng(6).standard_normal(50))
    assert shadow == pytest.approx(np.full(50, shadow[0]))
    assert shadow[0] != 0.0


def test_no_shadowing(geometry: Geometry) -> None:
    assert not NoShadowing().shadow_db(geometry([10.0, 20.0]), np.ones(2)).any()


def test_tracks_are_independent_and_equal_to_the_recursion_one_by_one() -> None:
    rng = np.random.default_rng(7)
    offsets = np.array([0, 3, 3 + 8, 3 + 8 + 2, 3 + 8 + 2 + 8])
    noise, moved = rng.standard_normal(21), rng.uniform(0.0, 30.0, 21)
    expected = noise.copy()
    for first, last in pairwise(offsets):
        for i in range(first + 1, last):
            rho = np.exp(-moved[i] / 12.0)
            expected[i] = rho * expected[i - 1] + np.sqrt(1.0 - rho**2) * noise[i]
    assert along_tracks(noise, moved, offsets, 12.0) == pytest.approx(expected)


def test_no_tracks_at_all() -> None:
    assert len(along_tracks(np.zeros(0), np.zeros(0), np.array([0]), 10.0)) == 0


@pytest.mark.parametrize("blocks", [1, 10])
def test_rayleigh_is_the_mean_of_exponentials(blocks: int) -> None:
    power = RayleighFading(blocks).power(np.random.default_rng(8), np.zeros(N, dtype=np.int8))
    assert np.mean(power) == pytest.approx(1.0, abs=4 / np.sqrt(N * blocks))
    assert np.var(power) == pytest.approx(1.0 / blocks, rel=0.08)


def test_plain_rayleigh_outage() -> None:
    power = RayleighFading(1).power(np.random.default_rng(9), np.zeros(N, dtype=np.int8))
    assert np.mean(power < 0.1) == pytest.approx(1.0 - np.exp(-0.1), abs=0.006)  # P(power < x) = 1 - e^-x


@pytest.mark.parametrize("blocks", [1, 10])
def test_rician_in_sight_and_rayleigh_out_of_it(blocks: int) -> None:
    los = np.repeat(np.array([LOS, NLOS], dtype=np.int8), N)
    power = RicianFading(k_db=6.0, blocks_per_sample=blocks).power(np.random.default_rng(10), los)
    k = 10**0.6
    assert np.mean(power[:N]) == pytest.approx(1.0, abs=0.02)
    assert np.var(power[:N]) == pytest.approx((1 + 2 * k) / (1 + k) ** 2 / blocks, rel=0.06)
    assert np.mean(power[N:]) == pytest.approx(1.0, abs=0.02)
    assert np.var(power[N:]) == pytest.approx(1.0 / blocks, rel=0.08)


def test_no_fading() -> None:
    assert NoFading().power(np.random.default_rng(0), np.zeros(3, dtype=np.int8)) == pytest.approx([1.0, 1.0, 1.0])


@pytest.mark.parametrize(("name", "kind"), FADING.items())
def test_every_fading_has_mean_one(name: str, kind: type[Fading]) -> None:
    power = kind().power(np.random.default_rng(11), np.arange(N, dtype=np.int64).astype(np.int8) % 3)
    assert power.shape == (N,)
    assert (power >= 0.0).all()
    assert np.mean(power) == pytest.approx(1.0, abs=0.02), name


def test_every_shadowing_gives_one_number_a_sample(geometry: Geometry) -> None:
    for name, kind in SHADOWING.items():
        assert kind().shadow_db(geometry([10.0, 20.0, 30.0]), np.ones(3)).shape == (3,), name


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ScenarioError, match=r"RayleighFading: blocks_per_sample = 0 .*whole number from 1 to"):
        RayleighFading(0)
    with pytest.raises(ScenarioError, match=r"RicianFading: k_db = 99"):
        RicianFading(k_db=99)
    with pytest.raises(ScenarioError, match=r"CorrelatedShadowing: decorrelation_los_m = 0.0"):
        CorrelatedShadowing(decorrelation_los_m=0.0)
