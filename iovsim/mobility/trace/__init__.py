"""Where vehicles were at every step: `format` says how it lies on disk, `trace` opens a trace, `write` makes one.

`read` knows our format and `fcd` SUMO's; both give blocks (`block`), vehicle by vehicle.
"""

from __future__ import annotations

from iovsim.mobility.trace.block import TraceBlock
from iovsim.mobility.trace.trace import Trace, TraceSummary, TraceWindow, trace_sha256
from iovsim.mobility.trace.write import Covered, write_trace

__all__ = ["Covered", "Trace", "TraceBlock", "TraceSummary", "TraceWindow", "trace_sha256", "write_trace"]
