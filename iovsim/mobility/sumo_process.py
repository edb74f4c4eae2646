"""One SUMO simulation in a process of its own, in which nothing else lives: its vehicles go to standard output.

Run as `python -P FILE END LOOKS SUMO-OPTIONS...` (so it imports nothing of this package): until END, or where that is
negative until no vehicle is left or expected. LOOKS is a comma-separated list of what to look for: `fcd` leaves out
vehicles without an FCD device, `routes` counts those whose route is broken, `segments` places those of a mesoscopic
simulation.

A process, since libsumo holds one simulation (https://github.com/eclipse-sumo/sumo/issues/17311), takes the process
with it where it fails, and carries another copy of Arrow than pyarrow does. Getters, since they cost less than
subscriptions, and no more than SUMO's own outputs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

HEADER = np.dtype([("time_ms", np.int64), ("vehicles", np.int64), ("bytes", np.int64)])
"""Before each step's frame; `bytes` of names follow, one a line, then x, y, speed and angle of each as float64.
`vehicles` is -1 in the last frame, whose bytes are JSON: SUMO's statistics."""

BROKEN = "vehicles with a broken route"

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
            x_m=numbers[0::4],
            y_m=numbers[1::4],
            speed_mps=numbers[2::4],
            angle_deg=numbers[3::4],
            statistics=json.loads(text) if last else None,
        )


class Segments:
    """Where the vehicles of a mesoscopic simulation are, between `simulation.executeMove` and `simulation.step`.

    SUMO interpolates positions within a segment (`--meso-interpolate-pos`) up to its clock; a whole step sets that
    ahead of what has been worked off, so that all who reach a segment's end would stand there until the next one. On a
    junction SUMO gives the beginning of the edge that was left, in its own outputs too: such samples are placed on the
    junction's first lane instead, by the time that is left until they leave it (ours), and counted in `placed`.
    """

    def __init__(self, libsumo: Any) -> None:
        self._vehicle, self._lane, self._simulation = libsumo.vehicle, libsumo.lane, libsumo.simulation
        self._lengths_m: dict[str, float] = {}  # by edge inside of a junction
        self.placed = 0

    def place(self, name: str) -> tuple[float, float]:
        edge = self._vehicle.getSegmentID(name).rpartition(":")[0]
        if not edge.startswith(":"):
            return self._vehicle.getPosition(name)  # type: ignore[no-any-return]
        self.placed += 1
        if edge not in self._lengths_m:
            self._lengths_m[edge] = self._lane.getLength(f"{edge}_0")
        length_m = self._lengths_m[edge]
        left_s = self._vehicle.getLastActionTime(name) - self._simulation.getTime()  # the time of its next event
        driven_m = length_m - self._vehicle.getSpeed(name) * max(left_s, 0.0)
        return self._simulation.convert2D(edge, max(driven_m, 0.0))  # type: ignore[no-any-return]


def _numbers(
    names: Sequence[str],
    place: Callable[[str], tuple[float, float]],
    speed: Callable[[str], float],
    angle: Callable[[str], float],
) -> Iterator[float]:
    """Vehicle by vehicle: SUMO looks each up by its name, and in a city of thousands only the last is in the cache."""
    for name in names:
        yield from place(name)
        yield speed(name)
        yield angle(name)


def simulate(end_s: float, looks: set[str], options: list[str], out: IO[bytes]) -> None:
    """Step through the simulation and write a frame a step."""
    import libsumo  # here alone: who reads the frames needs none

    libsumo.start(["sumo", *options])
    simulation, vehicle = libsumo.simulation, libsumo.vehicle
    equipped: dict[str, bool] = {}
    broken: dict[str, bool] = {}
    segments = Segments(libsumo) if "segments" in looks else None
    place = vehicle.getPosition if segments is None else segments.place
    while True:
        time_ms = round(simulation.getTime() * 1000)  # SUMO's outputs call a step by its beginning
        if segments is None:
            simulation.step()
        else:
            simulation.executeMove()
        names = vehicle.getIDList()
        if "routes" in looks:
            broken.update({name: not vehicle.isRouteValid(name) for name in names if name not in broken})
        if "fcd" in looks:
            new = [name for name in names if name not in equipped]
            equipped.update({name: vehicle.getParameter(name, "has.fcd.device") == "true" for name in new})
            names = list(filter(equipped.__getitem__, names))
        text = "\n".join(names).encode()
        out.write(np.array([(time_ms, len(names), len(text))], HEADER).tobytes())
        out.write(text)
        out.write(np.fromiter(_numbers(names, place, vehicle.getSpeed, vehicle.getAngle), np.float64).tobytes())
        if segments is not None:
            simulation.step()
        if simulation.getTime() >= end_s if end_s >= 0 else simulation.getMinExpectedNumber() <= 0:
            break
    counts = {ours: int(simulation.getParameter("", f"stats.{theirs}")) for theirs, ours in STATISTICS.items()}
    counts[BROKEN] = sum(broken.values())
    counts["samples placed on junctions"] = 0 if segments is None else segments.placed
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
