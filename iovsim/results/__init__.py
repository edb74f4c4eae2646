"""Run folders: tables under one declared schema, a manifest, adapters; written by a run, read by everyone else."""

from __future__ import annotations

from iovsim.results.compare import Comparison, compare
from iovsim.results.data import data_statistics
from iovsim.results.folder import RunFolder
from iovsim.results.manifest import Charge, Manifest, PolicyRecord, RunStatus, StoreRecord, read_manifest
from iovsim.results.metrics import METRICS, metrics
from iovsim.results.recorder import Recorder
from iovsim.results.run import Run, find_runs, open_run
from iovsim.results.tables import TABLES, Column, ColumnType, Table

__all__ = [
    "METRICS",
    "TABLES",
    "Charge",
    "Column",
    "ColumnType",
    "Comparison",
    "Manifest",
    "PolicyRecord",
    "Recorder",
    "Run",
    "RunFolder",
    "RunStatus",
    "StoreRecord",
    "Table",
    "compare",
    "data_statistics",
    "find_runs",
    "metrics",
    "open_run",
    "read_manifest",
]
