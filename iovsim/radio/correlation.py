"""Turns white noise along tracks into noise that decorrelates with the distance driven."""

from __future__ import annotations

import numpy as np

from iovsim.domain import FloatArray, IntArray


def along_tracks(
    noise: FloatArray, moved_m: FloatArray, offsets: IntArray, decorrelation_m: float | FloatArray
) -> FloatArray:
    """A standard Gauss-Markov process on every track: z[i] = rho z[i-1] + sqrt(1 - rho^2) noise[i].

    rho = exp(-moved_m[i] / decorrelation_m), so two points d metres of road apart correlate as exp(-d / decorrelation)
    (Gudmundson, Electronics Letters 27(23), 1991). Each track starts from its first noise value, already in the steady
    state. `noise`, `moved_m` and the result are (n,); `offsets` (tracks + 1,); `decorrelation_m` > 0, a number or (n,).
    """
    rho = np.exp(-moved_m / decorrelation_m)
    step = np.sqrt(-np.expm1(-2.0 * moved_m / decorrelation_m)) * noise
    z = noise.copy()
    # The recursion runs over sample positions, all tracks at once: longest first, so those still running are a prefix.
    lengths = np.diff(offsets)
    longest_first = np.argsort(-lengths, kind="stable")
    starts = offsets[:-1][longest_first]
    lengths = lengths[longest_first]
    for k in range(1, int(lengths[0]) if len(lengths) else 0):
        at = starts[: np.searchsorted(-lengths, -k, side="left")] + k
        z[at] = rho[at] * z[at - 1] + step[at]
    return z
