"""Run folders: tables under one declared schema, a manifest, adapters; written by a run, read by everyone else."""

from __future__ import annotations

from iovsim.results.folder import RunFolder
from iovsim.results.manifest import Charge, Manifest, PolicyRecord, RunStatus, read_manifest
from iovsim.results.recorder import Recorder
from iovsim.results.run import Run, find_runs, open_run
from iovsim.results.tables import TABLES, Column, ColumnType, Table

__all__ = [
    "TABLES",
    "Charge",
    "Column",
    "ColumnType",
    "Manifest",
    "PolicyRecord",
    "Recorder",
    "Run",
    "RunFolder",
    "RunStatus",
    "Table",
    "find_runs",
    "open_run",
    "read_manifest",
]
