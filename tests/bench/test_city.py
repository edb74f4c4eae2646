"""What the benchmarks of a whole city measure, at a size at which they take seconds."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from iovsim.bench import city, scale
from iovsim.bench.city import Timed, write_twice
from iovsim.bench.rows import Skipped
from iovsim.domain import Adapter, Tuning
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace import Trace, write_trace
from iovsim.testing import FakeTrainer


def test_twice_is_the_same_traffic_by_other_vehicles(tmp_path: Path) -> None:
    def steps() -> list[Samples]:
        still = np.zeros(2)
        return [Samples(np.full(2, 100.0 + t), ["a", "b"], still + t, still, still, still) for t in range(5)]

    write_trace(tmp_path / "once", steps(), source="test", step_s=1.0)
    write_twice(Trace(tmp_path / "once"), tmp_path / "twice")
    twice = Trace(tmp_path / "twice")
    assert (twice.begin_s, twice.end_s) == (100.0, 108.0)
    (window,) = twice.windows()
    at = {name: window.time_s[window.vehicle == code].tolist() for code, name in enumerate(window.names)}
    assert at == {
        "a": [100.0, 101.0, 102.0, 103.0],
        "b": [100.0, 101.0, 102.0, 103.0],
        "again:a": [104.0, 105.0, 106.0, 107.0, 108.0],
        "again:b": [104.0, 105.0, 106.0, 107.0, 108.0],
    }


def test_seconds_inside_the_trainer_are_counted_and_no_others() -> None:
    class Slow(FakeTrainer):
        def initial(self, task: str, rank: int, seed: int, tuning: Tuning = Tuning.LORA) -> Adapter:
            _burn(0.2)
            return super().initial(task, rank, seed, tuning)

    timed = Timed(Slow())
    _burn(0.2)
    adapter = timed.initial("signs", 2, 1, Tuning.LORA)
    assert adapter.rank == 2
    assert 0.2 <= timed.spent_s < 0.3


def test_without_the_scenario_every_row_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOVSIM_SHARED", str(tmp_path))
    found = [*city.rows()]
    assert found
    assert all(isinstance(row, Skipped) and "IOVSIM_SHARED" in row.reason for row in found)


def test_scale_counts_views_and_jobs() -> None:
    found = scale.measured(200, 2)
    assert 0 < found.jobs <= found.views <= 2 * 200
    assert found.contacts >= found.views / 2
    assert found.cpu_s > 0


def _burn(seconds: float) -> None:
    until_s = time.process_time() + seconds
    while time.process_time() < until_s:
        pass
