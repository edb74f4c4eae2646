"""A cluster is found or told to be missing; one that is started here can be asked for no more than there is."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Iterator

import pytest
import ray

from iovsim.errors import ResultsError
from iovsim.studies.ray_cluster import Demands, check_demands, connected


@pytest.fixture(autouse=True)
def _ray_leaves_things_to_be_collected() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def test_a_cluster_that_is_not_there_is_told() -> None:
    with (
        pytest.raises(ResultsError, match=r"no cluster at 127\.0\.0\.1:1: .*ray start --head"),
        connected("127.0.0.1:1"),
    ):
        pass


def test_a_cluster_of_our_own_ends_with_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    told: list[tuple[str, str, float]] = []
    with connected(None) as is_ours:
        assert is_ours
        assert signal.getsignal(signal.SIGTERM) == handler, "a cluster's way to say stop still clears up"
        assert "RAY_USAGE_STATS_ENABLED" not in os.environ
        check_demands(Demands(cpus=1.0), lambda *report: told.append(report), may_grow=False)
        assert not told
        with pytest.raises(
            ResultsError, match=r"a run asks for 1000 cores, 0 GPUs and 0 GiB, and this machine has \d+"
        ):
            check_demands(Demands(cpus=1000.0), lambda *report: None, may_grow=False)
        check_demands(Demands(gpus=8.0), lambda *report: told.append(report), may_grow=True)
        assert told == [("cluster", "waiting for a node of 1 cores, 8 GPUs and 0 GiB", 0.0)]
    assert not ray.is_initialized()
