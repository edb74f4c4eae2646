"""Turns a stream of random numbers into a motorcycle, a bicycle or a works vehicle made of rods and prisms.

All shapes are ours, in metres, as in `fleet`.
"""

from __future__ import annotations

import numpy as np

from iovsim.learning.generated.drawings import Point, area, disk
from iovsim.learning.generated.fleet import (
    BEACON,
    BODY,
    CLOTHES,
    GLASS,
    HELMET,
    LOAD,
    METAL,
    TAIL,
    TYRE,
    Vehicle,
    lamps,
    wheels,
)
from iovsim.learning.generated.solids import Prism, Rod, Solid, box, ring

DARK = (TYRE, TYRE, TYRE)


def _rod(radius: float, layer: int, *points: Point, y: float = 0.0) -> Rod:
    return Rod(tuple((x, y, z) for x, z in points), radius, layer)


def _rider(seat: Point, lean: float, foot: Point, hand: Point, *, bulk: float = 1.0) -> list[Solid]:
    """Somebody who sits at `seat`, bent forward by `lean`, with shoulders and limbs on both sides."""
    x, z = seat
    shoulder = (x + lean, z + 0.55)
    solids: list[Solid] = []
    for side in (0.18, -0.18):
        knee = ((x + foot[0]) / 2 + 0.22, (z + foot[1]) / 2 + 0.12)
        solids.append(Rod(((x, side, z), (knee[0], side * 1.3, knee[1]), (foot[0], side, foot[1])), 0.07 * bulk, TYRE))
    solids.append(Rod(((x, 0.0, z), (shoulder[0], 0.0, shoulder[1])), 0.17 * bulk, CLOTHES))
    solids.append(Rod(((shoulder[0], 0.2, shoulder[1]), (shoulder[0], -0.2, shoulder[1])), 0.1 * bulk, CLOTHES))
    for side in (0.24, -0.24):
        elbow = ((shoulder[0] + hand[0]) / 2, side * 1.25, (shoulder[1] + hand[1]) / 2 - 0.08)
        solids.append(Rod(((shoulder[0], side, shoulder[1]), elbow, (hand[0], side, hand[1])), 0.06 * bulk, CLOTHES))
    solids.append(_rod(0.14, HELMET, (shoulder[0] + 0.08 + 0.2 * lean, shoulder[1] + 0.24)))
    return solids


def motorcycle(rng: np.random.Generator) -> Vehicle:
    """A naked machine, a racer, a tourer with cases or a scooter; with its rider, perhaps with two."""
    name = str(rng.choice(("naked", "racer", "tourer", "scooter")))
    radius = 0.24 if name == "scooter" else rng.uniform(0.3, 0.34)
    base = rng.uniform(1.25, 1.35) if name == "scooter" else rng.uniform(1.35, 1.55)
    rear, front = 0.35, 0.35 + base
    seat = (rear + 0.35, 0.78)
    solids: list[Solid] = [
        Prism(ring(x, radius, radius), 0.15, DARK, side=((METAL, disk(x, radius, 0.6 * radius)),))
        for x in (front, rear)
    ]
    solids.append(_rod(0.05, METAL, (front, radius), (front - 0.3, 0.95)))
    solids.append(Rod(((front - 0.3, 0.34, 1.0), (front - 0.3, -0.34, 1.0)), 0.035, METAL))
    engine = ((rear + 0.2, 0.3), (front - 0.4, 0.3), (front - 0.45, 0.65), (rear + 0.2, 0.6))
    solids.append(Prism(engine, 0.35, (METAL, TYRE, METAL)))
    tank = (
        (rear - 0.15, 0.75),
        (rear + 0.5, 0.6),
        (front - 0.35, 0.65),
        (front - 0.4, 0.98),
        (rear + 0.75, 1.0),
        (rear + 0.5, 0.82),
        (rear - 0.2, 0.88),
    )
    solids.append(Prism(tank, 0.3, BODY, rear=((TAIL, disk(0.0, 0.82, 0.08)),)))
    if name in {"racer", "tourer"}:
        fairing = (
            (front - 0.65, 0.35),
            (front - 0.1, 0.5),
            (front + 0.1, 0.85),
            (front - 0.2, 1.25),
            (front - 0.4, 0.95),
        )
        solids.append(Prism(fairing, 0.45, BODY))
    if name == "scooter":
        shield = ((front - 0.42, 0.3), (front - 0.2, 0.3), (front - 0.25, 1.0), (front - 0.35, 1.0))
        solids += [Prism(shield, 0.4, BODY), Prism(box(rear + 0.3, front - 0.3, 0.25, 0.35), 0.35, BODY)]
        solids.append(
            Prism(((rear - 0.25, 0.45), (rear + 0.45, 0.3), (rear + 0.5, 0.75), (rear - 0.25, 0.8)), 0.38, BODY)
        )
    bend = {"racer": 0.55, "scooter": 0.08}.get(name, 0.25)
    foot = (rear + 0.75, 0.32) if name != "racer" else (rear + 0.3, 0.4)
    solids += _rider(seat, bend, foot, (front - 0.32, 1.0))
    if rng.random() < 0.2:
        solids += _rider((seat[0] - 0.32, 0.88), bend, (rear + 0.4, 0.4), (seat[0] - 0.05, 0.9))
    if name == "tourer" or rng.random() < 0.15:
        solids.append(Prism(box(rear - 0.35, rear + 0.05, 0.9, 1.2), 0.5, LOAD))
        solids += [Prism(box(rear - 0.3, rear + 0.25, 0.45, 0.85), 0.22, LOAD, y) for y in (0.34, -0.34)]
    return Vehicle(tuple(solids), "any")


