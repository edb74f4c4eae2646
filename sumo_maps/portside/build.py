"""Turns a few numbers and a fixed seed into the map of Portside: streets, signals, buildings and traffic.

Run `python sumo_maps/portside/build.py` in the checkout. Equal inputs and SUMO version give equal bytes.
"""

from __future__ import annotations

import gzip
import math
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
from shapely import LineString, Polygon, box, get_coordinates, unary_union
from shapely.geometry.base import BaseGeometry

from iovsim.mobility.sumo_config import sumo_command, sumo_environment
from iovsim.rng import stream

HERE = Path(__file__).parent
SEED = 2026
LINES = 13  # streets in each direction
SIDE_M = 2000.0
ARTERIALS, COLLECTORS = (2, 6, 10), (0, 4, 8, 12)  # street numbers; the others are side streets
AVENUE = [(2, 10), (3, 9), (4, 8), (5, 7), (6, 6)]  # runs diagonally into the middle
STUB_M = 130.0  # arterials go on this far beyond the town: through traffic enters there
PARK_M2 = 60_000.0  # blocks above this stay green
CLOSED = 0.24  # part of the side-street blocks left out

STREETS = {  # lanes each way, speed (m/s), priority
    "arterial": (2, 50 / 3.6, 9),
    "boulevard": (2, 70 / 3.6, 10),  # the middle arterials
    "avenue": (1, 50 / 3.6, 7),
    "collector": (1, 50 / 3.6, 6),
    "side": (1, 30 / 3.6, 3),
}

END_S = 1800
TRIPS_PER_S = 1.2
HOT_SPOTS = {"centre": (6, 6, 300.0, 5.0), "port": (8, 2, 260.0, 5.0), "station": (3, 10, 220.0, 4.0)}
"""Street numbers, radius in metres, and how much likelier a trip starts or ends there."""

VEHICLES = [  # id, share, class, length (m), acceleration (m/s^2), top speed (m/s)
    ("car", 0.87, "passenger", 4.6, 2.6, 50.0),
    ("van", 0.10, "delivery", 6.5, 2.2, 40.0),
    ("truck", 0.03, "truck", 9.0, 1.3, 25.0),
]

Node = tuple[int, int]


def main(target: Path = HERE) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_streets(folder)
        tool("netconvert", folder, "--node-files", "nodes.xml", "--edge-files", "edges.xml", "--output-file", "net.xml",
             "--no-turnarounds.tls", "--no-turnarounds.except-deadend", "--offset.disable-normalization",
             "--tls.cycle.time", "80", "--tls.layout", "opposites", "--junctions.corner-detail", "3")  # fmt: skip
        net = ET.parse(folder / "net.xml").getroot()
        buildings = make_buildings(net)
        write_trips(folder, net)
        tool("duarouter", folder, "--net-file", "net.xml", "--route-files", "trips.xml", "--output-file", "routes.xml",
             "--seed", str(SEED), "--weights.random-factor", "1.6", "--remove-loops", "--no-step-log")  # fmt: skip
        write_packed(target / "portside.net.xml.gz", without_comments((folder / "net.xml").read_text()))
        write_packed(target / "portside.rou.xml.gz", without_comments((folder / "routes.xml").read_text()))
        write_packed(target / "portside.poly.xml.gz", polygons(buildings))


def write_streets(folder: Path) -> None:
    """Nodes and edges: a bent grid with a harbour basin in its south-east and some side streets left out."""
    rng = stream(SEED, "portside", "streets")
    place = {(i, j): bent(i, j, rng) for i in range(LINES) for j in range(LINES) if not (i >= 9 and j <= 1)}
    links = {(a, b): street(a, b) for a in place for b in ((a[0] + 1, a[1]), (a[0], a[1] + 1)) if b in place}
    close_side_streets(links, rng)
    links |= dict.fromkeys(pairwise(AVENUE), "avenue")
    for line in ARTERIALS:
        for inner, step in (((0, line), (-1, 0)), ((12, line), (1, 0)), ((line, 12), (0, 1)), ((line, 0), (0, -1))):
            if inner in place:
                outer = (inner[0] + step[0], inner[1] + step[1])
                x_m, y_m = place[inner]
                place[outer] = (x_m + STUB_M * step[0], y_m + STUB_M * step[1])
                links[inner, outer] = street(inner, outer)
    nodes, edges = ET.Element("nodes"), ET.Element("edges")
    kinds: dict[Node, list[str]] = {node: [] for node in place}
    for (a, b), kind in links.items():
        kinds[a].append(kind)
        kinds[b].append(kind)
        lanes, speed, priority = STREETS[kind]
        for begin, end in ((a, b), (b, a)):
            ET.SubElement(edges, "edge", {
                "id": f"{label(begin)}_{label(end)}", "from": label(begin), "to": label(end), "numLanes": str(lanes),
                "speed": f"{speed:.2f}", "priority": str(priority), "spreadType": "right",
            })  # fmt: skip
    for node, (x_m, y_m) in place.items():
        if not kinds[node]:
            continue
        main_roads = sum(kind != "side" for kind in kinds[node])
        busy = any(kind in ("arterial", "boulevard", "avenue") for kind in kinds[node])
        signals = busy and main_roads >= 3 and len(kinds[node]) >= 3
        ET.SubElement(nodes, "node", {
            "id": label(node), "x": f"{x_m:.2f}", "y": f"{y_m:.2f}", "type": "traffic_light" if signals else "priority",
        })  # fmt: skip
    ET.ElementTree(nodes).write(folder / "nodes.xml")
    ET.ElementTree(edges).write(folder / "edges.xml")


