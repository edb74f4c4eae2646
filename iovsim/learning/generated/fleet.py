"""Turns a stream of random numbers into a car, van, lorry, bus or emergency vehicle made of prisms, each one different.

All shapes are ours, in metres: x runs forward from the rear bumper, z up from the road.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from iovsim.learning.generated.drawings import Point, area, disk, line
from iovsim.learning.generated.layers import Layered
from iovsim.learning.generated.solids import Prism, Solid, box, ring

BODY, LOAD = (0, 1, 2), (3, 4, 5)  # sides, rear and top are lit differently, so they are layers of their own
GLASS, TYRE, METAL, TAIL, BEACON, ACCENT, CLOTHES, HELMET = range(6, 14)
LAYERS = 14
PLATE = area((-0.26, 0.55), (0.26, 0.55), (0.26, 0.67), (-0.26, 0.67))

# Length, height; then, in parts of the length: boot lid's end, roof's rear, roof's front, windscreen's foot.
CARS = {
    "saloon": (4.6, 1.45, 0.2, 0.32, 0.58, 0.72),
    "hatchback": (3.9, 1.5, 0.02, 0.12, 0.6, 0.76),
    "estate": (4.7, 1.5, 0.01, 0.08, 0.6, 0.73),
    "off-roader": (4.6, 1.8, 0.01, 0.05, 0.6, 0.72),
    "coupé": (4.4, 1.28, 0.08, 0.38, 0.55, 0.72),
    "city car": (3.0, 1.55, 0.02, 0.1, 0.68, 0.88),
    "pickup": (5.2, 1.8, 0.38, 0.42, 0.6, 0.74),
    "taxi": (4.6, 1.45, 0.2, 0.32, 0.58, 0.72),
}


@dataclass(frozen=True, slots=True)
class Vehicle:
    """Its solids, the farthest first, and the name of the colours it may have (see `vehicles.LIVERIES`)."""

    solids: tuple[Solid, ...]
    livery: str = "any"


def wheels(axles: Sequence[float], radius: float, width: float) -> tuple[list[Solid], list[Solid]]:
    """Tyres, to be drawn before the body, and the near wheels' faces, to be drawn after it."""
    black = (TYRE, TYRE, TYRE)
    tyres: list[Solid] = [
        Prism(ring(x, radius, radius), 0.24, black, side * (width / 2 - 0.14)) for x in axles[::-1] for side in (1, -1)
    ]
    faces: list[Solid] = [
        Prism(ring(x, radius, radius), 0.03, black, -width / 2, side=((METAL, disk(x, radius, 0.55 * radius)),))
        for x in axles
    ]
    return tyres, faces


def lamps(width: float, low: float, high: float, size: float = 0.2) -> Layered:
    """A pair of rear lamps, and the number plate between them."""
    outer, inner = width / 2 - 0.04, width / 2 - 0.04 - size
    pair = [area((s * inner, low), (s * outer, low), (s * outer, high), (s * inner, high)) for s in (1, -1)]
    return ((METAL, PLATE), *((TAIL, lamp) for lamp in pair))


def panes(back: float, front: float, low: float, high: float, count: int, gap: float = 0.12) -> Layered:
    """A row of equal windows."""
    step = (front - back) / count
    return tuple((GLASS, area(*box(back + k * step, back + (k + 1) * step - gap, low, high))) for k in range(count))


def beacon(x: float, top: float, width: float, length: float = 0.3) -> Prism:
    return Prism(box(x, x + length, top, top + 0.16), width, (BEACON, BEACON, BEACON))


