"""The stage that gives each client a random part of the model's blocks (FedRA)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from iovsim.domain import Assignment, ClientView, RoundPlan, RoundView
from iovsim.errors import PolicyError, ScenarioError, near_match
from iovsim.policies.draft import clients_of


@dataclass(frozen=True)
class RandomBlocks:
    """In each round every client gets as many adapted blocks as its tier's share says, drawn without replacement.

    These are the rows of FedRA's random allocation matrix (Su et al. 2023, arXiv:2311.11227). `shares` are by device
    tier, above 0 and at most 1, rounded to whole blocks and at least one; a client that has not the memory for so many
    gets as many as it has. Blocks below those that are adapted stay where they are (ours).
    """

    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        wrong = [f"{tier} = {share!r}" for tier, share in self.shares.items() if not _is_share(share)]
        if wrong or not self.shares:
            raise ScenarioError(
                f"shares: found {', '.join(wrong) or 'no tier'}; give each device tier a number above 0 and at most 1, "
                "like shares = { orin-nano = 0.5, agx-orin = 1.0 }."
            )

    def __call__(self, view: RoundView, plan: RoundPlan) -> RoundPlan:
        clients, counts = clients_of(view), {task.task: task.blocks for task in view.tasks}
        assignments: dict[str, Assignment] = {}
        for vehicle, assignment in sorted(plan.assignments.items()):
            count = counts[assignment.task]
            if not count:
                raise PolicyError(
                    f"random blocks: no block of task {assignment.task!r}'s model can be left out; choose a backbone "
                    "whose blocks lie in one list (not Swin), and a tuning with adapters."
                )
            drawn = view.rng.permutation(count)
            depth = self._depth(view, assignment, clients[vehicle], count)
            assignments[vehicle] = replace(assignment, blocks=tuple(sorted(drawn[:depth].tolist())))
        return RoundPlan(assignments)

    def _depth(self, view: RoundView, assignment: Assignment, client: ClientView, count: int) -> int:
        if client.tier not in self.shares:
            raise PolicyError(
                f"random blocks: the tier {client.tier!r} has none; {near_match(client.tier, self.shares)} "
                "Add it to 'shares'."
            )
        wanted = max(1, round(self.shares[client.tier] * count))
        fitting = (
            depth
            for depth in range(wanted, 0, -1)
            if view.estimate(replace(assignment, blocks=tuple(range(depth)))).memory_bits <= client.memory_bits
        )
        return next(fitting, 1)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
