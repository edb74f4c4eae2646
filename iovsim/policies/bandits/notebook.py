"""What RSUs have seen of the arms becomes what a vehicle carries to the next RSU, and nothing is counted twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from iovsim.domain import FloatArray, IntArray
from iovsim.errors import PolicyError
from iovsim.policies.bandits.statistics import ALL, Forgetting, Statistics, Tally

Key = tuple[str, str]
"""Whose arms are taken to be alike: a task, and a device tier (or a vehicle, for statistics of its own)."""


@dataclass(slots=True, eq=False)
class Notebook:
    """Arms' statistics by key, and by who has observed them: a page each.

    Only its owner writes its pages; of others' pages it holds copies, and of two copies of a page the one that has seen
    more plays says all that the other does. So merging may be repeated, in any order, over any vehicles, and comes to
    the same (a grow-only counter: Shapiro et al. 2011, INRIA RR-7506, section 3.1).
    """

    owner: str
    arms: int
    forgetting: Forgetting = ALL
    _pages: dict[tuple[str, Key], Statistics] = field(init=False, default_factory=dict)  # by owner and key

    def observe(self, key: Key, at_round: int, arm: IntArray, reward: FloatArray, cost: FloatArray) -> None:
        """Writes the outcome of one play, without a batch."""
        page = self._pages.setdefault((self.owner, key), Statistics((self.arms,), self.forgetting))
        page.observe(at_round, arm, reward, cost)

    def known(self, key: Key, at_round: int) -> Tally:
        """What all pages of a key say together at the beginning of `at_round`."""
        tally = Statistics((self.arms,)).tally(at_round)
        for (_, mine), page in sorted(self._pages.items(), key=lambda item: item[0]):
            if mine == key:
                tally += page.tally(at_round)
        return tally

    def copy(self) -> Notebook:
        """What a vehicle takes along: all pages as they are now."""
        other = Notebook(self.owner, self.arms, self.forgetting)
        other._pages = {at: page.copy() for at, page in self._pages.items()}
        return other

    def read(self, other: Notebook) -> None:
        """Takes over what another notebook knows more of. Raises `PolicyError` where it is about other arms."""
        if (other.arms, other.forgetting) != (self.arms, self.forgetting):
            raise PolicyError(
                f"bandit: the notebook of {other.owner!r} is about {other.arms} arms with {other.forgetting}, that of "
                f"{self.owner!r} about {self.arms} with {self.forgetting}; give all RSUs the same."
            )
        for (owner, key), page in other._pages.items():
            mine = self._pages.get((owner, key))
            if owner != self.owner and (mine is None or mine.plays < page.plays):
                self._pages[owner, key] = page.copy()
