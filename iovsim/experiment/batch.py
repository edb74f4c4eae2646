"""Several runs become several run folders, in worker processes; worlds are made once for each seed, first."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd

from iovsim.errors import ScenarioError
from iovsim.experiment.centralised import CentralSpec, train_centrally
from iovsim.experiment.city import Progress
from iovsim.experiment.method import build_method
from iovsim.experiment.run import RunSpec, check_out, run_one
from iovsim.experiment.world import build_world
from iovsim.learning.trainers import check_trainer

Report = Callable[[str, str, float], None]
"""Takes the label of a piece of work, the name of its step, and the part of the step that is done."""

POLL_S = 0.2
INTERRUPTED = 130
"""Exit status of a process ended by Ctrl-C: 128 + SIGINT."""


def run_all(specs: Sequence[RunSpec], cache: Path, report: Report, *, jobs: int, overwrite: bool) -> list[Path]:
    """Runs everything on at most `jobs` processes and returns the folders, in the order of `specs`.

    The first error ends the other workers and is raised; what was finished stays. All specs have the same scenario.
    """
    check_distinct(specs)
    for spec in specs:
        build_method(spec.policy)
        check_trainer(spec.training)
    check_out(list(specs), overwrite=overwrite)
    worlds = list({s.seed: s for s in specs}.values())
    if jobs == 1:
        return [run_one(s, cache, _named(report, s.label), overwrite=overwrite) for s in specs]
    with _pool(min(jobs, len(specs)), report) as submit:
        _finish([submit(_make_world, s, cache) for s in worlds])
        return _finish([submit(_make_run, s, cache, overwrite) for s in specs])


def train_all(specs: Sequence[CentralSpec], cache: Path, report: Report, *, jobs: int) -> pd.DataFrame:
    """Trains every reference on at most `jobs` processes and returns their rows, in the order of `specs`.

    The first error ends the other workers and is raised.
    """
    if jobs == 1:
        return pd.concat([_train(s, cache, _named(report, s.label)) for s in specs], ignore_index=True)
    with _pool(min(jobs, len(specs)), report) as submit:
        parts: list[pd.DataFrame] = _finish([submit(_make_reference, s, cache) for s in specs])
        return pd.concat(parts, ignore_index=True)


def check_distinct(specs: Sequence[RunSpec]) -> None:
    """Raises `ScenarioError` where two runs would write into one folder: policies of the same name, a seed twice."""
    seen: set[Path] = set()
    for spec in specs:
        if spec.out in seen:
            raise ScenarioError(
                f"{spec.label}: asked for twice; give each policy file its own 'name' and each seed once."
            )
        seen.add(spec.out)


_OUTBOX: ContextVar[Any] = ContextVar("outbox")
"""A worker's end of the progress queue; it can reach a worker only when that begins, not with a piece of work."""


def _make_world(spec: RunSpec, cache: Path) -> None:
    with _last_work_if_interrupted():
        build_world(spec.scenario, spec.seed, cache, _posting(f"world of seed {spec.seed}"))


def _make_run(spec: RunSpec, cache: Path, overwrite: bool) -> Path:
    with _last_work_if_interrupted():
        return run_one(spec, cache, _posting(spec.label), overwrite=overwrite)


def _make_reference(spec: CentralSpec, cache: Path) -> pd.DataFrame:
    with _last_work_if_interrupted():
        return _train(spec, cache, _posting(spec.label))


def _train(spec: CentralSpec, cache: Path, progress: Progress) -> pd.DataFrame:
    progress("training centrally", 0.0)
    rows = train_centrally(spec, cache)
    progress("training centrally", 1.0)
    return rows


@contextmanager
def _last_work_if_interrupted() -> Iterator[None]:
    """Ends the worker after it has cleared up; the pool would hand it the next piece of work otherwise.

    Only meanwhile a worker that is told to end clears up as after Ctrl-C; between pieces of work it just goes.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: a second signal must not disturb the clearing up
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _posting(label: str) -> Progress:
    return lambda step, done: _OUTBOX.get().put((label, step, done))


@contextmanager
def _pool(workers: int, report: Report) -> Iterator[Callable[..., _Pending]]:
    """A pool of fresh processes, and a queue that is read while results are awaited.

    Ctrl-C reaches only the parent, which then ends the workers: each marks its run as unfinished and stops its SUMO.
    """
    context = multiprocessing.get_context("spawn")
    outbox = context.Queue()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(outbox,)) as pool:

        def submit(work: Callable[..., Any], *arguments: object) -> _Pending:
            with _deaf_to_interrupts():
                return _Pending(pool.submit(work, *arguments), outbox, report)

        try:
            yield submit
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started meanwhile never hear Ctrl-C; this one hears it afterwards. Windows has no such mask."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _begin_worker(outbox: Any) -> None:
    """Prepares a worker to report, and to be told to end when its parent is killed."""
    outbox.cancel_join_thread()  # nobody may read the last reports of a worker that is told to end
    _OUTBOX.set(outbox)

    def watch_parent() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch_parent, daemon=True).start()


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