def car(rng: np.random.Generator, kind: str | None = None) -> Vehicle:
    """One of `CARS`, drawn if not named."""
    name = kind or str(rng.choice(list(CARS)))
    length, height, *parts = CARS[name]
    length, height = length * rng.uniform(0.93, 1.07), height * rng.uniform(0.95, 1.06)
    boot, roof_rear, roof_front, cowl = (length * (part + rng.uniform(-0.015, 0.02)) for part in parts)
    width, low, belt = rng.uniform(1.65, 1.9), 0.28, height * rng.uniform(0.58, 0.64)
    pillar = rng.uniform(roof_rear + 0.3, roof_front - 0.3)
    glazing: Layered = (
        (
            GLASS,
            area((boot + 0.25, belt), (cowl - 0.25, belt), (roof_front, height - 0.12), (roof_rear, height - 0.12)),
        ),
        (BODY[0], line((pillar, belt), (pillar, height - 0.1), width=0.05)),
        (TYRE, area(*box(0.0, length, low, low + 0.14))),
    )
    sill, rim = belt * 0.92, height - 0.1
    tail: Layered = (
        (TYRE, area((-width / 2, low), (width / 2, low), (width / 2, low + 0.2), (-width / 2, low + 0.2))),
        (GLASS, area((-0.4 * width, sill + 0.1), (0.4 * width, sill + 0.1), (0.33 * width, rim), (-0.33 * width, rim))),
        *lamps(width, sill - 0.25, sill - 0.05, rng.uniform(0.15, 0.4)),
    )
    profile: tuple[Point, ...] = (
        *((0.0, low), (length, low), (length, belt * 0.7), (0.96 * length, belt * 0.85), (cowl, belt)),
        *((roof_front, height), (roof_rear, height), (boot, belt + 0.02), (0.02, sill)),
    )
    tyres, faces = wheels((0.19 * length, 0.81 * length), rng.uniform(0.29, 0.36), width)
    solids: list[Solid] = [*tyres, Prism(profile, width, BODY, side=glazing, rear=tail), *faces]
    if name == "taxi":
        solids.append(Prism(box(1.9, 2.2, height, height + 0.2), 0.5, (ACCENT, ACCENT, ACCENT)))
    elif rng.random() < 0.12:
        solids.append(Prism(box(roof_rear + 0.2, roof_front, height + 0.05, height + 0.35), 0.8, LOAD))
    return Vehicle(tuple(solids), "taxi" if name == "taxi" else "any")


def van(rng: np.random.Generator, kind: str | None = None) -> Vehicle:
    """A panel van, high or low, with or without windows, or a small box van."""
    name = kind or str(rng.choice(("panel", "windows", "low", "box")))
    length, width = rng.uniform(4.8, 6.2), rng.uniform(1.9, 2.1)
    height = rng.uniform(1.8, 2.0) if name == "low" else rng.uniform(2.2, 2.7)
    length = 4.4 if name == "low" else length
    low, belt = 0.35, 1.15
    nose, foot, roof = length - 0.35, length - rng.uniform(0.7, 1.0), length - rng.uniform(1.4, 1.8)
    door: Layered = (
        (GLASS, area((roof - 0.3, belt), (foot - 0.1, belt), (roof + 0.1, belt + 0.55), (roof - 0.3, belt + 0.55))),
    )
    rows = panes(0.25, roof - 0.45, belt, belt + 0.6, 3) if name == "windows" else ()
    rear: Layered = (
        (TYRE, line((0.0, low + 0.2), (0.0, height - 0.15), width=0.025)),
        *lamps(width, 0.8, rng.uniform(1.2, 1.6), 0.16),
    )
    if name != "box" and rng.random() < 0.6:
        rear = (*((GLASS, area(*box(s - 0.33, s + 0.33, 1.3, height - 0.35))) for s in (-0.45, 0.45)), *rear)
    stripe: Layered = ((ACCENT, area(*box(0.2, roof - 0.4, 0.9, 1.1))),) if rng.random() < 0.4 else ()
    cab_back = roof - 0.4 if name == "box" else 0.0
    top = 2.1 if name == "box" else height
    profile = (
        *((cab_back, low), (length, low), (length, 0.8), (nose, 1.05), (foot, belt)),
        *((roof, top - 0.08), (roof - 0.25, top), (cab_back, top)),
    )
    tyres, faces = wheels((0.2 * length, 0.82 * length), 0.36, width)
    solids: list[Solid] = [*tyres, Prism(profile, width, BODY, side=(*door, *rows, *stripe), rear=rear)]
    if name == "box":
        solids.append(Prism(box(0.0, cab_back - 0.05, 0.7, height + 0.5), width + 0.1, LOAD, rear=rear))
    return Vehicle((*solids, *faces), "any")


def _cab(rng: np.random.Generator, back: float, width: float) -> Prism:
    """A lorry's cab whose rear wall stands at `back`."""
    top, front = rng.uniform(2.5, 3.3), back + rng.uniform(1.7, 2.3)
    profile = ((back, 0.5), (front, 0.5), (front, 1.5), (front - 0.2, top - 0.1), (front - 0.5, top), (back, top))
    window = area((back + 0.6, 1.6), (front - 0.1, 1.6), (front - 0.25, top - 0.45), (back + 0.6, top - 0.45))
    return Prism(profile, width, BODY, side=((GLASS, window),))


