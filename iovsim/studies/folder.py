"""The folder of a study says what it is for in `study.json`, and is written by one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iovsim.config import study_from
from iovsim.errors import ResultsError
from iovsim.files import explained, write_whole
from iovsim.learning.store.folder import StoreSpec
from iovsim.locks import let_go, taken
from iovsim.results.manifest import NAME as MANIFEST
from iovsim.studies.place import url_of
from iovsim.studies.plan import Plan, plan_of

NAME = "study.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a study as its folder knows it. `folder` is relative, with slashes."""

    folder: str
    variant: str
    policy: str
    seed: int


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What `study.json` holds. `study` is the whole study file, `source` where it stood."""

    name: str
    source: str
    study: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]  # by name: the changed keys
    runs: tuple[PlannedRun, ...]


@contextmanager
def study_folder(plan: Plan) -> Iterator[Path]:
    """Makes the folder of a study, or takes up one that was left, and holds its lock.

    Raises `ResultsError` where the folder belongs to something else, holds runs that this study does not ask for, is
    being written by another process, or cannot be written.
    """
    check_folder(plan)
    with explained(plan.out, "create the study's folder"):
        plan.out.mkdir(parents=True, exist_ok=True)
        lock = taken(plan.out)
    if lock is None:
        raise ResultsError(
            f"{plan.out}: another process is at a study in this folder; wait until it has ended, or choose another "
            "--out."
        )
    try:
        check_folder(plan)  # again: another process may have been at it until now
        write_whole(plan.out / NAME, _text(record_of(plan)).encode())
        yield plan.out
    finally:
        let_go(lock)


def record_of(plan: Plan) -> StudyRecord:
    """The plan as its folder keeps it."""
    return StudyRecord(
        name=plan.study.name,
        source=str(plan.study.source),
        study=plan.study.model_dump(mode="json"),
        variants={v.name: v.changes for v in plan.variants},
        runs=tuple(
            PlannedRun(Path(os.path.relpath(r.out, plan.out)).as_posix(), r.variant, r.policy.name, r.seed)
            for r in plan.runs
        ),
    )


def read_study(folder: Path) -> StudyRecord:
    """What a study's folder says of itself. Raises `ResultsError` where it is none, or its `study.json` is damaged."""
    path = folder / NAME
    if not path.is_file():
        raise ResultsError(
            f"{folder}: not the folder of a study (no {NAME}); name one that 'iovsim study' has written."
        )
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ResultsError(
                f"{path}: format version {content['format']!r}, this iovsim reads {FORMAT}; use the version of iovsim "
                "that wrote it, or another folder."
            )
        return StudyRecord(
            name=content["name"],
            source=content["source"],
            study=content["study"],
            variants=content["variants"],
            runs=tuple(PlannedRun(**run) for run in content["runs"]),
        )
    except OSError as error:
        raise ResultsError(f"{path}: cannot read: {error.strerror}; check the path and its permissions.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path}: damaged ({error!r}); give the study's command again to write it anew.") from error


def planned_again(folder: Path, store: StoreSpec | None) -> Plan:
    """The plan that the folder of a study was made for, from what it keeps of the study file.

    Scenario and policies are read from where they were; that they are as they were is for `unfinished` to see. Raises
    `ResultsError` where `folder` is not that of a study, `ScenarioError` for a file that is gone.
    """
    record = read_study(folder)
    return plan_of(study_from(dict(record.study), Path(record.source)), folder, store)


def check_folder(plan: Plan) -> None:
    """Raises `ResultsError` where the folder is none, belongs to something else, or holds runs not asked for."""
    url = url_of(plan.out)
    if url is not None:
        raise ResultsError(
            f"--out {url}: a study needs a folder of this computer, which tells what is finished; runs that other "
            "machines make are sent there."
        )
    if plan.out.is_file():
        raise ResultsError(f"--out {plan.out}: is a file, a study needs a folder; choose another.")
    if (plan.out / NAME).exists():
        found = read_study(plan.out)
        if found.name != plan.study.name:
            raise ResultsError(
                f"{plan.out}: holds the study {found.name!r}, not {plan.study.name!r}; choose another --out."
            )
    asked = {run.out.absolute() for run in plan.runs}
    strange = sorted({m.parent for m in plan.out.absolute().rglob(MANIFEST)} - asked)
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise ResultsError(
            f"{plan.out}: holds runs that study {plan.study.name!r} does not ask for ({strange[0]}{more}), and they "
            "would mix with its own; move them away, or choose another --out."
        )


def _text(record: StudyRecord) -> str:
    content = {
        "format": FORMAT,
        "name": record.name,
        "source": record.source,
        "study": record.study,
        "variants": record.variants,
        "runs": [{"folder": r.folder, "variant": r.variant, "policy": r.policy, "seed": r.seed} for r in record.runs],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
