"""Run folders: tables under one declared schema, a manifest, adapters; written by a run, read by everyone else."""

from __future__ import annotations

from iovsim.results.compare import Asked, compare, compare_values, compare_variants
from iovsim.results.comparison import Comparison
from iovsim.results.data import data_statistics
from iovsim.results.folder import RunFolder
from iovsim.results.manifest import Charge, Manifest, PolicyRecord, RunStatus, StoreRecord, read_manifest
from iovsim.results.metrics import METRICS, metrics
from iovsim.results.recorder import Recorder
from iovsim.results.run import Run, find_runs, open_run
from iovsim.results.state import RunState, Stage
from iovsim.results.tables import TABLES, Column, ColumnType, Table
from iovsim.results.targets import Target

__all__ = [
    "METRICS",
    "TABLES",
    "Asked",
    "Charge",
    "Column",
    "ColumnType",
    "Comparison",
    "Manifest",
    "PolicyRecord",
    "Recorder",
    "Run",
    "RunFolder",
    "RunState",
    "RunStatus",
    "Stage",
    "StoreRecord",
    "Table",
    "Target",
    "compare",
    "compare_values",
    "compare_variants",
    "data_statistics",
    "find_runs",
    "metrics",
    "open_run",
    "read_manifest",
]