def lorry(rng: np.random.Generator, kind: str | None = None) -> Vehicle:
    """A lorry with a box, curtains, a tank, a flat bed, a tipper, a container or a drum; short or long."""
    names = ("box", "curtains", "tank", "bed", "tipper", "container", "mixer")
    name = kind or str(rng.choice(names))
    length, width, floor = float(rng.choice((4.5, 6.0, 8.0, 10.5))), 2.45, 1.05
    top = rng.uniform(3.2, 3.9)
    bar = area((-1.2, 0.55), (1.2, 0.55), (1.2, 0.75), (-1.2, 0.75))
    doors: Layered = ((METAL, line((0.0, floor), (0.0, top), width=0.03)),)
    ribs = [line((x, floor + 0.1), (x, top - 0.1), width=0.03) for x in np.arange(0.4, length - 0.2, 0.55).tolist()]
    chassis = Prism(
        box(0.0, length + 0.4, 0.6, floor),
        width - 0.2,
        (TYRE, TYRE, TYRE),
        rear=((METAL, bar), *lamps(width, 0.7, 0.95, 0.4)),
    )
    cargo: list[Solid] = []
    if name in {"box", "container", "curtains"}:
        label = ((ACCENT, area(*box(0.25 * length, 0.7 * length, 1.9, 2.8))),) if rng.random() < 0.5 else ()
        lines = tuple((METAL if name == "curtains" else LOAD[2], rib) for rib in ribs) if name != "box" else ()
        cargo = [Prism(box(0.0, length, floor, top), width, LOAD, side=(*label, *lines), rear=doors)]
    elif name == "tank":
        high = 2.9
        barrel = (
            (0.0, 1.3),
            (0.3, floor),
            (length - 0.3, floor),
            (length, 1.3),
            (length, high - 0.3),
            (length - 0.3, high),
            (0.3, high),
            (0.0, high - 0.3),
        )
        cargo = [
            Prism(
                barrel,
                2.1,
                LOAD,
                side=((ACCENT, area(*box(0.4, length - 0.4, 1.9, 2.1))),),
                rear=((ACCENT, disk(0.0, 2.0, 0.5)),),
            )
        ]
    elif name == "bed":
        cargo = [
            Prism(
                box(back, back + rng.uniform(0.6, 1.4), floor, floor + rng.uniform(0.3, 1.6)),
                rng.uniform(1.2, 2.3),
                LOAD,
            )
            for back in np.arange(length - 1.5, 0.0, -1.7).tolist()
        ]
        cargo.append(Prism(box(0.0, length, floor - 0.1, floor + 0.25), width, (ACCENT, ACCENT, METAL)))
    elif name == "tipper":
        tray = ((0.3, floor), (length, floor), (length, 2.4), (-0.2, 2.2))
        cargo = [Prism(tray, width, LOAD, side=tuple((TYRE, rib) for rib in ribs[1:-1:2]))]
        cargo.insert(0, Prism(((0.3, 2.0), (length - 0.4, 2.0), (0.5 * length, 2.8)), 1.9, (ACCENT, ACCENT, ACCENT)))
    else:
        drum = ((0.2, 2.2), (1.2, 1.2), (length - 0.6, 1.3), (length - 0.1, 2.0), (0.6 * length, 3.5), (0.9, 3.3))
        cargo = [Prism(drum, 2.1, LOAD, side=((ACCENT, line((1.2, 1.4), (0.6 * length, 3.3), width=0.12)),))]
    behind = (1.0,) if length < 5 else (1.0, 2.2) if length < 9 else (1.0, 2.2, 3.4, length - 0.6)
    tyres, faces = wheels((*behind, length + 1.25), 0.5, width)
    return Vehicle((*tyres, _cab(rng, length + 0.3, width - 0.1), chassis, *cargo, *faces), "lorry")


