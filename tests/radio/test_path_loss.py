"""Path loss against tables computed by hand from the published formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError
from iovsim.radio import LOS, NLOS, NLOSV, PATH_LOSS, LinkGeometry, PathLoss
from iovsim.radio.los import P_LOS
from iovsim.radio.path_loss import AuthorsP1, LogDistance, Tr37885Highway, Tr37885Urban, vehicle_blockage_db

Geometry = Callable[..., LinkGeometry]


@pytest.mark.parametrize(
    ("model", "los", "distance_m", "loss_db"),
    [
        # 3GPP TR 37.885, table 6.2.1-1, at 5.9 GHz (log10 5.9 = 0.77085)
        (Tr37885Urban(), LOS, 100.0, 86.1995),  # 38.77 + 33.4 + 14.0295
        (Tr37885Urban(), LOS, 300.0, 94.1674),  # + 16.7 * 0.47712
        (Tr37885Urban(), NLOS, 100.0, 111.4191),  # 36.85 + 60 + 14.5691
        (Tr37885Urban(), NLOS, 300.0, 125.7327),
        (Tr37885Highway(), LOS, 100.0, 87.8170),  # 32.4 + 40 + 15.4170
        (Tr37885Highway(), LOS, 300.0, 97.3594),
        (Tr37885Highway(), NLOS, 300.0, 125.7327),
        # Friis, 20 log10(4 pi d f / c) = 47.8644 dB at 1 m
        (LogDistance(exponent=2.0), LOS, 100.0, 87.8644),
        (LogDistance(exponent=3.5), LOS, 100.0, 117.8644),
        (LogDistance(exponent=3.5, reference_m=10.0), LOS, 100.0, 102.8644),
        (LogDistance(exponent=3.5, reference_m=10.0), LOS, 5.0, 61.8438),  # still free space
    ],
)
def test_reference_values(model: PathLoss, los: int, distance_m: float, loss_db: float, geometry: Geometry) -> None:
    assert model.loss_db(geometry([distance_m], los)) == pytest.approx([loss_db], abs=2e-3)


def test_the_authors_gain_is_the_inverse_square_of_the_ground_distance(geometry: Geometry) -> None:
    link = geometry([150.0], rsu_height_m=1.5)
    assert 10 ** (-AuthorsP1().loss_db(link) / 10) == pytest.approx([1 / (150.0**2 + 1e-6)], rel=1e-12)


@pytest.mark.parametrize(
    ("rsu_height_m", "vehicle_height_m", "distance_m", "blocker", "loss_db"),
    [
        # TR 37.885, 6.2.1: 5 dB, sigma 4 dB with one antenna above the blocker; 15 log10 d - 41 more from 541 m on
        (5.0, 1.5, 100.0, 0.0, 5.0),
        (5.0, 1.5, 100.0, 1.0, 9.0),
        (5.0, 1.5, 100.0, -2.0, 0.0),
        (5.0, 1.5, 1000.0, 0.0, 9.0),
        # both below: 9 dB and 4.5 dB
        (1.5, 1.5, 100.0, 0.0, 9.0),
        (1.5, 1.5, 100.0, 2.0, 18.0),
        (1.5, 1.5, 1000.0, 0.0, 13.0),
        # both above: nothing
        (5.0, 2.0, 100.0, 3.0, 0.0),
    ],
)
def test_vehicle_blockage(
    rsu_height_m: float, vehicle_height_m: float, distance_m: float, blocker: float, loss_db: float, geometry: Geometry
) -> None:
    link = geometry([distance_m], NLOSV, blocker=blocker, rsu_height_m=rsu_height_m, vehicle_height_m=vehicle_height_m)
    assert vehicle_blockage_db(link, 1.6) == pytest.approx([loss_db])


def test_nlosv_adds_the_blockage_to_the_los_loss(geometry: Geometry) -> None:
    model = Tr37885Urban()
    clear, behind = geometry([80.0, 200.0], LOS, blocker=1.0), geometry([80.0, 200.0], NLOSV, blocker=1.0)
    assert model.loss_db(behind) - model.loss_db(clear) == pytest.approx([9.0, 9.0])


def test_a_truck_blocks_both_antennas_below_its_height(geometry: Geometry) -> None:
    link = geometry([100.0], NLOSV, rsu_height_m=2.5)
    extra = Tr37885Urban(blocker_height_m=3.0).loss_db(link) - Tr37885Urban().loss_db(link)
    assert extra == pytest.approx([4.0])


def test_a_new_model_is_one_small_class(geometry: Geometry) -> None:
    @dataclass(frozen=True)
    class TwoSlope:
        breakpoint_m: float = 100.0
        environment: str = "urban"

        def loss_db(self, geometry: LinkGeometry) -> FloatArray:
            beyond = np.maximum(geometry.distance_3d_m / self.breakpoint_m, 1.0)
            loss: FloatArray = 47.86 + 20.0 * np.log10(geometry.distance_3d_m) + 20.0 * np.log10(beyond)
            return loss

    model: PathLoss = TwoSlope()
    assert model.loss_db(geometry([10.0, 1000.0])) == pytest.approx([67.86, 127.86])


@pytest.mark.parametrize(("name", "kind"), PATH_LOSS.items())
def test_every_kind_grows_with_distance_and_names_a_los_law(
    name: str, kind: type[PathLoss], geometry: Geometry
) -> None:
    model = kind()
    assert model.environment in P_LOS, name
    for los in (LOS, NLOSV, NLOS):
        assert (np.diff(model.loss_db(geometry(np.linspace(5.0, 900.0, 200), los))) > 0.0).all()


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ScenarioError, match=r"LogDistance: exponent = 0 is not allowed.*from 1 to 8"):
        LogDistance(exponent=0)
    with pytest.raises(ScenarioError, match=r"exponent = nan"):
        LogDistance(exponent=float("nan"))
    with pytest.raises(ScenarioError, match=r"environment = 'city'.*'urban', 'highway', 'open'"):
        LogDistance(environment="city")
    with pytest.raises(ScenarioError, match=r"Tr37885Urban: blocker_height_m = True"):
        Tr37885Urban(blocker_height_m=True)
    with pytest.raises(ScenarioError, match=r"Tr37885Highway: blocker_height_m = '3'"):
        Tr37885Highway(blocker_height_m="3")  # type: ignore[arg-type]
