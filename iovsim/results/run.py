"""Opens finished run folders and hands out their tables as pandas frames, verified against manifest and schema."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from iovsim.errors import ResultsError, near_match
from iovsim.files import sha256_of
from iovsim.results.manifest import NAME, Manifest, RunStatus, read_manifest
from iovsim.results.recorder import table_path
from iovsim.results.state import ADAPTERS
from iovsim.results.tables import TABLES, table

_AGAIN = "restore the file or run again"


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run. Tables are read when first asked for and kept; treat the frames as read-only.

    Every declared table is an attribute too: `run.jobs` is `run.table("jobs")`.
    """

    path: Path
    manifest: Manifest
    _frames: dict[str, pd.DataFrame] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """The run in words: world, policy and seed."""
        return f"{self.manifest.world} · {self.manifest.policy.name} · seed {self.manifest.seed}"

    def table(self, name: str) -> pd.DataFrame:
        """One declared table, rows in the order in which they were recorded.

        Raises `ResultsError` where no such table is declared, or where its file is missing, cut, altered or not of the
        declared schema.
        """
        if name not in TABLES:
            raise ResultsError(f"table {name!r}: no such table; {near_match(name, TABLES)}")
        if name not in self._frames:
            self._frames[name] = _read(self, name)
        return self._frames[name]

    @property
    def accuracy(self) -> pd.DataFrame:
        """The learning curves (see `iovsim.results.views.accuracy`). Raises `ResultsError`."""
        from iovsim.results import views  # late: views read runs

        return views.accuracy(self)

    def summary(self) -> pd.DataFrame:
        """The key figures (see `iovsim.results.views.summary`). Raises `ResultsError`."""
        from iovsim.results import views

        return views.summary(self)

    def adapters(self) -> dict[str, dict[str, Path]]:
        """Folders of the saved adapters, by task and name."""
        found: dict[str, dict[str, Path]] = {}
        for folder in sorted((self.path / ADAPTERS).glob("*/*")):
            if folder.is_dir():
                found.setdefault(folder.parent.name, {})[folder.name] = folder
        return found

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of every table: equal fingerprints mean equal runs (see `iovsim.results.recorder`)."""
        return {name: entry.sha256 for name, entry in sorted(self.manifest.tables.items())}

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name in TABLES:
            return self.table(name)
        raise AttributeError(f"a run has no {name!r}; {near_match(name, [*TABLES, 'accuracy', 'summary'])}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *TABLES]

    def __repr__(self) -> str:
        return f"<Run {self.label}>"

    def _repr_html_(self) -> str:
        from iovsim.results import views

        return views.html(self)


def open_run(path: Path) -> Run:
    """Opens a run folder. Raises `ResultsError` where it is none, or where the run did not complete."""
    manifest = read_manifest(path)
    if manifest.status is not RunStatus.COMPLETE:
        cause = f" ({manifest.error})" if manifest.error else ""
        raise ResultsError(
            f"{path}: unfinished run: status {manifest.status}{cause}; let it finish, or go on with 'iovsim resume'."
        )
    return Run(path, manifest)


def find_runs(paths: Iterable[Path]) -> list[Run]:
    """All runs in the given folders and below, sorted by path.

    Raises `ResultsError` where a path does not exist or holds no run at all, or a run that did not complete.
    """
    folders: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            raise ResultsError(f"{path}: no such folder; name a run folder or a folder of runs.")
        below = {manifest.parent for manifest in path.rglob(NAME)}
        if not below:
            raise ResultsError(f"{path}: no run in it or below (no {NAME}); name a run folder or a folder of runs.")
        folders |= below
    return [open_run(folder) for folder in sorted(folders)]


def _read(run: Run, name: str) -> pd.DataFrame:
    declared = table(name)
    path = table_path(run.path, name)
    entry = run.manifest.tables.get(name)
    if entry is None:
        raise ResultsError(f"{run.path / NAME}: knows no table {name!r}; {_AGAIN}.")
    try:
        if sha256_of(path) != entry.sha256:
            raise ResultsError(f"{path}: cut or altered (its SHA-256 is not the one in {NAME}); {_AGAIN}.")
        content = pq.read_table(path)
    except FileNotFoundError:
        raise ResultsError(f"{path}: table is missing; {_AGAIN}.") from None
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot read: {error.strerror or error}; check the path and permissions."
        ) from error
    except pa.ArrowInvalid as error:
        raise ResultsError(f"{path}: not a Parquet file ({error}); {_AGAIN}.") from error
    if not content.schema.equals(declared.schema):
        raise ResultsError(f"{path}: columns {content.schema.names}, declared are {declared.schema.names}; {_AGAIN}.")
    frame: pd.DataFrame = content.to_pandas()
    return frame
