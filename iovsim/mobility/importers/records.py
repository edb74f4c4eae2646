"""The two records that pass between the stages, as rows of arrays: points of vehicles, and straight pieces of ways."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINT = np.dtype(
    [
        ("vehicle", np.int32),  # code: place in the list of names
        ("time_ms", np.int64),
        ("x", np.float64),  # metres; longitude, until points are on a plane
        ("y", np.float64),  # metres; latitude
        ("speed_mps", np.float32),  # NaN where unknown
        ("heading_deg", np.float32),
    ]
)

SEGMENT = np.dtype(
    [
        ("vehicle", np.int32),
        ("begin_ms", np.int64),
        ("end_ms", np.int64),  # always after begin_ms
        ("x0_m", np.float64),
        ("y0_m", np.float64),
        ("x1_m", np.float64),
        ("y1_m", np.float64),
        ("speed0_mps", np.float32),
        ("speed1_mps", np.float32),
        ("angle_deg", np.float32),
        ("last", np.bool_),  # the vehicle is still there at end_ms, and not after it
    ]
)

Records = NDArray[np.void]
BoolArray = NDArray[np.bool_]
"""What is chosen: an entry for each record."""
