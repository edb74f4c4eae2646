"""A road map becomes sites at its most central junctions: those that most shortest ways between others pass.

Betweenness (Freeman, Sociometry 40(1), 1977) over the directed graph of roads that cars may use, each as long as it is,
by Brandes' algorithm (Journal of Mathematical Sociology 25(2), 2001) of networkx, which torch brings along; it counts
ways of equal length fairly, of which a grid of streets has many. Every junction counts alike as a beginning and an end:
where the people are, it does not know.
"""

from __future__ import annotations

from iovsim.mobility.placement.sites import Place, apart, check_count, crossings
from iovsim.mobility.roadmap import RoadMap
from iovsim.rng import seed_of

PIVOTS = 500
"""From so many junctions ways are followed, in larger maps drawn by name (Brandes and Pich, International Journal of
Bifurcation and Chaos 17(7), 2007): their error falls as one over the root of that number."""

DIGITS = 12
"""To which betweenness is rounded before junctions are ranked, that sums in another order rank them alike."""


def central(roadmap: RoadMap, spacing_m: float, count: int | None) -> list[Place]:
    """Junctions, the most central first, at least `spacing_m` apart: neighbours on one avenue are all central.

    Ties go by name. Raises `ScenarioError` where fewer than `count` lie so far apart.
    """
    score = betweenness(roadmap)
    ranked = sorted(crossings(roadmap), key=lambda j: (-round(score.get(j.junction, 0.0), DIGITS), j.junction))
    taken = apart(((junction.x_m, junction.y_m) for junction in ranked), spacing_m, count)
    check_count("centrality", len(taken), count, spacing_m)
    return taken


def betweenness(roadmap: RoadMap) -> dict[str, float]:
    """By junction, the share of all pairs of others whose shortest way passes it; equal ways share what they count.

    Lengths are in whole millimetres: their sums are exact, so that equal ways are.
    """
    import networkx as nx  # takes long to import, and most placements need none

    graph = nx.DiGraph()
    for street in sorted(roadmap.streets, key=lambda street: (street.begin, street.end, -street.length_m)):
        graph.add_edge(
            street.begin, street.end, length_mm=round(1000 * street.length_m)
        )  # of parallel ones the shortest stays
    pivots = PIVOTS if len(graph) > PIVOTS else None
    found = nx.betweenness_centrality(graph, k=pivots, weight="length_mm", seed=seed_of(0, "pivots") % 2**32)
    return {str(junction): float(value) for junction, value in found.items()}