def bent(i: int, j: int, rng: np.random.Generator) -> tuple[float, float]:
    """A grid crossing, moved by a smooth field (streets bend together) and a little of its own."""
    u, v = i / (LINES - 1), j / (LINES - 1)
    own_x, own_y = rng.uniform(-13.0, 13.0, size=2)
    x_m = SIDE_M * u + 45.0 * math.sin(2.2 * math.pi * v) + 18.0 * math.sin(3.0 * math.pi * u + 1.0) + own_x
    y_m = SIDE_M * v + 40.0 * math.sin(1.8 * math.pi * u + 0.6) + 18.0 * math.sin(3.1 * math.pi * v) + own_y
    return x_m, y_m


def street(a: Node, b: Node) -> str:
    line = a[1] if a[1] == b[1] else a[0]
    if line in ARTERIALS:
        return "boulevard" if line == LINES // 2 else "arterial"
    return "collector" if line in COLLECTORS else "side"


def close_side_streets(links: dict[tuple[Node, Node], str], rng: np.random.Generator) -> None:
    """Take out side-street blocks at random, never leaving a crossing with a single street."""
    degree: dict[Node, int] = {}
    for pair in links:
        for node in pair:
            degree[node] = degree.get(node, 0) + 1
    sides = [pair for pair, kind in links.items() if kind == "side"]
    to_close = round(CLOSED * len(sides))
    for at in rng.permutation(len(sides)).tolist():
        a, b = sides[at]
        if to_close and degree[a] > 2 and degree[b] > 2:
            del links[a, b]
            degree[a] -= 1
            degree[b] -= 1
            to_close -= 1


def label(node: Node) -> str:
    """`c6r3`: column and row; `-1` and 13 are the ends of the stubs."""
    return f"c{node[0]}r{node[1]}".replace("-1", "out")


def make_buildings(net: ET.Element) -> list[Polygon]:
    """Footprints on the blocks between the streets: split into lots, built along the block's border."""
    rng = stream(SEED, "portside", "buildings")
    paved = [LineString(points(lane.get("shape", ""))).buffer(1.6) for lane in net.iter("lane")]
    paved += [Polygon(points(j.get("shape", ""))) for j in net.iter("junction") if len(points(j.get("shape", ""))) > 2]
    streets = unary_union([shape.buffer(0) for shape in paved])
    inside = streets.convex_hull.buffer(60.0).intersection(box(0.0, 0.0, SIDE_M, SIDE_M).buffer(60.0))
    free = inside.difference(streets.buffer(5.0))  # pavement and front yard
    footprints: list[Polygon] = []
    for block in sorted(parts(free), key=lambda shape: shape.representative_point().coords[0]):
        if block.area > PARK_M2 or block.area < 250.0 or block.centroid.distance(harbour()) == 0:
            continue  # parks, traffic islands, the quay
        border = block.exterior
        for lot in split(block, float(rng.uniform(1100.0, 2600.0)), rng):
            built = rng.uniform() > 0.10 and lot.distance(border) < 12.0
            for shape in parts(lot.buffer(-float(rng.uniform(1.5, 4.0)), join_style="mitre")) if built else []:
                if shape.area > 120.0 and not shape.interiors:
                    footprints += parts(shape.simplify(0.3))
    return footprints


def harbour() -> Polygon:
    return box(0.74 * SIDE_M, -100.0, SIDE_M + 200.0, 0.12 * SIDE_M)


def split(lot: Polygon, limit_m2: float, rng: np.random.Generator) -> list[Polygon]:
    """Halve a lot across its longer side, not quite in the middle, until the pieces are below `limit_m2`."""
    if lot.area <= limit_m2:
        return [lot]
    corners = get_coordinates(lot.minimum_rotated_rectangle)[:4]
    first, second = corners[1] - corners[0], corners[3] - corners[0]
    along, across = (first, second) if np.hypot(*first) >= np.hypot(*second) else (second, first)
    cut = corners[0] + along * rng.uniform(0.42, 0.58)
    half = Polygon([corners[0] - across - along, cut - across, cut + 2 * across, corners[0] + 2 * across - along])
    pieces = [*parts(lot.intersection(half)), *parts(lot.difference(half))]
    return [lot] if len(pieces) < 2 else [small for piece in pieces for small in split(piece, limit_m2, rng)]


