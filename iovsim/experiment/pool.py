"""Pieces of work become results, on several worker processes: no more than memory holds, and the dead are replaced."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from iovsim.errors import ResultsError
from iovsim.experiment.memory import available_bytes, resident_bytes
from iovsim.experiment.worker import Desk, News, Work, serve

Report = Callable[[str, str, float], None]
"""Takes the label of a piece of work, the name of its step, and the part of the step that is done."""

POLL_S = 0.5
RETRIES = 3
"""How often a piece of work is begun again after its worker died: killed by hand, by the system, for want of memory."""

FIRST_GUESS_BYTES = 1024**3
"""Of memory for a worker, before any has shown what it takes; torch and a small model need about half of it."""

RESERVE = 1.25
"""A worker is begun where this many times the most that one has taken so far is free."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One piece of work. Of a group only one is begun until it has made what they share (`Desk.shared`)."""

    label: str
    work: Work
    group: Hashable = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a piece of work ended; `error` is None where it ended well."""

    number: int
    result: Any
    error: Exception | None = None


def work_through(pieces: Sequence[Piece], workers: int, report: Report) -> Generator[Outcome, None, None]:
    """Does all pieces on at most so many processes; outcomes come as they are ready.

    Closing the iterator ends the workers: each clears up what it was doing. A piece whose worker dies is begun again,
    `RETRIES` times at most, and then counts as failed with a `ResultsError`.
    """
    pool = _Pool(list(pieces), workers, report)
    try:
        yield from pool.outcomes()
    finally:
        pool.end()


def work_here(pieces: Sequence[Piece], report: Report) -> Generator[Outcome, None, None]:
    """Does all pieces in this process, those of a group one after the other."""
    groups: list[Hashable] = list(dict.fromkeys(piece.group for piece in pieces))
    label = ""

    def tell(news: News, what: tuple[str, float]) -> None:
        if news is News.PROGRESS:
            report(label, *what)

    desk = Desk(tell)
    for number, piece in sorted(enumerate(pieces), key=lambda numbered: groups.index(numbered[1].group)):
        label = piece.label
        try:
            outcome = Outcome(number, piece.work(desk))
        except Exception as error:
            outcome = Outcome(number, None, error)
        yield outcome


@dataclass(slots=True, eq=False)
class _Worker:
    number: int  # no two at work have the same
    process: SpawnProcess
    pipe: Connection
    piece: int | None = None  # what it is at
    group: Hashable = None  # of the last piece


@dataclass(slots=True, eq=False)
class _Pool:
    pieces: list[Piece]
    most: int
    report: Report
    waiting: list[int] = field(init=False)
    workers: list[_Worker] = field(default_factory=list)
    opened: set[Hashable] = field(default_factory=set)
    deaths: dict[int, int] = field(default_factory=dict)
    taken_bytes: int = 0  # the most that any worker took so far

    def __post_init__(self) -> None:
        self.waiting = list(range(len(self.pieces)))

    def outcomes(self) -> Iterator[Outcome]:
        while self.waiting or self._busy():
            self._begin_what_can_begin()
            ready = wait([w.pipe for w in self._busy()], timeout=POLL_S)
            self.taken_bytes = max([self.taken_bytes, *(resident_bytes(w.process.pid) for w in self.workers)])
            for worker in [w for w in self.workers if w.pipe in ready]:
                outcome = self._heard(worker)
                if outcome is not None:
                    yield outcome

    def end(self) -> None:
        """Ends all workers: those at work are told to clear up, the others have nothing more to wait for."""
        for worker in self.workers:
            if worker.piece is None:
                worker.pipe.close()
            else:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()

    def _busy(self) -> list[_Worker]:
        return [w for w in self.workers if w.piece is not None]

    def _begin_what_can_begin(self) -> None:
        while self.waiting:
            idle = [w for w in self.workers if w.piece is None]
            number, worker = self._next_for(idle)
            if number is None:
                return
            if worker is None:
                if len(self.workers) >= self.most or not self._memory_is_free():
                    return
                worker = _begun(next(n for n in itertools.count() if all(n != w.number for w in self.workers)))
                self.workers.append(worker)
            self.waiting.remove(number)
            worker.piece, worker.group = number, self.pieces[number].group
            with suppress(OSError):  # it has just died: its pipe will say so
                worker.pipe.send(self.pieces[number].work)

    def _next_for(self, idle: list[_Worker]) -> tuple[int | None, _Worker | None]:
        """A piece that may begin, and the idle worker for it, best one that knows its group; None: a new worker."""
        begun = {w.group for w in self._busy()}
        free = [n for n in self.waiting if self._may_begin(self.pieces[n].group, begun)]
        for worker in idle:
            for number in free:
                if self.pieces[number].group == worker.group:
                    return number, worker
        if not free:
            return None, None
        # A group that nobody is at first: workers on different groups make nothing twice.
        number = next((n for n in free if self.pieces[n].group not in begun), free[0])
        return number, (idle[0] if idle else None)

    def _may_begin(self, group: Hashable, begun: set[Hashable]) -> bool:
        return group is None or group in self.opened or group not in begun

    def _memory_is_free(self) -> bool:
        if not self.workers:
            return True
        return available_bytes() >= RESERVE * (self.taken_bytes or FIRST_GUESS_BYTES)

    def _heard(self, worker: _Worker) -> Outcome | None:
        """Takes a worker's next message; its last one, or its death, may be an outcome."""
        number = worker.piece
        if number is None:
            raise RuntimeError("only workers with a piece of work are listened to")
        piece = self.pieces[number]
        try:
            news, what = worker.pipe.recv()
        except (EOFError, OSError):
            return self._died(worker, number)
        if news is News.PROGRESS:
            self.report(piece.label, *what)
            return None
        if news is News.OPENED:
            self.opened.add(piece.group)
            return None
        worker.piece = None
        return Outcome(number, what) if news is News.DONE else Outcome(number, None, what)

    def _died(self, worker: _Worker, number: int) -> Outcome | None:
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        self.deaths[number] = self.deaths.get(number, 0) + 1
        if self.deaths[number] <= RETRIES:
            self.waiting.insert(0, number)
            return None
        message = (
            f"{self.pieces[number].label}: its process died {self.deaths[number]} times ({_cause(worker.process)}); "
            "give it more memory, or use fewer --jobs, then give the same command again."
        )
        return Outcome(number, None, ResultsError(message))


def _begun(number: int) -> _Worker:
    """A new worker, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, number), daemon=True)
    resource_tracker.ensure_running()  # starting it has this process hear Ctrl-C again
    with _deaf_to_interrupts():
        process.start()
    theirs.close()  # so that the pipe ends when the worker does
    return _Worker(number, process, ours)


def _cause(process: SpawnProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        return f"last by signal {signal.Signals(-code).name}"
    return f"last with exit status {code}"


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
