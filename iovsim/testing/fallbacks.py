"""The contract of fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from iovsim.domain import Fallback, FallbackView, Way, WayKind
from iovsim.engine.ask import ask_fallback
from iovsim.errors import PolicyError
from iovsim.rng import stream

CALLS = 500


def check_fallback(make: Callable[[], Fallback]) -> None:
    """Asks a fallback about many jobs and raises `PolicyError` with the first fault.

    Jobs that have hardly begun and such that are all but done, vehicles that are about to leave, have left, or were
    misjudged, any mixture of feasible ways, losses that are known or not. One of the ways offered must be taken, and a
    fallback made anew must take the same. `make` is called twice.
    """
    first, second = make(), make()
    for view in _views():
        if ask_fallback(first, view) != ask_fallback(second, view):
            raise PolicyError(
                f"{type(first).__name__}: two fresh instances choose differently for the same job; draw only from "
                "iovsim.rng.stream, by name."
            )


def _views() -> Iterator[FallbackView]:
    for number in range(CALLS):
        rng = stream(0, "check fallback", number)
        planned = int(rng.integers(1, 40))
        steps = int(rng.integers(0, planned + 1))
        has_left = bool(rng.random() < 0.2)
        residual_s = 0.0 if has_left else float(rng.uniform(0.0, 20.0))
        yield FallbackView(
            rsu="rsu0",
            round=number,
            task="signs",
            vehicle="v00",
            time_s=100.0,
            deadline_s=float(100.0 + rng.uniform(0.1, 30.0)),
            residual_contact_s=residual_s,
            steps=steps,
            planned_steps=planned,
            step_s=float(rng.uniform(0.01, 3.0)),
            upload_s=float(rng.uniform(0.1, 9.0)),
            power_w=0.2,
            spent_j=float(rng.choice([0.0, 1.0, 1e4])),
            accuracy=float(rng.uniform()),
            best_loss=None if rng.random() < 0.3 else float(rng.uniform(0.0, 5.0)),
            own_loss=None if rng.random() < 0.3 else float(rng.uniform(0.0, 5.0)),
            ways=_ways(rng, steps / planned, has_left),
        )


def _ways(rng: np.random.Generator, done: float, has_left: bool) -> tuple[Way, ...]:
    """Those that can be had at all, each offered or not."""
    ways = [] if has_left else [Way(WayKind.GO_ON, "", *_cost(rng))]
    if not has_left and 0.0 < done < 1.0 and rng.random() < 0.6:
        ways.append(Way(WayKind.UPLOAD, "", *_cost(rng), fraction=done))
    if rng.random() < 0.5:
        ways.append(Way(WayKind.NEXT_RSU, "rsu1", *_cost(rng)))
    if not has_left and done > 0.0:
        carriers = range(int(rng.integers(0, 4)))
        ways += [Way(WayKind.CARRIER, f"v{9 - k:02}", *_cost(rng), float(rng.uniform(0.01, 2.0))) for k in carriers]
    return (*ways, Way(WayKind.ABANDON, fraction=0.0))


def _cost(rng: np.random.Generator) -> tuple[float, float]:
    """Seconds and joules."""
    return float(rng.uniform(0.1, 20.0)), float(rng.uniform(0.1, 300.0))
