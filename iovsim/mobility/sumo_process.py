"""One SUMO simulation in a process of its own, in which nothing else lives: its vehicles go to standard output.

Run as `python -P FILE END LOOKS SUMO-OPTIONS...` (so it imports nothing of this package): until END, or where that is
negative until no vehicle is left or expected. LOOKS is a comma-separated list of what to look for in each new vehicle:
`fcd` leaves out those without an FCD device, `routes` counts those whose route is broken.

A process, since libsumo holds one simulation (https://github.com/eclipse-sumo/sumo/issues/17311), takes the process
with it where it fails, and carries another copy of Arrow than pyarrow does. Getters, since they cost less than
subscriptions, and no more than SUMO's own outputs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

HEADER = np.dtype([("time_ms", np.int64), ("vehicles", np.int64), ("bytes", np.int64)])
"""Before each step's frame; `bytes` of names follow, one a line, then x and y by turns, speeds and angles as float64.
`vehicles` is -1 in the last frame, whose bytes are JSON: SUMO's statistics."""

STATISTICS = {
    "vehicles.loaded": "vehicles loaded",
    "vehicles.inserted": "vehicles inserted",
    "vehicles.waiting": "vehicles still waiting for insertion",
    "teleports.jam": "teleports (jam)",
    "teleports.yield": "teleports (yield)",
    "teleports.wrongLane": "teleports (wrong lane)",
    "safety.collisions": "collisions",
    "safety.emergencyStops": "emergency stops",
    "safety.emergencyBraking": "emergency brakings",
}
"""SUMO's names for what it counts (`simulation.getParameter("", "stats.*")`) and ours, for people."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """All vehicles at the end of one step, or SUMO's statistics at the end of the simulation."""

    time_s: float
    names: list[str]
    x_m: FloatArray
    y_m: FloatArray
    speed_mps: FloatArray
    angle_deg: FloatArray
    statistics: dict[str, int] | None = None


def frames(stream: IO[bytes]) -> Iterator[Frame]:
    """What the process wrote, up to where it ended; a frame that is cut is left out."""
    while len(head := stream.read(HEADER.itemsize)) == HEADER.itemsize:
        time_ms, vehicles, size = (int(value) for value in np.frombuffer(head, HEADER)[0])
        text = stream.read(size)
        numbers = np.frombuffer(stream.read(32 * max(vehicles, 0)), np.float64)
        if len(text) < size or len(numbers) < 4 * vehicles:
            return
        last = vehicles < 0
        yield Frame(
            time_s=time_ms / 1000.0,
            names=[] if last or not text else text.decode().split("\n"),
            x_m=numbers[0 : 2 * vehicles : 2],
            y_m=numbers[1 : 2 * vehicles : 2],
            speed_mps=numbers[2 * vehicles : 3 * vehicles],
            angle_deg=numbers[3 * vehicles :],
            statistics=json.loads(text) if last else None,
        )


def simulate(end_s: float, looks: set[str], options: list[str], out: IO[bytes]) -> None:
    """Step through the simulation and write a frame a step."""
    import libsumo  # here alone: who reads the frames needs none

    libsumo.start(["sumo", *options])
    simulation, vehicle = libsumo.simulation, libsumo.vehicle
    step_ms = round(simulation.getDeltaT() * 1000)
    equipped: dict[str, bool] = {}
    broken: dict[str, bool] = {}
    while True:
        simulation.step()
        now_s = simulation.getTime()
        names = vehicle.getIDList()
        if "routes" in looks:
            broken.update({name: not vehicle.isRouteValid(name) for name in names if name not in broken})
        if "fcd" in looks:
            new = [name for name in names if name not in equipped]
            equipped.update({name: vehicle.getParameter(name, "has.fcd.device") == "true" for name in new})
            names = list(filter(equipped.__getitem__, names))
        time_ms = round(now_s * 1000) - step_ms  # SUMO's outputs call a step by its beginning
        text = "\n".join(names).encode()
        out.write(np.array([(time_ms, len(names), len(text))], HEADER).tobytes())
        out.write(text)
        for values in (
            chain.from_iterable(map(vehicle.getPosition, names)),
            map(vehicle.getSpeed, names),
            map(vehicle.getAngle, names),
        ):
            out.write(np.fromiter(values, np.float64).tobytes())
        if now_s >= end_s if end_s >= 0 else simulation.getMinExpectedNumber() <= 0:
            break
    counts = {ours: int(simulation.getParameter("", f"stats.{theirs}")) for theirs, ours in STATISTICS.items()}
    counts["vehicles with a broken route"] = sum(broken.values())
    libsumo.close()
    text = json.dumps(counts).encode()
    out.write(np.array([(0, -1, len(text))], HEADER).tobytes() + text)


def main() -> None:
    """Standard output belongs to the frames; what SUMO would print there goes to standard error."""
    with os.fdopen(os.dup(1), "wb", buffering=1 << 20) as out:
        os.dup2(2, 1)
        try:
            simulate(float(sys.argv[1]), set(sys.argv[2].split(",")), sys.argv[3:], out)
        except Exception as error:  # libsumo's own kinds have no common base
            if str(error) != "Process Error":  # then SUMO has said it already
                print("Error:", str(error).replace("\n", " "), file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
