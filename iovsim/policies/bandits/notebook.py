"""What RSUs have seen of the arms becomes what a vehicle carries to the next RSU, and nothing is counted twice."""

from __future__ import annotations

from collections.abc import Mapping
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

    Copies cost next to nothing: neither a page nor the pages of a key are ever changed, but replaced.
    """

    owner: str
    arms: int
    forgetting: Forgetting = ALL
    _pages: dict[Key, Mapping[str, Statistics]] = field(init=False, default_factory=dict)  # by key and owner

    def observe(self, key: Key, at_round: int, arm: IntArray, reward: FloatArray, cost: FloatArray) -> None:
        """Writes the outcome of one play, without a batch."""
        pages = self._pages.get(key, {})
        page = pages[self.owner].copy() if self.owner in pages else Statistics((self.arms,), self.forgetting)
        page.observe(at_round, arm, reward, cost)
        self._pages[key] = {**pages, self.owner: page}

    def known(self, key: Key, at_round: int) -> Tally:
        """What all pages of a key say together at the beginning of `at_round`."""
        tally = Statistics((self.arms,)).tally(at_round)
        pages = self._pages.get(key, {})
        aged = {owner: page.aged(at_round) for owner, page in pages.items()}
        if any(aged[owner] is not page for owner, page in pages.items()):
            self._pages[key] = aged
        for owner in sorted(aged):
            tally += aged[owner].tally(at_round)
        return tally

    def copy(self) -> Notebook:
        """What a vehicle takes along: all pages as they are now."""
        other = Notebook(self.owner, self.arms, self.forgetting)
        other._pages = dict(self._pages)
        return other

    def read(self, other: Notebook) -> None:
        """Takes over what another notebook knows more of. Raises `PolicyError` where it is about other arms."""
        if (other.arms, other.forgetting) != (self.arms, self.forgetting):
            raise PolicyError(
                f"bandit: the notebook of {other.owner!r} is about {other.arms} arms with {other.forgetting}, that of "
                f"{self.owner!r} about {self.arms} with {self.forgetting}; give all RSUs the same."
            )
        for key, pages in other._pages.items():
            mine = self._pages.get(key, {})
            news = {
                owner: page
                for owner, page in pages.items()
                if owner != self.owner and (owner not in mine or mine[owner].plays < page.plays)
            }
            if news:
                self._pages[key] = {**mine, **news}
