"""What a node is asked to make becomes a task of Ray: it tells a board how far it is, and answers with its mistake.

Only what is called loads torch: the board's own process has no use for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import ray

from iovsim.errors import IovsimError

if TYPE_CHECKING:
    from iovsim.experiment.run import RunSpec
    from iovsim.results.manifest import Origin
    from iovsim.studies.errand import Errand, Kept
    from iovsim.studies.parcel import Parcel

TELL_EVERY_S = 0.5
"""How often a run tells of the same step at most."""

T = TypeVar("T")


class Board:
    """The latest that each run has told, until it is taken away: never more than a line a run."""

    def __init__(self) -> None:
        self._news: dict[str, tuple[str, float]] = {}

    def tell(self, label: str, step: str, done: float) -> None:
        self._news[label] = step, done

    def take(self) -> Mapping[str, tuple[str, float]]:
        news, self._news = self._news, {}
        return news


def make_world(label: str, board: Any, spec: RunSpec, errand: Errand) -> Kept | IovsimError:
    from iovsim.studies.errand import world_made

    return _or_error(lambda: world_made(spec, errand, ray.get, _teller(board, label)))


def make_data(label: str, board: Any, spec: RunSpec, task: str, errand: Errand) -> Kept | IovsimError:
    from iovsim.studies.errand import data_made

    return _or_error(lambda: data_made(spec, task, errand, ray.get, _teller(board, label)))


def make_run(
    board: Any, spec: RunSpec, origin: Origin | None, errand: Errand, *made: Kept | IovsimError
) -> Parcel | IovsimError | None:
    from iovsim.studies.errand import run_made

    for one in made:
        if isinstance(one, IovsimError):
            return one
    kept = [one for one in made if not isinstance(one, IovsimError)]
    return _or_error(lambda: run_made(spec, origin, errand, kept, ray.get, _teller(board, spec.label)))


def _or_error(make: Callable[[], T]) -> T | IovsimError:
    """What is made, or the user's mistake, which is an answer and no failure of the task."""
    try:
        return make()
    except IovsimError as error:
        return error


def _teller(board: Any, label: str) -> Callable[[str, float], None]:
    """Tells the board, and waits for no answer: whether it hears is nothing to the run."""
    told: tuple[str, float] = "", 0.0

    def tell(step: str, done: float) -> None:
        nonlocal told
        now_s = time.monotonic()
        if step != told[0] or now_s - told[1] >= TELL_EVERY_S:
            told = step, now_s
            board.tell.remote(label, step, done)

    return tell
