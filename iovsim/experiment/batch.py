"""Several runs become several run folders, in worker processes; worlds are made once for each seed, first."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

from iovsim.errors import ScenarioError
from iovsim.experiment.run import RunSpec, check_out, run_one
from iovsim.experiment.world import build_world

Report = Callable[[str, str, float], None]
"""Takes the label of a piece of work, the name of its step, and the part of the step that is done."""

POLL_S = 0.2


def run_all(specs: Sequence[RunSpec], cache: Path, report: Report, *, jobs: int, overwrite: bool) -> list[Path]:
    """Runs everything on at most `jobs` processes and returns the folders, in the order of `specs`.

    The first error stops what has not begun and is raised; what was finished stays.
    """
    check_distinct(specs)
    check_out(list(specs), overwrite=overwrite)
    worlds = list({s.seed: s for s in specs}.values())
    if jobs == 1:
        return [run_one(s, cache, _named(report, s.label), overwrite=overwrite) for s in specs]
    with _pool(min(jobs, len(specs)), report) as submit:
        _finish([submit(_make_world, s, cache) for s in worlds])
        return _finish([submit(_make_run, s, cache, overwrite) for s in specs])


def check_distinct(specs: Sequence[RunSpec]) -> None:
    """Raises `ScenarioError` where two runs would write into one folder: policies of the same name, a seed twice."""
    seen: set[Path] = set()
    for spec in specs:
        if spec.out in seen:
            raise ScenarioError(
                f"{spec.label}: asked for twice; give each policy file its own 'name' and each seed once."
            )
        seen.add(spec.out)


@dataclass(frozen=True)
class _Messages:
    """The workers' end of the progress queue; travels to them by pickling, so it holds the proxy alone."""

    outbox: Any

    def named(self, label: str) -> Callable[[str, float], None]:
        return lambda step, done: self.outbox.put((label, step, done))


def _make_world(spec: RunSpec, cache: Path, messages: _Messages) -> None:
    build_world(spec.scenario, spec.seed, cache, messages.named(f"world of seed {spec.seed}"))


def _make_run(spec: RunSpec, cache: Path, overwrite: bool, messages: _Messages) -> Path:
    return run_one(spec, cache, messages.named(spec.label), overwrite=overwrite)


@contextmanager
def _pool(workers: int, report: Report) -> Iterator[Callable[..., _Pending]]:
    """A pool of fresh processes, and a queue that is read while results are awaited.

    When the parent is interrupted, so are the workers: each marks its run as unfinished and stops its SUMO. The queue's
    own process ignores the signal, so that nobody loses it while clearing up.
    """
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(signal.signal, (signal.SIGINT, signal.SIG_IGN))
    with manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        outbox = manager.Queue()

        def submit(work: Callable[..., Any], *arguments: object) -> _Pending:
            return _Pending(pool.submit(work, *arguments, _Messages(outbox)), outbox, report)

        try:
            yield submit
        except BaseException:
            for worker in multiprocessing.active_children():
                if worker.pid is not None:
                    os.kill(worker.pid, signal.SIGINT)
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@dataclass(frozen=True)
class _Pending:
    future: Future[Any]
    outbox: Any
    report: Report

    def pass_on(self) -> None:
        """Reports what has arrived."""
        while True:
            try:
                self.report(*self.outbox.get_nowait())
            except queue.Empty:
                return


def _finish(pending: list[_Pending]) -> list[Any]:
    """Waits for all, reporting meanwhile; the first error cancels the rest and is raised."""
    open_futures = {p.future for p in pending}
    while open_futures:
        done, open_futures = wait(open_futures, timeout=POLL_S, return_when=FIRST_EXCEPTION)
        pending[0].pass_on()
        if any(f.exception() for f in done):
            for future in open_futures:
                future.cancel()
            break
    return [p.future.result() for p in pending if not p.future.cancelled()]


def _named(report: Report, label: str) -> Callable[[str, float], None]:
    return lambda step, done: report(label, step, done)
