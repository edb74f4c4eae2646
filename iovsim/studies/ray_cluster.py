"""An address becomes a connection to a Ray cluster, or to one that is started here, on which the demands can be met."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from iovsim.errors import ResultsError
from iovsim.progress import Report

ANSWER_S = 10.0
"""How long a cluster may take to answer at all."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What Ray keeps free for each run, and how often it begins one again whose process or node was lost."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None
    retries: int = 3


@contextmanager
def connected(address: str | None) -> Iterator[bool]:
    """Connects to a cluster, or starts one on this machine and ends it; gives whether it was started here.

    Raises `ResultsError` where no cluster answers, or one of other versions.
    """
    if ray.is_initialized():  # by the caller, who has chosen
        yield False
        return
    there = address or os.environ.get("RAY_ADDRESS")
    _check_answers(there)
    handler = signal.getsignal(signal.SIGTERM)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if there is None:
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    with _nothing_is_told(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, of files that it leaves open and of what it will change
        try:
            ray.init(address=there or "local", **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ResultsError(_no_cluster(there or "this machine", error)) from error
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray has put its own, by which nobody could clear up
        yield there is None
    finally:
        ray.shutdown()


def _check_answers(address: str | None) -> None:
    """Raises `ResultsError` where nobody listens at HOST:PORT; Ray itself would wait for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
        except (OSError, OverflowError) as error:
            raise ResultsError(_no_cluster(address, error)) from error


def _no_cluster(address: str | None, error: Exception) -> str:
    reason = " ".join(str(error).split()).rstrip(".")
    return f"Ray: no cluster at {address}: {reason}. Start one (ray start --head), or correct the address."


@contextmanager
def _nothing_is_told() -> Iterator[None]:
    """Clusters that are started inside send no statistics of their use to anybody."""
    before = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        yield
    finally:
        del os.environ["RAY_USAGE_STATS_ENABLED"]
        if before is not None:
            os.environ["RAY_USAGE_STATS_ENABLED"] = before


def check_demands(demands: Demands, report: Report, *, may_grow: bool) -> None:
    """Raises `ResultsError` where no node is as large as a run demands, unless such a node may still join."""
    due = {"CPU": demands.cpus, "GPU": demands.gpus, "memory": float(demands.memory_bytes or 0)}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if any(all(node.get(name, 0.0) >= amount for name, amount in due.items()) for node in nodes):
        return
    told = f"{due['CPU']:g} cores, {due['GPU']:g} GPUs and {due['memory'] / 2**30:.3g} GiB"
    if may_grow:
        report("cluster", f"waiting for a node of {told}", 0.0)
        return
    largest = {name: max(node.get(name, 0.0) for node in nodes) for name in due}
    raise ResultsError(
        f"Ray: a run asks for {told}, and this machine has {largest['CPU']:g}, {largest['GPU']:g} and "
        f"{largest['memory'] / 2**30:.3g}; ask for less, or name a cluster by its address."
    )
