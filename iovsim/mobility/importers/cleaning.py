"""Points as receivers send them become pieces of ways that a vehicle can have driven; each repair is counted.

The rules and their values are ours, except where a source is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from iovsim.domain import FloatArray, IntArray
from iovsim.mobility.importers.records import SEGMENT, BoolArray, Records
from iovsim.mobility.samples import Repairs

Box = tuple[float, float, float, float]
"""West, south, east, north, in the units of the points."""

DEGREE_M = 111_320.0
"""One degree of latitude: the circumference of the Earth, 40,075 km, over 360."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is taken for an error of the receiver, and when a vehicle is gone.

    `max_speed_mps`: a faster move is a jump (70 m/s is 252 km/h). `gap_s`: a longer silence means that the vehicle has
    vanished and comes back. `box`: points outside it are left out; None: those further than `reach_m` from the median
    place, where points are in degrees. `parked`: "drop" has a vehicle vanish where it moves slower than `still_mps`
    for `park_s` or longer.
    """

    max_speed_mps: float = 70.0
    gap_s: float = 300.0
    box: Box | None = None
    reach_m: float = 200_000.0
    parked: Literal["keep", "drop"] = "keep"
    still_mps: float = 0.5
    park_s: float = 600.0


def reach(lon: float, lat: float, reach_m: float) -> Box:
    """The box that reaches `reach_m` from a place in each of the four directions."""
    high = reach_m / DEGREE_M
    wide = high / max(np.cos(np.deg2rad(lat)), 0.01)
    return lon - wide, lat - high, lon + wide, lat + high


def within(points: Records, box: Box, degrees: bool, repairs: Repairs) -> Records:
    """The points inside the box; of those outside it, the ones that lie inside with x and y exchanged are mended."""
    x, y = points["x"], points["y"]
    inside = _inside(x, y, box)
    swapped = ~inside & _inside(y, x, box) & degrees
    mended = points.copy()
    mended["x"][swapped], mended["y"][swapped] = y[swapped], x[swapped]
    repairs.count("swapped points", int(swapped.sum()))
    repairs.count("points outside the box", int((~inside & ~swapped).sum()))
    return mended[inside | swapped]


def pieces(points: Records, rules: Cleaning, repairs: Repairs) -> tuple[Records, IntArray]:
    """Points on a plane, in the order of the file, become points sorted by vehicle and time, with piece numbers.

    A vehicle drives without a break from the first point of a piece to its last; every piece has at least two.
    """
    points = _distinct(_in_order(points, repairs), repairs)
    points = _without_spikes(points, rules, repairs)
    if len(points) == 0:
        return points, np.empty(0, dtype=np.int64)
    same, dt_s, speed = _moves(points)
    jump = same & (speed > rules.max_speed_mps)
    gap = same & ~jump & (dt_s > rules.gap_s)
    stay = same & ~jump & ~gap & _stays(same & ~jump & ~gap, dt_s, speed, rules)
    repairs.count("jumps", int(jump.sum()))
    repairs.count("gaps", int(gap.sum()))
    repairs.count("stays left out", int((stay & ~_shifted(stay)).sum()))
    number = np.cumsum(np.concatenate([[0], ~same | jump | gap | stay]))
    length = np.bincount(number)
    in_stay = np.concatenate([[False], stay]) & np.concatenate([stay, [False]])
    lone = length[number] < 2
    repairs.count("lone points", int((lone & ~in_stay).sum()))
    return points[~lone], number[~lone]


def joined(points: Records, number: IntArray) -> Records:
    """Pieces as segments from point to point (`SEGMENT`).

    Speed is the one that the points tell, changing linearly, else the length of the segment over its duration; angle
    likewise. A standing vehicle keeps the angle with which it came, or 0 where it has not moved yet.
    """
    inner = np.flatnonzero(np.diff(number) == 0)
    a, b = points[inner], points[inner + 1]
    dx, dy, dt_s = b["x"] - a["x"], b["y"] - a["y"], (b["time_ms"] - a["time_ms"]) / 1000.0
    way = np.hypot(dx, dy)
    segments = np.empty(len(inner), dtype=SEGMENT)
    for name, values in (
        ("vehicle", a["vehicle"]),
        ("begin_ms", a["time_ms"]),
        ("end_ms", b["time_ms"]),
        ("x0_m", a["x"]),
        ("y0_m", a["y"]),
        ("x1_m", b["x"]),
        ("y1_m", b["y"]),
        ("speed0_mps", np.where(np.isnan(a["speed_mps"]), way / dt_s, a["speed_mps"])),
        ("speed1_mps", np.where(np.isnan(b["speed_mps"]), way / dt_s, b["speed_mps"])),
        ("last", np.diff(number[inner], append=-1) != 0),
    ):
        segments[name] = values
    held = _held(np.rad2deg(np.arctan2(dx, dy)) % 360.0, way > 0, number[inner])
    segments["angle_deg"] = np.where(np.isnan(a["heading_deg"]), held, a["heading_deg"])
    return segments


def _inside(x: FloatArray, y: FloatArray, box: Box) -> BoolArray:
    west, south, east, north = box
    return np.asarray((x >= west) & (x <= east) & (y >= south) & (y <= north))


def _in_order(points: Records, repairs: Repairs) -> Records:
    """Sorted by vehicle, then by time, else as in the file."""
    by_vehicle = points[np.argsort(points["vehicle"], kind="stable")]
    same = np.diff(by_vehicle["vehicle"]) == 0
    repairs.count("points out of order", int((same & (np.diff(by_vehicle["time_ms"]) < 0)).sum()))
    ordered: Records = by_vehicle[np.lexsort((by_vehicle["time_ms"], by_vehicle["vehicle"]))]
    return ordered


def _distinct(points: Records, repairs: Repairs) -> Records:
    """The first point of each vehicle and time."""
    again = np.zeros(len(points), dtype=bool)
    again[1:] = (np.diff(points["vehicle"]) == 0) & (np.diff(points["time_ms"]) == 0)
    elsewhere = np.zeros(len(points), dtype=bool)
    elsewhere[1:] = (np.diff(points["x"]) != 0) | (np.diff(points["y"]) != 0)
    repairs.count("duplicates", int((again & ~elsewhere).sum()))
    repairs.count("points elsewhere at the same time", int((again & elsewhere).sum()))
    return points[~again]


def _without_spikes(points: Records, rules: Cleaning, repairs: Repairs) -> Records:
    """Without the single points that a vehicle cannot have come to nor left; then without such first and last ones."""
    count = len(points)
    for ends in (False, True):
        if len(points):
            same, _, speed = _moves(points)
            jump = same & (speed > rules.max_speed_mps)
            came, left = np.concatenate([[False], jump]), np.concatenate([jump, [False]])
            first, last = np.concatenate([[True], ~same]), np.concatenate([~same, [True]])
            points = points[~((first & left) | (came & last) if ends else came & left)]
    repairs.count("spikes", count - len(points))
    return points


def _moves(points: Records) -> tuple[BoolArray, FloatArray, FloatArray]:
    """From each point to the next: whether both are of one vehicle, and if so seconds (above 0) and metres a second."""
    same = np.diff(points["vehicle"]) == 0
    dt_s = np.where(same, np.diff(points["time_ms"]) / 1000.0, 1.0)
    return same, dt_s, np.hypot(np.diff(points["x"]), np.diff(points["y"])) / dt_s


def _stays(usable: BoolArray, dt_s: FloatArray, speed: FloatArray, rules: Cleaning) -> BoolArray:
    """Whether each move belongs to a row of slow ones that lasts `park_s`; never, where parked vehicles are kept."""
    slow = usable & (speed < rules.still_mps)
    if rules.parked == "keep" or not slow.any():
        return np.zeros(len(slow), dtype=bool)
    run = np.cumsum(slow & ~_shifted(slow))
    lasting = np.bincount(run, weights=np.where(slow, dt_s, 0.0)) >= rules.park_s
    return np.asarray(slow & lasting[run])


def _shifted(flags: BoolArray) -> BoolArray:
    return np.concatenate([[False], flags[:-1]]).astype(bool)[: len(flags)]


def _held(values: FloatArray, known: BoolArray, number: IntArray) -> FloatArray:
    """Each value that is not known becomes the last one that is, in the same piece; 0 where there is none."""
    at = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    usable = (at >= 0) & (number[at] == number)
    return np.where(usable, values[at], 0.0)
