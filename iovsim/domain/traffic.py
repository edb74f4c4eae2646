"""What a method may do to traffic in a live run, what it may know for that, and who does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from iovsim.domain.batteries import Batteries
from iovsim.domain.contacts import Rsu
from iovsim.domain.plans import RoundPlan, RoundView


@dataclass(frozen=True, slots=True)
class Reroute:
    """Drive by way of an edge, on the fastest route, and from there to the old destination."""

    vehicle: str
    edge: str


@dataclass(frozen=True, slots=True)
class SetSpeed:
    """Drive at a speed, as far as the vehicle ahead, signals and the road allow, until a time; then as before."""

    vehicle: str
    speed_mps: float
    until_s: float  # absolute


@dataclass(frozen=True, slots=True)
class StopAt:
    """Go by way of a charging station, if it is not on the way already, and stop there, beside the road."""

    vehicle: str
    station: str
    stay_s: float


TrafficAction = Reroute | SetSpeed | StopAt


@dataclass(frozen=True, slots=True)
class Station:
    """A charging station: its middle, and the power at which it fills a battery."""

    x_m: float
    y_m: float
    power_w: float


@dataclass(frozen=True, slots=True)
class Drive:
    """What a vehicle tells of its motion."""

    vehicle: str
    x_m: float
    y_m: float
    vx_mps: float
    vy_mps: float
    edge: str  # that it is on
    allowed_mps: float  # what it would drive at on its lane if nothing were in its way
    station: str = ""  # the charging station that it is to stop at, or stands at; empty: none


@dataclass(frozen=True, slots=True, eq=False)
class TrafficView:
    """What a rule may know when it is asked, one step of the traffic after the start of a round: the round as it was at
    its start, the plan, and how its clients drive now."""

    time_s: float  # now
    next_s: float  # the start of the next round
    round: RoundView
    plan: RoundPlan  # as it was admitted
    rsu: Rsu
    drives: Mapping[str, Drive]  # of all clients that are still on the road, by vehicle
    edges: Mapping[str, str]  # by RSU, of the whole city: the edge nearest to it
    stations: Mapping[str, Station]  # charging stations, by name


class TrafficRule(Protocol):
    """Acts on the traffic of an RSU's clients, once its plan was admitted. It is made anew for every run."""

    def act(self, view: TrafficView) -> Sequence[TrafficAction]: ...


class Traffic(Protocol):
    """A city's traffic that is driven beside the engine (mobility makes it, the engine drives it).

    It is one step ahead of the engine when a round begins, since who is in coverage then depends on who is still on the
    road a step later; and a period ahead once all that is decided at its start was done.
    """

    @property
    def time_s(self) -> float:
        """How far it has been driven."""
        ...

    @property
    def edges(self) -> Mapping[str, str]:
        """By RSU the edge nearest to it."""
        ...

    @property
    def stations(self) -> Mapping[str, Station]:
        """The charging stations by name, sorted."""
        ...

    @property
    def batteries(self) -> Batteries | None:
        """Those of the vehicles, if any have one."""
        ...

    def has_edge(self, edge: str) -> bool: ...

    def drive(self, vehicle: str) -> Drive | None:
        """How a vehicle drives now; None where it has left the road."""
        ...

    def apply(self, action: TrafficAction) -> str:
        """Has a vehicle that is on the road do it; returns why it cannot, or an empty text."""
        ...

    def advance(self, until_s: float) -> None:
        """Drives on until all is known that happens up to `until_s`, and who is on the road a step later."""
        ...
