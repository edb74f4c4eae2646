"""The name of a built-in task and a seed become its generated data, with classes and places mixed as the task says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from iovsim.arrays import mapped_arrays, save_arrays
from iovsim.domain import FloatArray, IntArray
from iovsim.errors import TrainingError, near_match
from iovsim.learning.data.samples import Data, Pictures, Samples, Texts
from iovsim.learning.generated import incidents, lights, signs, vehicles
from iovsim.learning.threads import use_one_thread
from iovsim.rng import stream


@dataclass(frozen=True, slots=True)
class Generator:
    """How a built-in task makes its samples."""

    classes: tuple[str, ...]
    class_mix: Callable[[int], FloatArray]  # district -> probability of each class there
    make: Callable[..., Pictures | Texts]  # (labels (n,), districts (n,), seed, *, part) -> inputs


def _messages(labels: IntArray, districts: IntArray, seed: int, *, part: str) -> Texts:
    return tuple((message,) for message in incidents.write(labels, districts, seed, part=part))


GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        "signs": Generator(signs.CLASSES, signs.class_mix, signs.render),
        "lights": Generator(lights.CLASSES, lights.class_mix, lights.render),
        "vehicles": Generator(vehicles.CLASSES, vehicles.class_mix, vehicles.render),
        "incidents": Generator(incidents.CLASSES, incidents.class_mix, _messages),
    }
)
"""The built-in tasks by name."""


def generate(name: str, train: int, test: int, districts: int, seed: int) -> Data:
    """Samples of a built-in task: districts drawn evenly, classes by the district's mix, all by seed.

    Raises `TrainingError` for an unknown name or a number below 1.
    """
    if name not in GENERATORS:
        raise TrainingError(f"built-in task {name!r} does not exist; {near_match(name, GENERATORS)}")
    for key, count in (("train", train), ("test", test), ("districts", districts)):
        if count < 1:
            raise TrainingError(f"{name}: {key} = {count}; it must be at least 1.")
    use_one_thread()
    generator = GENERATORS[name]
    parts = []
    for part, count in (("train", train), ("test", test)):
        rng = stream(seed, name, part)
        places = rng.integers(districts, size=count)
        labels = _labels(generator, places, rng.random(count))
        parts.append(Samples(generator.make(labels, places, seed, part=part), labels, generator.classes, places))
    return Data(train=parts[0], test=parts[1])


def save_data(data: Data, folder: Path) -> None:
    """Keeps generated data for `read_data`; whole or not at all. Raises `ResultsError` where it cannot be written."""
    arrays: dict[str, NDArray[np.generic]] = {"classes": np.array(data.train.classes)}
    for part, samples in (("train", data.train), ("test", data.test)):
        assert samples.districts is not None
        arrays |= {f"x_{part}": np.asarray(samples.inputs), f"y_{part}": samples.labels}
        arrays[f"districts_{part}"] = samples.districts
    save_arrays(folder, arrays)


def read_data(folder: Path) -> Data:
    """What `save_data` wrote, mapped. Raises `TrainingError` where the folder is missing or damaged."""
    try:
        return _data(mapped_arrays(folder))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise TrainingError(
            f"{folder}: not generated data ({error!r}); delete the folder to make them again."
        ) from None


def _data(arrays: Mapping[str, NDArray[np.generic]]) -> Data:
    classes = tuple(arrays["classes"].astype(np.str_).tolist())
    train, test = (
        Samples(
            _inputs(arrays[f"x_{part}"]),
            arrays[f"y_{part}"].astype(np.int64),
            classes,
            arrays[f"districts_{part}"].astype(np.int64),
        )
        for part in ("train", "test")
    )
    return Data(train=train, test=test)


def _labels(generator: Generator, places: IntArray, draws: FloatArray) -> IntArray:
    """One class for each place, by the inverse of the cumulated mix there at `draws` in [0, 1)."""
    labels = np.zeros(len(places), dtype=np.int64)
    for place in np.unique(places):
        here = places == place
        bounds = np.cumsum(generator.class_mix(int(place)))
        labels[here] = np.searchsorted(bounds / bounds[-1], draws[here], side="right")
    return labels


def _inputs(array: NDArray[np.generic]) -> Pictures | Texts:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, dtype=np.uint8)
    return tuple(tuple(sentences) for sentences in array.astype(np.str_).tolist())