def bicycle(rng: np.random.Generator) -> Vehicle:
    """A city bicycle, a racing one, a cargo bicycle, one with a child's seat or with panniers; always ridden."""
    name = str(rng.choice(("city", "racing", "cargo", "child", "panniers")))
    radius = rng.uniform(0.31, 0.36)
    rear, front = 0.35, 0.35 + rng.uniform(1.0, 1.1) + (0.7 if name == "cargo" else 0.0)
    crank, seat, head = (rear + 0.45, 0.3), (rear + 0.25, 0.92), (front - 0.2 - (0.5 if name == "cargo" else 0.0), 0.9)
    thin = rng.uniform(0.022, 0.032)
    solids: list[Solid] = [_rod(thin, TYRE, *ring(x, radius, radius), (x + radius, radius)) for x in (front, rear)]
    frame: tuple[tuple[Point, ...], ...] = (
        (crank, seat),
        ((rear, radius), crank, head),
        ((rear, radius), seat),
        ((front, radius), head),
    )
    if name != "city":
        frame = (*frame, ((seat[0] + 0.05, 0.8), (head[0], 0.85)))
    solids += [_rod(0.035, BODY[0], *way) for way in frame]
    solids.append(Rod(((head[0], 0.28, 1.02), (head[0], -0.28, 1.02)), 0.025, METAL))
    solids.append(_rod(0.05, TAIL, (rear - 0.15, 0.62)))
    if name == "cargo":
        tray = ((head[0] + 0.1, 0.3), (front - 0.1, 0.3), (front, 0.75), (head[0] + 0.1, 0.75))
        solids.append(Prism(tray, 0.55, LOAD))
    lean = {"racing": 0.55, "cargo": 0.1, "city": 0.08}.get(name, 0.2)
    pedal = rng.uniform(-0.15, 0.15)
    solids += _rider(
        (seat[0], 0.98), lean, (crank[0] + pedal, 0.3 - pedal), (head[0], 1.02), bulk=rng.uniform(0.75, 0.95)
    )
    if name == "child":
        solids += [Prism(box(rear - 0.2, rear + 0.1, 0.75, 1.2), 0.3, LOAD), _rod(0.12, HELMET, (rear, 1.35))]
    elif name == "panniers":
        solids += [Prism(box(rear - 0.25, rear + 0.2, 0.3, 0.7), 0.16, LOAD, y) for y in (0.16, -0.16)]
    elif rng.random() < 0.4:
        solids.append(
            Prism(
                (
                    (seat[0] + lean * 0.3 - 0.3, 1.15),
                    (seat[0] + lean * 0.3 - 0.1, 1.1),
                    (seat[0] + lean - 0.1, 1.5),
                    (seat[0] + lean - 0.3, 1.5),
                ),
                0.3,
                LOAD,
            )
        )
    return Vehicle(tuple(solids), "any")


