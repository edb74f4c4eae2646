"""Traffic becomes sites in the middle of it: k-means of vehicle time (Lloyd, IEEE Trans. Inf. Theory 28(2), 1982).

Cells count by the time spent in them. Neither scipy nor its k-means weighs points, and scikit-learn would be a large
dependency for twenty lines.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from iovsim.domain import FloatArray
from iovsim.errors import ScenarioError
from iovsim.mobility.placement.sites import Place, check_count, crossings, far_enough
from iovsim.mobility.placement.traffic import Traffic
from iovsim.mobility.roadmap import RoadMap
from iovsim.rng import stream

STARTS = 10
"""Lloyd's algorithm finds a local optimum; the best of so many is taken, as scikit-learn has it."""

ROUNDS = 300


def clustered(roadmap: RoadMap, traffic: Traffic, count: int, spacing_m: float) -> list[Place]:
    """For each cluster, that with most vehicle time first, the junction nearest to its middle that is still free.

    An RSU needs a mast at a road, and the middle of a cluster may be a river (ours). Random starts are named by
    `traffic.seed`. Raises `ScenarioError` where traffic is in fewer than `count` cells, or junctions are too few.
    """
    if len(traffic.vehicle_s) < count:
        raise ScenarioError(
            f"RSU placement 'k-means': traffic is in {len(traffic.vehicle_s)} cells only, {count} RSUs are wanted; "
            f"lower count."
        )
    runs = [
        k_means(traffic.place_m, traffic.vehicle_s, count, stream(traffic.seed, "k-means", start))
        for start in range(STARTS)
    ]
    middles = min(runs, key=lambda run: spread(traffic.place_m, traffic.vehicle_s, run))
    owner = cKDTree(middles).query(traffic.place_m)[1]
    time_s = np.bincount(owner, weights=traffic.vehicle_s, minlength=count)
    free = [(junction.x_m, junction.y_m) for junction in crossings(roadmap)]
    taken: list[Place] = []
    for k in np.argsort(-time_s, kind="stable"):
        free = [place for place in free if all(far_enough(place, other, spacing_m) for other in taken)]
        if not free:
            break
        taken.append(min(free, key=lambda place: math.dist(place, middles[k])))
    check_count("k-means", len(taken), count, spacing_m)
    return taken


def k_means(points: FloatArray, weight: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Middles (count, 2) of clusters of the weighted points (n, 2), from seeds by k-means++.

    Seeds: Arthur and Vassilvitskii, SODA 2007, each point as probable as its weight times the square of its distance
    from the nearest seed. A cluster that loses all its points stays where it was.
    """
    middles = np.empty((count, 2))
    far2 = np.ones(len(points))
    for k in range(count):
        chance = weight * far2
        chance = chance if chance.sum() > 0 else weight
        middles[k] = points[rng.choice(len(points), p=chance / chance.sum())]
        from_it = ((points - middles[k]) ** 2).sum(axis=1)
        far2 = from_it if k == 0 else np.minimum(far2, from_it)
    for _ in range(ROUNDS):
        owner = cKDTree(middles).query(points)[1]
        mass = np.bincount(owner, weights=weight, minlength=count)
        sums = np.stack([np.bincount(owner, weights=weight * axis, minlength=count) for axis in points.T], axis=1)
        moved = np.where(mass[:, None] > 0, sums / np.where(mass > 0, mass, 1.0)[:, None], middles)
        if (moved == middles).all():
            break
        middles = moved
    return middles


def spread(points: FloatArray, weight: FloatArray, middles: FloatArray) -> float:
    """What k-means makes small: the squares of distances to the nearest middle, weighted and summed."""
    return float((weight * cKDTree(middles).query(points)[0] ** 2).sum())
