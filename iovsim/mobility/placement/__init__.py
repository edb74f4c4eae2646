"""A road map, traffic or a file become the sites of RSUs. Each way is a small function in a file of its own.

`regular` (a grid, junctions by signals and roads), `centrality` (junctions on most shortest ways), `coverage` (where
most vehicle time is covered), `clusters` (k-means of vehicle time), `files` (CSV, GeoJSON, cell sites).
"""

from __future__ import annotations

from iovsim.mobility.placement.files import Degrees, read_sites
from iovsim.mobility.placement.place import KINDS, PLANNED, place_rsus
from iovsim.mobility.placement.sites import Site, check_sites
from iovsim.mobility.placement.traffic import Traffic, traffic_of

__all__ = ["KINDS", "PLANNED", "Degrees", "Site", "Traffic", "check_sites", "place_rsus", "read_sites", "traffic_of"]
