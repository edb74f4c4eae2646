"""A scenario and a seed become a world: all that no policy can change, under one hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iovsim.domain.contacts import ContactBook, LinkBook, Radio, Rsu, SidelinkBook
from iovsim.domain.tasks import Task
from iovsim.domain.vehicles import Vehicle


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """All that no policy can change, under one content hash."""

    name: str
    hash: str
    seed: int
    start_s: float
    end_s: float
    rsus: tuple[Rsu, ...]  # sorted by name
    contacts: ContactBook
    links: LinkBook
    sidelinks: SidelinkBook
    vehicles: Mapping[str, Vehicle]
    tasks: tuple[Task, ...]
    radio: Radio
    round_period_s: float
    round_deadline_s: float  # after the round's start; at most the period
    merge_every_rounds: int
    refuse_over_budget: bool  # a plan estimated above budget is an error, instead of being recorded as an overrun
    evaluate_every_merges: int
    evaluate_vehicles_every_merges: int | None  # None: after the last merge only
    keep_adapters_every_merges: int | None  # None: the last only
    evaluated_vehicles: Mapping[str, tuple[str, ...]]  # by task: on whose own held-out samples adapters are evaluated
