"""A worker process does one piece of work after another, and tells its parent how far it is."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, TypeVar

INTERRUPTED = 130
"""Exit status of a process ended by Ctrl-C: 128 + SIGINT."""

TELL_EVERY_S = 0.1
"""How often the same step of work is reported at most: reports cost the parent time."""

T = TypeVar("T")


class News(Enum):
    """What a message of a worker is about; what follows it."""

    PROGRESS = "step and part done"
    OPENED = "what the pieces of a group share is there"
    DONE = "the result"
    FAILED = "the error"


@dataclass(slots=True)
class Desk:
    """What a piece of work gets: a place for its reports, and what the piece before it has left."""

    tell: Callable[[News, Any], None]
    worker: int = 0  # its number among those at work
    _key: Hashable = None
    _thing: Any = None
    _told: tuple[str, float] = field(default=("", 0.0))

    def progress(self, step: str, done: float) -> None:
        """Reports the part of a step that is done."""
        now_s = time.monotonic()
        if step != self._told[0] or done >= 1.0 or now_s - self._told[1] >= TELL_EVERY_S:
            self._told = step, now_s
            self.tell(News.PROGRESS, (step, done))

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes, or what it made for the piece before, if that had the same key."""
        if self._key != key:
            self._key = self._thing = None  # before, so that not both are in memory
            self._thing = make()
            self._key = key
        self.tell(News.OPENED, None)
        thing: T = self._thing
        return thing


Work = Callable[[Desk], Any]


def serve(pipe: Connection, number: int) -> None:
    """Does what comes through the pipe until it is closed at the other end; `number` is that of this worker."""
    _end_with_parent()
    desk = Desk(lambda news, what: pipe.send((news, what)), number)
    while True:
        try:
            work: Work = pipe.recv()
        except EOFError:
            return
        with _last_work_if_interrupted(), suppress(BrokenPipeError):
            pipe.send(_outcome(work, desk))


def _outcome(work: Work, desk: Desk) -> tuple[News, Any]:
    try:
        return News.DONE, work(desk)
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            pickle.loads(pickle.dumps(error))  # some errors can be sent but not read
        except Exception:
            return News.FAILED, RuntimeError(traceback.format_exc())
        return News.FAILED, error


@contextmanager
def _last_work_if_interrupted() -> Iterator[None]:
    """Ends the worker after it has cleared up.

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


def _end_with_parent() -> None:
    """Has this process told to end when its parent is killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