def works(rng: np.random.Generator) -> Vehicle:
    """A tractor, alone or with a trailer, a digger, a wheel loader, a roller, a dumper or a fork-lift."""
    name = str(rng.choice(("tractor", "trailer", "digger", "loader", "roller", "dumper", "fork-lift")))
    solids: list[Solid] = []
    if name in {"tractor", "trailer"}:
        at = 4.2 if name == "trailer" else 0.0
        big, small = rng.uniform(0.75, 0.95), rng.uniform(0.42, 0.6)
        fore, nose = wheels((at + 2.9,), small, 1.7)
        aft, face = wheels((at + 0.9,), big, 2.0)
        cab = ((at + 0.2, 1.1), (at + 1.6, 1.1), (at + 1.5, 2.7), (at + 0.4, 2.7))
        glass = area((at + 0.45, 1.5), (at + 1.4, 1.5), (at + 1.35, 2.5), (at + 0.55, 2.5))
        rear = ((GLASS, area(*box(-0.5, 0.5, 1.5, 2.5))), *lamps(1.7, 1.15, 1.35))
        bonnet = ((at + 1.5, 0.7), (at + 3.3, 0.7), (at + 3.3, 1.4), (at + 1.5, 1.6))
        solids = [*fore, Prism(bonnet, 0.9, BODY), _rod(0.06, METAL, (at + 2.2, 1.5), (at + 2.2, 2.4)), *nose, *aft]
        solids += [Prism(cab, 1.3, BODY, side=((GLASS, glass),), rear=rear), *face]
        if name == "trailer":
            tyres, faces = wheels((1.0, 2.9), 0.45, 2.2)
            tray = ((0.1, 0.9), (3.7, 0.9), (3.8, rng.uniform(1.6, 2.4)), (0.0, 1.7))
            solids += [*tyres, Prism(tray, 2.3, LOAD, rear=lamps(2.2, 0.95, 1.15)), *faces]
    elif name == "digger":
        elbow, wrist = (4.6, rng.uniform(3.2, 4.2)), (6.2, rng.uniform(1.6, 2.8))
        solids = [
            Prism(((0.2, 0.0), (3.0, 0.0), (3.3, 0.4), (3.0, 0.8), (0.2, 0.8), (-0.1, 0.4)), 0.5, DARK, y)
            for y in (0.8, -0.8)
        ]
        solids.append(_rod(0.2, BODY[0], (2.4, 1.4), elbow, wrist))
        solids.append(
            Prism(
                ((wrist[0] - 0.5, 0.6), (wrist[0] + 0.3, 0.8), (wrist[0] + 0.1, wrist[1])), 0.9, (METAL, METAL, METAL)
            )
        )
        solids.append(
            Prism(box(1.7, 2.9, 1.0, 2.7), 0.9, BODY, -0.5, side=((GLASS, area(*box(1.9, 2.75, 1.7, 2.55))),))
        )
        solids.append(
            Prism(
                ((-0.6, 0.9), (1.8, 0.9), (1.8, 1.9), (-0.4, 1.8)),
                2.3,
                BODY,
                rear=((TYRE, area(*box(-0.8, 0.8, 1.1, 1.5))),),
            )
        )
    elif name in {"loader", "dumper"}:
        size = rng.uniform(0.7, 0.85)
        tyres, faces = wheels((0.9, 3.6), size, 2.4)
        solids = [*tyres]
        if name == "loader":
            lift = rng.uniform(0.4, 2.0)
            solids.append(_rod(0.15, BODY[0], (2.8, 1.6), (4.6, lift + 0.4)))
            solids.append(
                Prism(((4.4, lift), (5.6, lift), (5.0, lift + 1.0), (4.4, lift + 0.9)), 2.5, (METAL, METAL, METAL))
            )
            solids.append(Prism(box(1.6, 2.9, 1.2, 3.1), 1.4, BODY, side=((GLASS, area(*box(1.8, 2.7, 1.9, 2.9))),)))
            solids.append(
                Prism(
                    ((-0.2, 0.8), (1.8, 0.8), (1.8, 2.0), (-0.1, 1.8)),
                    1.8,
                    BODY,
                    rear=((TYRE, area(*box(-0.6, 0.6, 1.0, 1.6))),),
                )
            )
        else:
            solids.append(Prism(box(3.4, 4.8, 0.8, 2.5), 1.9, BODY, side=((GLASS, area(*box(3.7, 4.6, 1.6, 2.3))),)))
            solids.append(Prism(((0.0, 0.9), (2.8, 0.9), (3.6, 2.5), (-0.6, 2.1)), 2.4, LOAD))
        solids += faces
    elif name == "roller":
        solids = [Prism(ring(3.3, 0.7, 0.7), 1.8, (METAL, METAL, METAL))]
        aft, face = wheels((0.8,), 0.7, 1.8)
        solids += [*aft, Prism(((0.0, 0.7), (3.4, 0.8), (3.4, 1.3), (0.0, 1.5)), 1.6, BODY)]
        solids += [_rod(0.05, METAL, (x, 1.4), (x, 2.6)) for x in (0.9, 2.3)]
        solids += [Prism(box(0.7, 2.5, 2.6, 2.75), 1.5, BODY), *face]
    else:
        tyres, faces = wheels((0.4, 1.9), 0.32, 1.1)
        up = rng.uniform(2.0, 3.2)
        solids = [
            Rod(((2.5, 0.3, 0.1), (2.5, 0.3, up)), 0.07, METAL),
            Prism(box(2.7, 3.6, 0.2, rng.uniform(0.6, 1.3)), 1.0, LOAD),
        ]
        solids += [
            *tyres,
            _rod(0.08, METAL, (2.45, 0.1), (2.45, up)),
            Prism(((0.0, 0.3), (2.3, 0.3), (2.3, 0.7), (0.8, 1.1), (0.0, 1.1)), 1.1, BODY),
        ]
        solids += [
            _rod(0.06, TYRE, (0.5, 1.1), (0.7, 2.1), (2.0, 2.1), (2.3, 0.7)),
            *_rider((1.0, 1.0), 0.1, (1.6, 0.7), (1.7, 1.3)),
            *faces,
        ]
    if rng.random() < 0.5:
        solids.append(Rod(((1.0, 0.0, 2.9),), 0.12, BEACON))
    return Vehicle(tuple(solids), "works")
