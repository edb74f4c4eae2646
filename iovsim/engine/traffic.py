"""In a live run, what a method does to traffic when rounds begin is checked, done and recorded; then traffic drives on.

Rounds begin with decisions, and all that follows from them is over before the next begin. So traffic is driven to the
end of the period as soon as everybody has decided, and the courses of the jobs are computed as in a replay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from iovsim.domain import Reroute, SetSpeed, StopAt, Traffic, TrafficAction, TrafficRule, TrafficView
from iovsim.engine.ask import own_faults
from iovsim.engine.round import OpenRound
from iovsim.engine.state import Setting
from iovsim.errors import PolicyError, near_match


def drive_on(setting: Setting, opened: Sequence[OpenRound], until_s: float) -> None:
    """Lets the method act on the clients of all rounds that begin now, in order of RSU, and drives to `until_s`.

    Without live traffic there is nothing to do. Raises `PolicyError` for an action that can never be done.
    """
    traffic, rule = setting.traffic, setting.method.traffic
    if traffic is None:
        return
    if rule is not None:
        for over in opened:
            view = _view(traffic, over, until_s)
            for action in ask_traffic(rule, view, traffic.has_edge):
                gone = action.vehicle not in view.drives
                _record(setting, view, action, "has left the road" if gone else traffic.apply(action))
    traffic.advance(until_s)


def _view(traffic: Traffic, opened: OpenRound, until_s: float) -> TrafficView:
    drives = {c.vehicle: traffic.drive(c.vehicle) for c in opened.view.clients}
    return TrafficView(
        time_s=traffic.time_s,
        next_s=until_s,
        round=opened.view,
        plan=opened.plan,
        rsu=opened.rsu,
        drives={vehicle: drive for vehicle, drive in drives.items() if drive is not None},
        edges=traffic.edges,
        stations=traffic.stations,
    )


def ask_traffic(rule: TrafficRule, view: TrafficView, has_edge: Callable[[str], bool]) -> list[TrafficAction]:
    """What the rule does to traffic. Raises `PolicyError` where `act` fails, or gives what can never be done."""
    where = f"RSU {view.rsu.rsu!r}, round {view.round.round}, traffic rule {type(rule).__name__}"
    with own_faults(f"{where}: act()"):
        actions = list(rule.act(view))
    for action in actions:
        admit_action(where, view, has_edge, action)
    return actions


def admit_action(where: str, view: TrafficView, has_edge: Callable[[str], bool], action: TrafficAction) -> None:
    """Raises `PolicyError` for an action of no known kind, on a vehicle, edge or station that is not there, or out of
    range."""
    if not isinstance(action, Reroute | SetSpeed | StopAt):
        raise PolicyError(f"{where}: act() gave {action!r}; allowed are Reroute, SetSpeed and StopAt.")
    clients = [c.vehicle for c in view.round.clients]
    if action.vehicle not in clients:
        raise PolicyError(
            f"{where}: vehicle {action.vehicle!r} is not attached to this RSU; act only on vehicles of "
            f"view.round.clients; {near_match(action.vehicle, clients)}"
        )
    where = f"{where}, vehicle {action.vehicle!r}"
    match action:
        case Reroute(edge=edge) if not has_edge(edge):
            raise PolicyError(f"{where}: the road network has no edge {edge!r}; view.edges has those of the RSUs.")
        case SetSpeed(speed_mps=speed_mps) if not 0 <= speed_mps < math.inf:
            raise PolicyError(f"{where}: speed_mps = {speed_mps:g}; it must be finite and at least 0.")
        case SetSpeed(until_s=until_s) if not view.time_s < until_s < math.inf:
            raise PolicyError(f"{where}: until_s = {until_s:g}; it must be finite and after {view.time_s:g}.")
        case StopAt(station=station) if station not in view.stations:
            known = near_match(station, view.stations) if view.stations else "it has none."
            raise PolicyError(f"{where}: the map has no charging station {station!r}; {known}")
        case StopAt(stay_s=stay_s) if not 0 < stay_s < math.inf:
            raise PolicyError(f"{where}: stay_s = {stay_s:g}; it must be finite and positive.")


def _record(setting: Setting, view: TrafficView, action: TrafficAction, message: str) -> None:
    row: dict[str, object] = {"place": "", "speed_mps": None, "until_s": None, "stay_s": None}
    match action:
        case Reroute(edge=edge):
            row |= {"action": "reroute", "place": edge}
        case SetSpeed(speed_mps=speed_mps, until_s=until_s):
            row |= {"action": "speed", "speed_mps": speed_mps, "until_s": until_s}
        case StopAt(station=station, stay_s=stay_s):
            row |= {"action": "stop", "place": station, "stay_s": stay_s}
    setting.recorder.add(
        "actions",
        time_s=view.time_s,
        rsu=view.rsu.rsu,
        round=view.round.round,
        vehicle=action.vehicle,
        done=not message,
        message=message,
        **row,
    )
