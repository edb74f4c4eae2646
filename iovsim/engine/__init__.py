"""Worlds and methods become runs: the only place where simulated time passes."""

from __future__ import annotations

from iovsim.engine.simulate import simulate
from iovsim.engine.state import Method, Setting, State

__all__ = ["Method", "Setting", "State", "simulate"]
