"""A player and arms become what it earned and spent by round: the loop of the laboratory, for all seeds at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from iovsim.domain import FloatArray, IntArray
from iovsim.policies.bandits import Offer
from iovsim.policies.bandits.statistics import played
from iovsim.regret.arms import Arms
from iovsim.regret.players import AUTHORS_REWARD, EVERY, Player, capped
from iovsim.rng import stream

CHUNK = 512
"""Rounds of random numbers that are drawn together."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Running sums by round at which they were noted, and by seed."""

    rounds: IntArray  # (noted,)
    by_phase: FloatArray  # (noted, phases, seeds, vehicles, arms): plays
    spent: FloatArray  # (noted, seeds): costs really paid
    price: FloatArray  # (noted, seeds): after that round

    @property
    def plays(self) -> FloatArray:
        """(noted, seeds, vehicles, arms), in whichever phase."""
        total: FloatArray = self.by_phase.sum(axis=1)
        return total

    def joined(self, other: Course) -> Course:
        """This one's rounds, then the other's."""
        return Course(
            *(np.concatenate([getattr(self, n), getattr(other, n)]) for n in ("rounds", "by_phase", "spent", "price"))
        )


@dataclass(slots=True, eq=False)
class SeedStreams:
    """Random numbers of which those of a seed do not depend on the other seeds; the first axis holds the seeds.

    All players on the same arms meet the same outcomes: those are drawn by the round, whatever is played.
    """

    seeds: Sequence[int]
    names: tuple[str, ...]
    _left: dict[tuple[str, tuple[int, ...]], tuple[FloatArray, int]] = field(init=False, default_factory=dict)
    _streams: dict[tuple[str, tuple[int, ...]], list[np.random.Generator]] = field(init=False, default_factory=dict)

    def random(self, size: tuple[int, ...], /) -> FloatArray:
        return self._next("random", size[1:])

    def standard_normal(self, size: tuple[int, ...], /) -> FloatArray:
        return self._next("standard_normal", size[1:])

    def _next(self, kind: str, size: tuple[int, ...]) -> FloatArray:
        numbers, at = self._left.get((kind, size), (np.empty(0), CHUNK))
        if at == CHUNK:
            if (kind, size) not in self._streams:
                self._streams[kind, size] = [stream(s, "regret", *self.names, kind, *size) for s in self.seeds]
            drawn = [getattr(rng, kind)((CHUNK, *size)) for rng in self._streams[kind, size]]
            numbers, at = np.stack(drawn, axis=1), 0
        self._left[kind, size] = (numbers, at + 1)
        now: FloatArray = numbers[at]
        return now


def play(
    player: Player,
    name: str,
    arms: Arms,
    seeds: Sequence[int],
    noted: Sequence[int],
    explore: float = 1.0,
    report: Callable[[float], None] = lambda done: None,
) -> Course:
    """Plays until the last of the rounds to be noted; where the player must know its horizon, once for each of them."""
    if player.knows_horizon and len(noted) > 1:
        total, before = sum(noted), 0
        course: Course | None = None
        for horizon in noted:
            part = _part(report, before / total, horizon / total)
            one = _game(player, name, arms, seeds, [horizon], explore, part)
            course = one if course is None else course.joined(one)
            before += horizon
        assert course is not None
        return course
    return _game(player, name, arms, seeds, noted, explore, report)


def _part(report: Callable[[float], None], start: float, share: float) -> Callable[[float], None]:
    """Reports of a part of the work as those of the whole."""
    return lambda done: report(start + share * done)


def _game(
    player: Player,
    name: str,
    arms: Arms,
    seeds: Sequence[int],
    noted: Sequence[int],
    explore: float,
    report: Callable[[float], None],
) -> Course:
    batch = (len(seeds), len(arms.tiers))
    learner, price = player.learner(arms, len(seeds), explore), player.price(arms, len(seeds), noted[-1])
    within, budget = capped(arms) if player.authors else (np.ones(arms.costs.shape, dtype=np.bool_), arms.budget)
    feasible = np.broadcast_to(within, (len(seeds), *within.shape))
    context = np.broadcast_to(arms.context, (len(seeds), *arms.context.shape))
    unit, every = (AUTHORS_REWARD, EVERY) if player.authors else (1.0, 1)
    ranks, allowed = np.array(arms.ranks), np.array(budget)
    outcomes, noise = SeedStreams(seeds, ("outcomes", arms.name)), SeedStreams(seeds, ("bandit", name))
    plays, spent = np.zeros((len(arms.rewards), *batch, len(arms.ranks))), np.zeros(len(seeds))
    found: list[tuple[FloatArray, ...]] = []
    wanted = set(noted)
    for number in range(1, noted[-1] + 1):
        choice = learner.choose(Offer(number, feasible, price.value[:, None], context), noise)
        phase = arms.phase(number)
        reward, cost = arms.outcome(choice.arm, outcomes.random((*batch, 2)), phase)
        learner.observe(choice, unit * reward, cost)
        paid = cost.sum(axis=1)
        if number % every == 0:
            price.update(ranks[choice.arm].sum(axis=1) if player.authors else paid, allowed, batch[1])
        plays[phase].reshape(-1)[played(choice.arm, len(ranks))] += 1.0
        spent += paid
        if number in wanted:
            found.append((plays.copy(), spent.copy(), price.value.copy()))
        if number % 1024 == 0:
            report(number / noted[-1])
    return Course(np.array(noted), *(np.stack(parts) for parts in zip(*found, strict=True)))
