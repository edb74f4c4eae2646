"""Real receivers: a day of San Francisco's taxis, and cars and buses of Aracaju."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iovsim.mobility.importers.gps import GpsOptions, read_gps
from iovsim.mobility.samples import Repairs, Samples


def read(path: Path, work: Path, **options: object) -> tuple[list[Samples], Repairs]:
    repairs = Repairs()
    return list(read_gps(path, repairs, GpsOptions(**options), work=work)), repairs  # type: ignore[arg-type]


def joined(batches: list[Samples], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.concatenate([getattr(batch, name) for batch in batches])


def test_an_hour_of_san_franciscos_taxis(shared: Path, tmp_path: Path) -> None:
    """Their speeds are those of a city with motorways; they lie within the bay's few tens of kilometres."""
    path = shared / "scenarios/cabspotting_sf_day/cabspotting_2008-05-19_497taxis.csv.gz"
    options = {"timezone": "America/Los_Angeles", "begin": "2008-05-19T08:00", "end": "2008-05-19T09:00"}
    batches, repairs = read(path, tmp_path, **options)
    time_s, speed = joined(batches, "time_s"), joined(batches, "speed_mps")
    assert (time_s.min(), time_s.max()) == (8 * 3600, 9 * 3600 - 1)
    assert 300_000 < len(time_s) < 497 * 3600
    assert 2 < np.mean(speed) < 12
    assert np.quantile(speed, 0.99) < 40
    assert speed.max() <= 70.01
    assert np.ptp(joined(batches, "x_m")) < 80_000
    assert np.ptp(joined(batches, "y_m")) < 80_000
    mended = {"gaps", "jumps", "lone points", "points outside the box", "spikes"}
    assert set(repairs.counts) == mended
    assert repairs.counts["spikes"] + repairs.counts["jumps"] < 0.01 * 477_668


def test_aracajus_cars_and_buses(shared: Path, tmp_path: Path) -> None:
    path = shared / "scenarios/gotrack_aracaju/go_track_trackspoints.csv.gz"
    batches, repairs = read(path, tmp_path, timezone="America/Maceio")
    speed = joined(batches, "speed_mps")
    assert 100_000 < len(speed) < 200_000
    assert 3 < np.mean(speed) < 15
    assert speed.max() <= 70.01
    assert len({name for batch in batches for name in batch.vehicle}) > 130
    assert repairs.counts["points outside the box"] == 118, "three tracks lie in Florianopolis, 2,300 km away"
