"""A made-up town as OpenStreetMap text: a grid of streets, two houses, a canopy and, if wanted, a roundabout."""

from __future__ import annotations

SIDE = 5
STEP_DEG = 0.002
"""Between two streets: 222 m northwards, 144 m eastwards at 49.6 N."""

TOO_LITTLE = '<osm version="0.6"><node id="1" lat="49.6" lon="6.1"/><node id="2" lat="49.61" lon="6.1"/>{}</osm>'


def town(ring: str = "", highway: str = "residential") -> str:
    """`ring`: "" for no roundabout, "clockwise", or "counter-clockwise"."""
    cross = [(i, j) for i in range(SIDE) for j in range(SIDE)]
    nodes = [_node(100 + SIDE * i + j, 49.6 + STEP_DEG * i, 6.1 + STEP_DEG * j) for i, j in cross]
    ways = []
    for k in range(SIDE):
        ways.append(_way(900 + k, [100 + SIDE * k + j for j in range(SIDE)], highway=highway, name=f"{k}th street"))
        ways.append(_way(950 + k, [100 + SIDE * i + k for i in range(SIDE)], highway=highway, name=f"{k}th avenue"))
    for number, kind in enumerate(("yes", "house", "roof")):
        south, west = 49.6005 + STEP_DEG * number, 6.1005
        corners = [(south, west), (south + 3e-4, west), (south + 3e-4, west + 5e-4), (south, west + 5e-4)]
        names = [500 + 10 * number + k for k in range(4)]
        nodes += [_node(name, lat, lon) for name, (lat, lon) in zip(names, corners, strict=True)]
        ways.append(_way(700 + number, [*names, names[0]], building=kind))
    if ring:
        nodes += [
            _node(200 + k, 49.595 + (2e-4 if k in (1, 2) else 0.0), 6.1 + (2e-4 if k > 1 else 0.0)) for k in range(4)
        ]
        around = [200, 201, 202, 203, 200]  # north, then east: clockwise
        ways.append(_way(800, around if ring == "clockwise" else around[::-1], highway=highway, junction="roundabout"))
        ways.append(_way(801, [201, 100], highway=highway))
    return '<osm version="0.6">' + "".join((*nodes, *ways)) + "</osm>"


def _node(name: int, lat: float, lon: float) -> str:
    return f'<node id="{name}" lat="{lat:.7f}" lon="{lon:.7f}"/>'


def _way(number: int, nodes: list[int], **tags: str) -> str:
    inner = [f'<nd ref="{node}"/>' for node in nodes] + [f'<tag k="{k}" v="{v}"/>' for k, v in tags.items()]
    return f'<way id="{number}">{"".join(inner)}</way>'