def parts(shape: BaseGeometry) -> list[Polygon]:
    return [part for part in getattr(shape, "geoms", [shape]) if isinstance(part, Polygon) and not part.is_empty]


def points(shape: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y, *_ in (point.split(",") for point in shape.split())]


def write_trips(folder: Path, net: ET.Element) -> None:
    """Through traffic between the stubs, traffic in and out of town, and local trips drawn towards the hot spots."""
    rng = stream(SEED, "portside", "trips")
    edges = sorted((e for e in net.iter("edge") if e.get("function") is None), key=lambda e: e.get("id", ""))
    names = [edge.get("id", "") for edge in edges]
    centre = np.array([np.mean(points(edge[0].get("shape", "")), axis=0) for edge in edges])
    length = np.array([float(edge[0].get("length", "0")) for edge in edges])
    speed = np.array([float(edge[0].get("speed", "0")) for edge in edges])
    entry = np.array(["out" in name.split("_")[0] or "13" in name.split("_")[0] for name in names])
    exit_ = np.array(["out" in name.split("_")[1] or "13" in name.split("_")[1] for name in names])
    local = np.where(entry | exit_, 0.0, length * np.where(speed < 10.0, 1.5, 1.0))
    for i, j, radius_m, factor in HOT_SPOTS.values():
        spot = np.array([i, j]) * SIDE_M / (LINES - 1)
        local *= np.where(np.hypot(*(centre - spot).T) < radius_m, factor, 1.0)
    local /= local.sum()
    gates_in = entry * speed / (entry * speed).sum()
    gates_out = exit_ * speed / (exit_ * speed).sum()
    routes = ET.Element("routes")
    for kind, _, vehicle_class, length_m, accel, top in VEHICLES:
        ET.SubElement(routes, "vType", {
            "id": kind, "vClass": vehicle_class, "length": str(length_m), "accel": str(accel), "maxSpeed": str(top),
            "sigma": "0.5", "speedFactor": "normc(1.00,0.10,0.70,1.25)",
        })  # fmt: skip
    departs = np.sort(rng.uniform(0.0, END_S, size=round(TRIPS_PER_S * END_S)))
    for number, depart in enumerate(departs.tolist()):
        start = gates_in if rng.uniform() < 0.45 else local
        goal = gates_out if rng.uniform() < 0.45 else local
        a = b = int(rng.choice(len(names), p=start))
        while np.hypot(*(centre[a] - centre[b])) < 500.0:
            b = int(rng.choice(len(names), p=goal))
        kind = VEHICLES[int(rng.choice(len(VEHICLES), p=[share for _, share, *_ in VEHICLES]))][0]
        ET.SubElement(routes, "trip", {
            "id": f"{kind}{number:04d}", "type": kind, "depart": f"{depart:.2f}", "from": names[a], "to": names[b],
            "departLane": "best", "departSpeed": "max", "departPos": "random_free" if local[a] else "base",
            "arrivalPos": "random" if local[b] else "max",
        })  # fmt: skip
    ET.ElementTree(routes).write(folder / "trips.xml")


def polygons(buildings: list[Polygon]) -> str:
    root = ET.Element("additional")
    ET.SubElement(root, "poly", {
        "id": "harbour", "type": "water", "color": "150,190,220", "fill": "1", "layer": "-2",
        "shape": " ".join(f"{x:.1f},{y:.1f}" for x, y in harbour().exterior.coords),
    })  # fmt: skip
    for number, building in enumerate(buildings):
        ET.SubElement(root, "poly", {
            "id": f"building{number:04d}", "type": "building", "color": "200,180,160", "fill": "1", "layer": "-1",
            "shape": " ".join(f"{x:.1f},{y:.1f}" for x, y in building.exterior.coords),
        })  # fmt: skip
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def tool(name: str, folder: Path, *options: str) -> None:
    """Run one of the wheel's programs in `folder`."""
    binary = Path(sumo_command()[0]).with_name(name)
    subprocess.run([str(binary), *options], cwd=folder, env=sumo_environment(), check=True)


def without_comments(xml: str) -> str:
    """SUMO's tools note the time and their options in a comment; without it equal input gives equal bytes."""
    return re.sub(r"<!--.*?-->\s*", "", xml, flags=re.DOTALL)


def write_packed(path: Path, text: str) -> None:
    """Gzip without the time of day."""
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
