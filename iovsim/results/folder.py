"""Makes the folder of a new run and sees it through: recorder, adapters, and a manifest that always tells the truth."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock

from iovsim.errors import ResultsError
from iovsim.files import PART, explained
from iovsim.locks import is_taken, let_go, taken
from iovsim.results.manifest import Manifest, RunStatus, now, write_manifest
from iovsim.results.recorder import Recorder, TableFile, tables_dir
from iovsim.results.state import ADAPTERS, FIGURES, TRAFFIC, Stage, state_in


@dataclass
class RunFolder:
    """A run folder while it is being written, by this process alone. Use it in a `with` block around the run:

    leaving the block normally publishes the tables and sets status `complete`; leaving it by an exception throws the
    tables away and sets `interrupted` (Ctrl-C) or `failed` with the error's message.
    """

    path: Path
    manifest: Manifest
    recorder: Recorder
    _lock: FileLock
    _started_s: float = field(default_factory=time.monotonic)

    @classmethod
    def create(cls, path: Path, manifest: Manifest, overwrite: bool = False) -> Self:
        """Makes the folder and writes the manifest with status `running`.

        An unfinished run of the same specification and world is replaced; with `overwrite` any run is, finished or not,
        and nothing else. Files in the folder that are no part of a run stay. Raises `ResultsError` where `path` is in
        use or another process is writing it, or where it cannot be written.
        """
        fresh = replace(manifest, status=RunStatus.RUNNING, started=now(), finished=None, wall_s=None, error=None)
        fresh.to_json()  # a manifest that cannot be written must not cost an old run
        existed = path.exists()
        lock = _locked(path)
        try:
            _check_room(path, fresh, overwrite)
            return cls(path, fresh, _begun(path, fresh), lock)
        except BaseException:
            let_go(lock)
            if not existed:
                with suppress(OSError):
                    path.rmdir()  # which succeeds only where nothing came to be in it
            raise

    def adapter_path(self, task: str, name: str) -> Path:
        """Where the folder of one adapter in PEFT's format belongs."""
        return self.path / ADAPTERS / task / name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._complete()
                return
            self.recorder.discard()
            if isinstance(error, Exception):
                self._try_end(RunStatus.FAILED, str(error) or type(error).__name__)
            else:
                self._try_end(RunStatus.INTERRUPTED, None)
        finally:
            let_go(self._lock)

    def _complete(self) -> None:
        try:
            self._end(RunStatus.COMPLETE, None, self.recorder.finish())
        except ResultsError as problem:
            self._try_end(RunStatus.FAILED, str(problem))
            raise

    def _end(self, status: RunStatus, error: str | None, tables: dict[str, TableFile]) -> None:
        wall_s = time.monotonic() - self._started_s
        self.manifest = replace(
            self.manifest, status=status, error=error, tables=tables, finished=now(), wall_s=round(wall_s, 3)
        )
        write_manifest(self.path, self.manifest)

    def _try_end(self, status: RunStatus, error: str | None) -> None:
        with suppress(ResultsError):  # the disk that broke the run refuses this too: the status stays "running"
            self._end(status, error, {})


def _begun(path: Path, fresh: Manifest) -> Recorder:
    """Writes the manifest and makes room for tables; whatever stops that once it is there, it tells."""
    try:
        write_manifest(path, fresh)  # before the old tables go: whatever happens, they are vouched for no more
        try:
            _clear(path)
            return Recorder(path)
        except ResultsError as problem:
            with suppress(ResultsError):
                write_manifest(path, replace(fresh, status=RunStatus.FAILED, finished=now(), error=str(problem)))
            raise
    except KeyboardInterrupt:
        with suppress(ResultsError):
            write_manifest(path, replace(fresh, status=RunStatus.INTERRUPTED, finished=now()))
        raise


def check_free(path: Path) -> None:
    """Raises `ResultsError` where another process is writing the run folder `path` at this moment."""
    if is_taken(path):
        raise ResultsError(
            f"{path}: is being written by another process; wait until that has ended, or choose another folder."
        )


def _locked(path: Path) -> FileLock:
    """The lock of the folder, which is made if need be."""
    if path.is_file():
        raise ResultsError(f"{path}: is a file, a run needs a folder; choose another path.")
    while True:
        with explained(path, "create the run folder"):
            path.mkdir(parents=True, exist_ok=True)
            lock = taken(path)
        if lock is not None:
            return lock
        check_free(path)


def _check_room(path: Path, manifest: Manifest, overwrite: bool) -> None:
    """Says why a run may not be written at `path`, if so."""
    with explained(path, "read the folder"):
        state = state_in(path, manifest)
    if state.stage is Stage.COMPLETE and not overwrite:
        raise ResultsError(f"{path}: already holds a run (status: complete); choose another path or overwrite it.")
    if state.stage is Stage.OTHER and not (overwrite and state.is_run):
        remedy = "choose another path or overwrite it" if state.is_run else "choose an empty or new folder"
        raise ResultsError(f"{path}: {state.reason}; {remedy}.")


def _clear(path: Path) -> None:
    """Removes what an earlier run has left."""
    with explained(path, "remove the old run"):
        for folder in (tables_dir(path), path / ADAPTERS, path / FIGURES, *path.glob(f"{PART}*")):
            if folder.is_dir():
                shutil.rmtree(folder)
        (path / TRAFFIC).unlink(missing_ok=True)
