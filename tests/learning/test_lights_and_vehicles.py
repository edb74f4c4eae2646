"""Built-in traffic lights and vehicles: repeatable, independent of their neighbours, different by class and place."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from iovsim.errors import TrainingError
from iovsim.learning.generated import fleet, fleet_small, lights, signs, vehicles
from iovsim.learning.generated.album import shown
from iovsim.learning.generated.layers import mirrored, shares
from iovsim.learning.generated.places import character
from iovsim.learning.generated.solids import Prism, Rod, View, box, project
from iovsim.rng import stream

TASKS = pytest.mark.parametrize("task", [lights, vehicles], ids=["lights", "vehicles"])


def _render(
    task: ModuleType, labels: list[int], districts: list[int], seed: int = 1, part: str = "train"
) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = task.render(np.array(labels), np.array(districts), seed, part=part)
    return images


@TASKS
def test_pictures_depend_on_seed_and_part_and_not_on_their_number(task: ModuleType) -> None:
    labels, districts = [k % len(task.CLASSES) for k in range(300)], [k % 3 for k in range(300)]
    images = _render(task, labels, districts)
    assert images.shape == (300, 32, 32, 3)
    assert images.dtype == np.uint8
    assert np.array_equal(images[:5], _render(task, labels[:5], districts[:5]))
    assert not np.array_equal(images[:5], _render(task, labels[:5], districts[:5], seed=2))
    assert not np.array_equal(images[:5], _render(task, labels[:5], districts[:5], part="test"))


@TASKS
def test_a_picture_depends_on_its_own_label_and_district_alone(task: ModuleType) -> None:
    plain = _render(task, [0, 1, 2], [0, 0, 0])
    other_label, other_place = _render(task, [0, 3, 2], [0, 0, 0]), _render(task, [0, 1, 2], [0, 5, 0])
    for changed in (other_label, other_place):
        assert np.array_equal(plain[[0, 2]], changed[[0, 2]])
        assert not np.array_equal(plain[1], changed[1])


@TASKS
def test_wrong_labels_are_refused(task: ModuleType) -> None:
    classes = len(task.CLASSES)
    with pytest.raises(TrainingError, match=f"labels run from 0 to {classes}; allowed: 0 to {classes - 1}"):
        _render(task, [0, classes], [0, 0])
    with pytest.raises(TrainingError, match="equally long"):
        _render(task, [0, 1], [0])


@pytest.mark.parametrize("task", [signs, lights, vehicles], ids=["signs", "lights", "vehicles"])
def test_class_mixes_are_probabilities(task: ModuleType) -> None:
    for district in range(20):
        mix = task.class_mix(district)
        assert mix.shape == (len(task.CLASSES),)
        assert (mix > 0).all()
        assert mix.sum() == pytest.approx(1)


def test_places_differ_and_yellow_is_rare_everywhere() -> None:
    mixes = np.stack([lights.class_mix(d) for d in range(20)])
    yellow, red = (mixes[:, lights.CLASSES.index(name)] for name in ("yellow", "red"))
    assert (yellow < 0.25 * red).all()
    harbour = np.array([character(d)[1] for d in range(20)])
    lorries = np.array([vehicles.class_mix(d)[vehicles.CLASSES.index("lorry")] for d in range(20)])
    assert np.corrcoef(harbour, lorries)[0, 1] > 0.8


def test_lamps_that_burn_can_be_seen() -> None:
    districts, masses = np.zeros(256, dtype=np.int64), []
    for state in ("red", "green", "off"):
        label = np.full(256, lights.CLASSES.index(state))
        masses.append(lights.render(label, districts, 1, part="train", strength=0.0).mean(axis=(0, 1, 2)))
    red, green, off = masses
    assert red[0] > off[0] + 3
    assert green[1] > off[1] + 3
    assert red[0] - red[1] > green[0] - green[1] + 3


@pytest.mark.parametrize("name", vehicles.CLASSES)
def test_every_class_has_many_different_models(name: str) -> None:
    view = View(1.4, 0.1)
    drawings = {project(vehicles.BUILDERS[name](stream(0, "test", k)).solids, view) for k in range(12)}
    assert len(drawings) == 12
    for drawing in drawings:
        points = np.array([point for _, stroke in drawing for point in stroke.points])
        assert np.abs(points).max() == pytest.approx(0.92)  # fills the picture's width or height


def test_an_emergency_vehicle_is_another_one_with_beacons() -> None:
    beacons = [
        any(isinstance(solid, Prism) and fleet.BEACON in solid.paints for solid in build(stream(0, "test", k)).solids)
        for build in (fleet.emergency, fleet.car, fleet.van, fleet.lorry, fleet.bus, fleet_small.bicycle)
        for k in range(5)
    ]
    assert beacons == [True] * 5 + [False] * 25


def test_the_sun_and_the_livery_colour_a_vehicle() -> None:
    coats = [vehicles.paint("fire", stream(0, "coat", k)) for k in range(8)]
    assert {tuple(vehicles.COLOURS)[coat.body] for coat in coats} <= {"red", "dark red"}
    for coat in coats:
        sides = coat.colours[list(fleet.BODY)]
        assert (sides[:, 0] > 2 * sides[:, 1]).all()
        assert np.ptp(sides[:, 0]) > 0.05  # sides, rear and top are lit differently


def test_a_box_is_seen_from_behind_from_the_side_and_mirrored() -> None:
    cuboid = Prism(box(0.0, 4.0, 0.0, 1.0), 2.0, (0, 1, 2))
    behind, beside = (shares(project((cuboid,), View(yaw, 0.0)), 3).mean(axis=(1, 2)) for yaw in (0.0, np.pi / 2))
    assert behind[1] > 50
    assert behind[0] == behind[2] == 0
    assert beside[0] > 30
    assert beside[1] == beside[2] == 0
    between = project((cuboid, Rod(((4.0, 0.0, 1.0),), 0.2, 1)), View(0.7, 0.3))
    seen = shares(between, 3)
    assert (seen.mean(axis=(1, 2)) > 3).all()
    assert np.abs(seen[:, :, ::-1].astype(int) - shares(mirrored(between), 3)).mean() < 3


def test_held_out_pictures_show_objects_that_no_other_part_shows() -> None:
    rng = stream(0, "shown")
    seen = {part: set(shown(64, part, 5000, rng).tolist()) for part in ("train", "test")}
    assert seen == {"train": set(range(48)), "test": set(range(48, 64))}
