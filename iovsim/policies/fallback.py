"""Fallbacks: what becomes of a job whose vehicle will leave before it is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from iovsim.domain import FallbackView, Way, WayKind
from iovsim.errors import ScenarioError

FORMS = ("paper", "authors")


@dataclass(frozen=True)
class CheapestWay:
    """The feasible way of least cost, in the form that was reconstructed for the rank-scheduling paper ("paper"):

        upload    gamma max(0, q* - q) (1 - f) + alpha seconds + beta joules
        migrate   alpha seconds + beta joules                     to the next RSU or to any carrier
        abandon   beta joules spent so far + gamma q*

    or in that of its authors' code ("authors"), where every cost but sending is left out, the next RSU is no choice,
    and of several carriers the last one counts instead of the best (by name here):

        upload    gamma max(0, q* - q)
        migrate   (alpha + beta watts) seconds on the sidelink
        abandon   beta joules spent so far + gamma q*

    alpha, beta and gamma, with q in percent, are those of the authors' code. f is the part of the training that is
    done. Ours: the authors measure q, the vehicle's accuracy on its own test samples, and q*, the best of the previous
    round, after every local training; here only losses are known, and q = 100 exp(-loss), the likelihood that the
    training gives a right answer, of the latest update that arrived. A vehicle without one has no gap to the best;
    before any update q* is the validated accuracy. In either form, what is not feasible is not chosen, so abandoning,
    the dearest way almost always, is for those who have no other.

    Whoever knows exactly when a vehicle leaves would be asked before its first step, when nothing is there to upload.
    So the choice waits (ours) for as long as one step more takes no way away: until the last step after which an upload
    is still in time, and, where the choice is to go on to the next RSU or to give up, until the training is over or the
    vehicle has left. `at_once` takes the reconstruction at its word: the first time it is asked, it decides.
    """

    form: str = "paper"
    alpha: float = 0.2  # a second
    beta: float = 0.05  # a joule
    gamma: float = 2.0  # a percent of accuracy
    at_once: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ScenarioError(f"form = {self.form!r}: must be one of {', '.join(FORMS)}.")
        for name in ("alpha", "beta", "gamma"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ScenarioError(f"{name} = {getattr(self, name):g}: must be finite and at least 0.")

    def choose(self, view: FallbackView) -> Way:
        best, best_cost = view.ways[0], math.inf
        for way in self._choices(view):
            cost = self.cost(view, way)
            if cost < best_cost:
                best, best_cost = way, cost
        return best if self.at_once else patient(view, best)

    def cost(self, view: FallbackView, way: Way) -> float:
        """Of a way other than going on."""
        top, own = qualities(view)
        gap = max(0.0, top - own)
        if way.kind is WayKind.ABANDON:
            return self.beta * view.spent_j + self.gamma * top
        if self.form == "authors":
            lost = self.gamma * gap if way.kind is WayKind.UPLOAD else 0.0
            return lost + (self.alpha + self.beta * view.power_w) * way.sidelink_s
        return self.gamma * gap * (1.0 - way.fraction) + self.alpha * way.takes_s + self.beta * way.energy_j

    def _choices(self, view: FallbackView) -> list[Way]:
        """All but going on, in the order in which ties are decided."""
        ways = [way for way in view.ways if way.kind is not WayKind.GO_ON]
        if self.form == "paper":
            return ways
        carriers = sorted((way for way in ways if way.kind is WayKind.CARRIER), key=lambda way: way.to)
        rest = [way for way in ways if way.kind in (WayKind.UPLOAD, WayKind.ABANDON)]
        return [*rest[:-1], *carriers[-1:], *rest[-1:]]


@dataclass(frozen=True)
class EarlyUpload:
    """Uploads what is trained, at the last step after which that is still in time (`at_once`: at the first alarm).

    What all baselines do in the rank-scheduling paper's code. Where there is nothing to upload, or no time, the job is
    abandoned: when the vehicle has left, and not before the training is over (`at_once`: there and then).
    """

    at_once: bool = False

    def choose(self, view: FallbackView) -> Way:
        best = way_of(view, WayKind.UPLOAD) or way_of(view, WayKind.ABANDON) or view.ways[0]
        return best if self.at_once else patient(view, best)


def patient(view: FallbackView, best: Way) -> Way:
    """Going on in place of `best`, where one more look costs nothing (see `CheapestWay`)."""
    go_on = way_of(view, WayKind.GO_ON)
    if go_on is None:
        return best
    if best.kind is WayKind.ABANDON:
        return go_on
    if view.steps == view.planned_steps:
        return best
    in_time_later = view.residual_contact_s - view.step_s >= view.upload_s
    return go_on if in_time_later or best.kind is WayKind.NEXT_RSU else best


def way_of(view: FallbackView, kind: WayKind) -> Way | None:
    """The first way of a kind."""
    return next((way for way in view.ways if way.kind is kind), None)


def qualities(view: FallbackView) -> tuple[float, float]:
    """The task's best quality and the vehicle's own, in percent (see `CheapestWay`)."""
    top = 100.0 * (view.accuracy if view.best_loss is None else math.exp(-view.best_loss))
    return top, top if view.own_loss is None else 100.0 * math.exp(-view.own_loss)
