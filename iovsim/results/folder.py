"""Makes the folder of a new run and sees it through: recorder, adapters, and a manifest that always tells the truth."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from iovsim.errors import ResultsError
from iovsim.results.files import explained
from iovsim.results.manifest import NAME, Manifest, RunStatus, now, read_content, write_manifest
from iovsim.results.recorder import Recorder, TableFile, tables_dir

ADAPTERS = "adapters"
FIGURES = "figures"


@dataclass
class RunFolder:
    """A run folder while it is being written. Use it in a `with` block around the run:

    leaving the block normally publishes the tables and sets status `complete`; leaving it by an exception throws the
    tables away and sets `interrupted` (Ctrl-C) or `failed` with the error's message.
    """

    path: Path
    manifest: Manifest
    recorder: Recorder
    _started_s: float = field(default_factory=time.monotonic)

    @classmethod
    def create(cls, path: Path, manifest: Manifest, overwrite: bool = False) -> Self:
        """Makes the folder and writes the manifest with status `running`.

        Raises `ResultsError` where `path` is in use (`overwrite` replaces a run, finished or not, and nothing else;
        files in it that are no part of a run stay), or where it cannot be written.
        """
        fresh = replace(manifest, status=RunStatus.RUNNING, started=now(), finished=None, wall_s=None, error=None)
        fresh.to_json()  # a manifest that cannot be written must not cost an old run
        _make_room(path, overwrite)
        with explained(path, "create the run folder"):
            path.mkdir(parents=True, exist_ok=True)
        try:
            recorder = Recorder(path)
            write_manifest(path, fresh)  # last: from here on the `with` block answers for what the manifest says
        except BaseException:
            shutil.rmtree(tables_dir(path), ignore_errors=True)
            raise
        return cls(path, fresh, recorder)

    def adapter_path(self, task: str, name: str) -> Path:
        """The folder `adapters/<task>/<name>`, made if need be, for one adapter in PEFT's format."""
        folder = self.path / ADAPTERS / task / name
        with explained(folder, "create the folder"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._end(RunStatus.COMPLETE, None, self.recorder.finish())
            except ResultsError as problem:
                self._try_end(RunStatus.FAILED, str(problem))
                raise
            return
        self.recorder.discard()
        if isinstance(error, Exception):
            self._try_end(RunStatus.FAILED, str(error) or type(error).__name__)
        else:
            self._try_end(RunStatus.INTERRUPTED, None)

    def _end(self, status: RunStatus, error: str | None, tables: dict[str, TableFile]) -> None:
        wall_s = time.monotonic() - self._started_s
        self.manifest = replace(
            self.manifest, status=status, error=error, tables=tables, finished=now(), wall_s=round(wall_s, 3)
        )
        write_manifest(self.path, self.manifest)

    def _try_end(self, status: RunStatus, error: str | None) -> None:
        try:
            self._end(status, error, {})
        except ResultsError:
            return  # the disk that broke the run refuses this too: the status stays "running", the first error counts


def _make_room(path: Path, overwrite: bool) -> None:
    """Removes an old run at `path` where that is allowed; otherwise says why it is not."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ResultsError(f"{path}: is a file, a run needs a folder; choose another path.")
    with explained(path, "read the folder"):
        if not any(path.iterdir()):
            return
    if not (path / NAME).is_file():
        raise ResultsError(f"{path}: holds files but no run ({NAME} is missing); choose an empty or new folder.")
    content = read_content(path)
    if "world_hash" not in content:  # somebody else's: nothing may be removed
        raise ResultsError(f"{path / NAME}: not the manifest of a run; choose an empty or new folder.")
    status = content.get("status")
    if not overwrite:
        raise ResultsError(f"{path}: already holds a run (status: {status}); choose another path or overwrite it.")
    with explained(path, "remove the old run"):
        for folder in (tables_dir(path), path / ADAPTERS, path / FIGURES):
            if folder.is_dir():
                shutil.rmtree(folder)
        (path / NAME).unlink()  # last, so that a removal cut short is still known for what it is
