"""Randomness by name: the same (seed, names) give the same stream, whatever was drawn before and by whom.

Two policies that serve different vehicles thereby meet the same fading, the same shards and the same initial weights
(common random numbers). Names are hashed with SHA-256, so `PYTHONHASHSEED` plays no part.
"""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(seed: int, *names: str | int) -> int:
    """A 64-bit integer that depends on the root seed and on every name, in order."""
    text = "\x1f".join([str(seed), *(f"{type(n).__name__}:{n}" for n in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for `names`, for example `stream(seed, "fading", rsu, vehicle, contact)`."""
    return np.random.Generator(np.random.PCG64(seed_of(seed, *names)))
