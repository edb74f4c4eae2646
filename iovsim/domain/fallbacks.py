"""A vehicle that will leave before its job is done has ways to go on, of which a fallback takes one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class WayKind(StrEnum):
    """What may be done with a job whose vehicle is about to leave, or has just left."""

    GO_ON = "go-on"  # as if nothing were wrong, until looked at again
    UPLOAD = "upload"  # stop training here, and upload what is trained
    NEXT_RSU = "next-rsu"  # train to the end, and upload at the next RSU that hosts the task
    CARRIER = "carrier"  # hand the training over to another vehicle, which finishes and uploads
    ABANDON = "abandon"


@dataclass(frozen=True, slots=True)
class Way:
    """One way that is feasible as far as can be foreseen, and what is foreseen of it from now on."""

    kind: WayKind
    to: str = ""  # the next RSU, or the carrier
    takes_s: float = 0.0  # until the update has arrived
    energy_j: float = 0.0  # of all that take part
    sidelink_s: float = 0.0  # the part of the time that is sent from vehicle to vehicle
    fraction: float = 1.0  # of the planned training that the update will hold


@dataclass(frozen=True, slots=True)
class FallbackView:
    """What a fallback may know of one job when it is asked.

    Losses are training losses that updates brought with them; a vehicle's own is that of its latest delivered update,
    the best that of the latest period which brought the task any.
    """

    rsu: str
    round: int
    task: str
    vehicle: str
    time_s: float
    deadline_s: float  # absolute; nothing counts that ends later
    residual_contact_s: float  # a forecast (the policy file says which); 0 where the vehicle has left
    steps: int  # of training done
    planned_steps: int
    step_s: float  # what one takes
    upload_s: float  # what the update would take at the present mean gain
    power_w: float  # that the vehicle radiates while it sends
    spent_j: float  # on the job so far, vehicle and RSU together
    accuracy: float  # latest accuracy of the merged adapter on the task's validation samples, in [0, 1]
    best_loss: float | None  # None: no update has arrived yet
    own_loss: float | None
    ways: tuple[Way, ...]  # abandoning is always among them


class Fallback(Protocol):
    """Decides what becomes of a job that, as foreseen, will not be done before its vehicle leaves."""

    def choose(self, view: FallbackView) -> Way:
        """One of `view.ways`."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What a fallback decided, and when; going on is no decision."""

    kind: WayKind
    to: str  # the RSU that was foreseen, or the carrier; empty where there is none
    time_s: float
