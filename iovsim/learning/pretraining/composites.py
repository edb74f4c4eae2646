"""Turns a stream of random numbers into a body that looks like no vehicle in particular, and says what is on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iovsim.learning.generated.drawings import Point, area, line
from iovsim.learning.generated.fleet import (
    ACCENT,
    BODY,
    CLOTHES,
    HELMET,
    LOAD,
    METAL,
    TYRE,
    beacon,
    lamps,
    panes,
    wheels,
)
from iovsim.learning.generated.layers import Layered
from iovsim.learning.generated.solids import Prism, Rod, Solid, box, ring

MOST_AXLES, MOST_PANES, MOST_BLOCKS = 5, 6, 3


@dataclass(frozen=True, slots=True)
class Body:
    """Solids, and how many axles, panes, blocks and beacons they have."""

    solids: tuple[Solid, ...]
    axles: int
    panes: int
    blocks: int
    beacons: int


def body(rng: np.random.Generator) -> Body:
    """Blocks one behind the other on wheels, or, one time in three, a frame of rods between two wheels."""
    return _frame(rng) if rng.random() < 0.33 else _blocks(rng)


def _profile(rng: np.random.Generator, back: float, front: float, low: float, top: float) -> tuple[Point, ...]:
    """A box, a wedge, a hull, a barrel or any other four to six corners."""
    kind, (bend, fall) = int(rng.integers(5)), rng.uniform(0.1, 0.5, 2)
    length, height = front - back, top - low
    if kind == 0:
        return box(back, front, low, top)
    if kind == 1:
        return ((back, low), (front, low), (front - bend * length, top), (back + fall * length * 0.5, top))
    if kind == 2:
        shoulder = low + height * rng.uniform(0.4, 0.7)
        return (
            *((back, low), (front, low), (front, shoulder), (front - bend * length, top)),
            *((back + fall * length, top), (back, shoulder)),
        )
    if kind == 3:
        return tuple((back + length * (x + 1) / 2, low + height * (z + 1) / 2) for x, z in ring(0.0, 0.0, 1.0, 10))
    return tuple((back + length * x, low + height * z) for x, z in ((fall, 0), (1, bend), (1 - bend, 1), (0, 1 - fall)))


def _blocks(rng: np.random.Generator) -> Body:
    blocks, axles = int(rng.integers(1, MOST_BLOCKS + 1)), int(rng.integers(MOST_AXLES + 1))
    windows, beacons = int(rng.integers(MOST_PANES + 1)), int(rng.integers(3))
    width, low, radius = rng.uniform(1.0, 2.6), rng.uniform(0.25, 1.0), rng.uniform(0.25, 0.9)
    length = rng.uniform(2.5, 5.0) * rng.uniform(1.0, 1.6) ** (blocks - 1)
    cuts = np.sort(np.concatenate(((0.0, length), rng.uniform(0.2, 0.8, blocks - 1) * length)))
    glazed = int(rng.integers(blocks))
    tyres, faces = wheels(np.sort(rng.uniform(0.08, 0.92, axles) * length).tolist(), radius, width)
    solids: list[Solid] = [*tyres]
    top = 0.0
    for k in reversed(range(blocks)):
        back, front = float(cuts[k]), float(cuts[k + 1]) - rng.uniform(0, 0.15)
        top = low + rng.uniform(0.6, 3.0)
        side: Layered = ()
        if k == glazed and windows:
            side = panes(back + 0.15, front - 0.1, low + 0.5 * (top - low), low + 0.85 * (top - low), windows)
        if rng.random() < 0.4:
            z = low + (top - low) * rng.uniform(0.15, 0.4)
            side = (*side, (ACCENT, line((back + 0.1, z), (front - 0.1, z), width=rng.uniform(0.05, 0.15))))
        rear: Layered = lamps(width, low + 0.1, low + 0.4) if k == 0 else ()
        if rng.random() < 0.5:
            rear = (
                *rear,
                (int(rng.choice((6, TYRE, ACCENT))), area(*box(-0.35 * width, 0.35 * width, low + 0.5, top - 0.15))),
            )
        profile = _profile(rng, back, front, low, top)
        solids.append(
            Prism(profile, width * rng.uniform(0.75, 1.0), BODY if rng.random() < 0.6 else LOAD, side=side, rear=rear)
        )
    solids += [beacon(float(x), top, 0.5 * width) for x in rng.uniform(0, 0.8, beacons) * float(cuts[1])]
    if rng.random() < 0.3:  # an arm
        way = [(float(rng.uniform(0, 1.3)) * length, 0.0, float(rng.uniform(0.5, 4.0))) for _ in range(3)]
        solids.append(Rod(tuple(way), rng.uniform(0.06, 0.2), int(rng.choice((BODY[0], METAL)))))
    return Body((*solids, *faces), axles, windows, blocks, beacons)


def _frame(rng: np.random.Generator) -> Body:
    radius, base, tyre = rng.uniform(0.22, 0.45), rng.uniform(0.9, 1.8), rng.uniform(0.02, 0.09)
    solids: list[Solid] = []
    for x in (base, 0.0):
        rim = [(a, 0.0, b) for a, b in (*ring(x, radius, radius), (x + radius, radius))]
        solids.append(Rod(tuple(rim), tyre, TYRE))
    knots = [(0.0, radius), (base, radius), *zip(rng.uniform(0, base, 3), rng.uniform(0.3, 1.1, 3), strict=True)]
    for _ in range(int(rng.integers(3, 7))):
        ends = rng.choice(len(knots), 2, replace=False)
        way = tuple((float(knots[e][0]), 0.0, float(knots[e][1])) for e in ends)
        solids.append(Rod(way, rng.uniform(0.03, 0.12), int(rng.choice((BODY[0], METAL, TYRE)))))
    blocks = int(rng.integers(MOST_BLOCKS + 1))
    for _ in range(blocks):
        back, low = rng.uniform(-0.3, base - 0.3), rng.uniform(0.25, 0.9)
        profile = _profile(rng, back, back + rng.uniform(0.3, 0.8), low, low + rng.uniform(0.2, 0.5))
        solids.append(Prism(profile, rng.uniform(0.2, 0.7), BODY if rng.random() < 0.5 else LOAD))
    for _ in range(int(rng.integers(3))):  # somebody on it, more or less
        x, z, lean = rng.uniform(0.2, base - 0.2), rng.uniform(0.7, 1.1), rng.uniform(-0.1, 0.5)
        solids.append(Rod(((x, 0.0, z), (x + lean, 0.0, z + 0.55)), rng.uniform(0.1, 0.18), CLOTHES))
        for y in (0.2, -0.2):
            solids.append(Rod(((x, y, z), (x + 0.3, y, z - 0.2), (x + rng.uniform(0, 0.4), y, 0.35)), 0.06, TYRE))
            solids.append(Rod(((x + lean, y, z + 0.5), (x + lean + 0.3, y, z + rng.uniform(0, 0.4))), 0.06, CLOTHES))
        solids.append(Rod(((x + lean + 0.08, 0.0, z + 0.75),), 0.13, HELMET))
    return Body(tuple(solids), 2, 0, blocks, 0)
