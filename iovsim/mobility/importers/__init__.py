"""Files of trajectories from elsewhere become batches of samples, in metres and on a regular time grid.

`fcd` reads what SUMO writes, `ns2` the movements of ns-2, `gps` tracks of points: as CSV, GPX or GeoJSON. Points are
spilled to disk by vehicle (`spill`), cleaned (`cleaning`), on request moved onto a road network (`matching`), joined
to segments and sampled in the order of time (`segments`). `kinds` tells which reader a file needs.
"""
