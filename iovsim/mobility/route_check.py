"""Route files whose errors SUMO was told to ignore become a count of broken routes, or one error.

SUMO stops at the first route with a gap. With `ignore-route-errors` it says nothing about it: the vehicle drives up to
the gap and stands there until it is teleported, and the queue behind it grows. So errors are only ignored if asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from iovsim.errors import TraceError
from iovsim.mobility.sumo_config import SumoInputs, run_tool, sumo_message, sumo_tool

FAULT = re.compile(r"^Warning: (.*[Vv]ehicle '([^']*)'.*)$", re.MULTILINE)
"""What duarouter says of a route that the net does not allow; several lines may name the same vehicle."""


@dataclass(frozen=True, slots=True)
class BrokenRoutes:
    """How many vehicles have a route that their net does not allow, and what is wrong with the first of them."""

    vehicles: int
    first: str


def broken_routes(inputs: SumoInputs) -> BrokenRoutes:
    """Have duarouter go through all routes: unknown roads, and roads that are not connected for the vehicle's class.

    Raises `TraceError` where it cannot read the files, in its own words.
    """
    if not inputs.routes:
        return BrokenRoutes(0, "")
    command = [str(sumo_tool("duarouter")), "--net-file", str(inputs.net)]
    command += ["--route-files", ",".join(map(str, inputs.routes)), "--output-file", "NUL"]
    if inputs.additional:
        command += ["--additional-files", ",".join(map(str, inputs.additional))]
    command += ["--ignore-errors", "--skip-new-routes", "--aggregate-warnings", "-1", "--unsorted-input"]
    done = run_tool([*command, "--no-step-log"])
    if done.returncode != 0:
        raise TraceError(f"{inputs.sumocfg}: its routes cannot be checked: {sumo_message(done.stderr)}")
    faults = FAULT.findall(done.stderr)
    return BrokenRoutes(len({vehicle for _, vehicle in faults}), faults[0][0].rstrip(".") if faults else "")


def refuse_ignored_routes(inputs: SumoInputs) -> None:
    """Raises `TraceError` for a configuration that ignores route errors and has some; else SUMO stops at the first."""
    if inputs.ignores_route_errors:
        refuse_broken_routes(inputs)


def refuse_broken_routes(inputs: SumoInputs) -> None:
    """Raises `TraceError` for a configuration of which vehicles have a broken route."""
    broken = broken_routes(inputs)
    if broken.vehicles:
        ignored = "sets ignore-route-errors, and " if inputs.ignores_route_errors else ""
        raise TraceError(
            f"{inputs.sumocfg}: {ignored}the routes of {broken.vehicles} vehicles are broken ({broken.first}): they "
            "would stand until they are teleported, and hold up others. Mend them with duarouter --repair, or accept "
            "them with mobility.ignore_route_errors = true (iovsim trace record --ignore-route-errors)."
        )
