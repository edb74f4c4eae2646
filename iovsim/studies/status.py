"""The folder of a study becomes how far each of its runs is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from iovsim.errors import ResultsError
from iovsim.locks import is_taken
from iovsim.results import RunStatus, read_manifest
from iovsim.results.manifest import NAME as MANIFEST
from iovsim.studies.folder import PlannedRun, StudyRecord, read_study


class Progress(StrEnum):
    """How far a run is, in the words that are shown."""

    COMPLETE = "complete"
    RUNNING = "running"
    BROKEN_OFF = "broken off"  # killed or interrupted: it goes on with the study
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class RunProgress:
    """One run of a study. `wall_s` of a complete one, `error` of a failed one."""

    run: PlannedRun
    progress: Progress
    wall_s: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """A study and how far its runs are. `at_work`: a process holds the study's folder at this moment."""

    folder: Path
    record: StudyRecord
    runs: tuple[RunProgress, ...]
    at_work: bool

    def count(self, progress: Progress) -> int:
        return sum(run.progress is progress for run in self.runs)


def study_status(folder: Path) -> StudyStatus:
    """Only reads. Raises `ResultsError` where `folder` is not that of a study."""
    record = read_study(folder)
    return StudyStatus(folder, record, tuple(_progress(folder, run) for run in record.runs), is_taken(folder))


def failed(runs: Sequence[RunProgress]) -> list[RunProgress]:
    """Those that ended with an error."""
    return [run for run in runs if run.progress is Progress.FAILED]


def _progress(study: Path, run: PlannedRun) -> RunProgress:
    folder = study / run.folder
    if not (folder / MANIFEST).is_file():
        return RunProgress(run, Progress.RUNNING if folder.is_dir() and is_taken(folder) else Progress.WAITING)
    try:
        manifest = read_manifest(folder)
    except ResultsError as error:
        return RunProgress(run, Progress.BROKEN_OFF, error=str(error))
    match manifest.status:
        case RunStatus.COMPLETE:
            return RunProgress(run, Progress.COMPLETE, manifest.wall_s)
        case RunStatus.FAILED:
            return RunProgress(run, Progress.FAILED, error=manifest.error or "")
        case RunStatus.RUNNING if is_taken(folder):
            return RunProgress(run, Progress.RUNNING)
        case _:
            return RunProgress(run, Progress.BROKEN_OFF)