def bus(rng: np.random.Generator) -> Vehicle:
    """A city bus, a coach, a double-decker, a small bus or an articulated one."""
    name = str(rng.choice(("city", "coach", "double", "small", "articulated")))
    length, height = {"small": (7.5, 2.8), "double": (10.5, 4.3), "articulated": (9.0, 3.0)}.get(name, (12.0, 3.2))
    length, width = length * rng.uniform(0.9, 1.05), 2.5
    low = rng.uniform(1.6, 1.8) if name == "coach" else rng.uniform(1.1, 1.3)
    high = low + 0.95
    glazing = panes(0.5, length - 0.2, low, high, int(rng.integers(5, 9)), rng.uniform(0.06, 0.2))
    rear: Layered = (
        (GLASS, area(*box(-1.0, 1.0, max(low, 1.5), high))),
        *lamps(width, 0.8, rng.uniform(1.1, 1.5), 0.22),
    )
    if name == "double":
        glazing = (*glazing, *panes(0.2, length - 0.1, 2.9, 3.8, 8))
        rear = (*rear, (GLASS, area(*box(-1.05, 1.05, 2.9, 3.8))))
    if name != "coach":
        glazing = (*glazing, *((LOAD[0], area(*box(x, x + 1.1, 0.4, high))) for x in (0.35 * length, 0.85 * length)))
        glazing = (
            *glazing,
            *((GLASS, area(*box(x + 0.1, x + 1.0, 0.6, high))) for x in (0.35 * length, 0.85 * length)),
        )
    stripe: Layered = ((ACCENT, area(*box(0.0, length, 0.7, 0.95))),) if rng.random() < 0.6 else ()
    profile = ((0.0, 0.35), (length, 0.35), (length, 1.2), (length - 0.15, height), (0.1, height), (0.0, height - 0.3))
    body = Prism(profile, width, BODY, side=(*stripe, *glazing), rear=rear)
    tyres, faces = wheels((2.6, length - 2.4), 0.48, width)
    ahead: list[Solid] = []
    if name == "articulated":
        front = tuple((x + length + 0.7, z) for x, z in profile)
        row = panes(length + 1.0, 2 * length + 0.4, low, high, 6)
        ahead = [
            Prism(front, width, BODY, side=row),
            Prism(box(length, length + 0.7, 0.5, height - 0.1), width - 0.1, (TYRE,) * 3),
        ]
        tyres, faces = wheels((2.6, length + 3.0, 2 * length - 1.8), 0.48, width)
    return Vehicle((*tyres, *ahead, body, *faces), "bus")


def emergency(rng: np.random.Generator) -> Vehicle:
    """A police car, police van, ambulance, doctor's car or fire engine: another vehicle with beacons and stripes."""
    name = str(rng.choice(("police car", "police van", "ambulance", "doctor", "fire engine")))
    if name in {"police car", "doctor"}:
        made = car(rng, "estate" if rng.random() < 0.6 else "off-roader")
        bar, band = (1.9, 1.2), (0.7, 0.95)
    elif name == "fire engine":
        made = lorry(rng, "box")
        bar, band = (0.0, 2.2), (1.3, 1.7)
    else:
        made = van(rng, "windows" if name == "police van" else "panel")
        bar, band = (2.6, 1.6), (0.8, 1.15)
    bodies = [k for k, s in enumerate(made.solids) if isinstance(s, Prism) and s.paints in (BODY, LOAD)]
    last = made.solids[bodies[-1]]
    assert isinstance(last, Prism)
    back, front = min(x for x, _ in last.profile), max(x for x, _ in last.profile)
    fields = [area(*box(x, x + 0.3, *band)) for x in np.arange(back + 0.2, front - 0.4, 0.6).tolist()]
    solid = rng.random() < 0.5 or name == "fire engine"
    stripes: Layered = ((ACCENT, area(*box(back, front, *band))),) if solid else tuple((ACCENT, f) for f in fields)
    middle = (band[0] + band[1]) / 2
    across: Layered = ((ACCENT, line((-0.6, middle), (0.6, middle), width=(band[1] - band[0]) / 2)),)
    dressed = replace(last, side=(*stripes, *last.side), rear=(*across, *last.rear))
    top = max(z for _, z in last.profile)
    solids = [dressed if solid is last else solid for solid in made.solids]
    solids.append(beacon(back + bar[0], top, bar[1]))
    if name in {"ambulance", "fire engine"}:
        solids.append(beacon(front - 0.4, top, bar[1]))
    return Vehicle(tuple(solids), "fire" if name == "fire engine" else "police" if "police" in name else "medical")
