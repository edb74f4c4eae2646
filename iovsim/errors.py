"""The error tree: every mistake of a user ends in one of these, with a line that says where, what, and what to do.

```
IovsimError            base of everything this package raises on purpose
├── ScenarioError      a world, policy or map file is wrong
├── TraceError         a mobility trace or SUMO run is wrong
├── PolicyError        a policy asked for something that physics or the budget forbids
├── TrainingError      data, weights or a training job are wrong
└── ResultsError       a run folder cannot be read or written, or runs cannot be compared
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class IovsimError(Exception):
    """Base class. `str(error)` is one line for the user: where, what was found, what is allowed, what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback, as the command does."""
        return [f"{type(self).__name__}: {self}"]


class ScenarioError(IovsimError):
    """A world, policy or map file is wrong."""


class TraceError(IovsimError):
    """A mobility trace or the SUMO run that should make it is wrong."""


class PolicyError(IovsimError):
    """A policy asked for something that physics, memory or the budget forbids."""


class TrainingError(IovsimError):
    """Data, weights or a training job are wrong."""


class ResultsError(IovsimError):
    """A run folder cannot be read or written, or the runs cannot be compared."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Errors that arise inside begin with `where`: for parts that do not know which file they work for."""
    try:
        yield
    except IovsimError as error:
        if str(error).startswith(where):
            raise
        raise type(error)(f"{where}: {error}") from error


def near_match(name: str, allowed: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest valid name, then all of them.

    >>> near_match("rayliegh", ["none", "rayleigh"])
    "did you mean 'rayleigh'? Allowed: 'none', 'rayleigh'."
    """
    names = sorted(allowed)
    listed = f"Allowed: {', '.join(repr(n) for n in names)}."
    close = difflib.get_close_matches(name, names, n=1) or [n for n in names if name and name in n]
    return f"did you mean {close[0]!r}? {listed}" if close else listed[0].lower() + listed[1:]
