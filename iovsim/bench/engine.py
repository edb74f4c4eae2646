"""What a client update costs apart from its training: engine, aggregation of tiny adapters, and recording."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from iovsim.bench.rows import Row, alone, cpu_s
from iovsim.engine import Method, Setting, simulate
from iovsim.learning.aggregators.svd import SvdAggregator
from iovsim.mobility.forecast import HeadingForecast
from iovsim.policies import POLICIES
from iovsim.policies.budget import KeepBudgets
from iovsim.results import Recorder
from iovsim.testing import FakeTrainer, tiny_world

REPEATS = 5


def rows() -> Iterator[Row]:
    """Milliseconds a job on a tiny world with a trainer that does next to nothing, for each built-in policy."""
    for name in ("all-available", "energy-budget"):
        yield alone(f"engine/{name}", "CPU ms a job", partial(_job_ms, name), n=REPEATS)


def _job_ms(policy: str) -> float:
    world = tiny_world(1, vehicles=60, rsus=4, duration_s=400.0)
    method = Method(POLICIES[policy](), SvdAggregator(), KeepBudgets(), HeadingForecast())
    jobs = 0
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder))

        def run() -> None:
            nonlocal jobs
            setting = Setting(world, method, FakeTrainer(), recorder, lambda task, name, adapter, heads: None)
            jobs = simulate(setting, lambda done: None).jobs
            recorder.finish()

        seconds = cpu_s(run)
    return 1e3 * seconds / jobs
