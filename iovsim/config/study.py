"""The study file: a TOML text becomes a checked `StudyFile`: one scenario, policies, seeds, and what is varied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, field_validator

from iovsim.config.builtin import study_file
from iovsim.config.model import Model, read_toml, validate
from iovsim.config.numbers import Name, Part
from iovsim.config.seeds import parse_seeds
from iovsim.domain import Precision, TrainerKind
from iovsim.errors import ScenarioError


class TrainingSection(Model):
    """How all runs train; the same choices as the options of `iovsim run`."""

    trainer: TrainerKind = TrainerKind.BATCHED
    precision: Precision = Precision.FP32
    device: str = "cpu"


class StudyFile(Model):
    """A whole study file, checked. Relative paths in it start at the file's own folder.

    `set` changes keys of the scenario for all runs, `grid` gives several values each, of which every combination is a
    variant. Keys are dotted, as in the world file: `time.duration_s`, `tasks.signs.round_energy_j` (tasks by name). A
    key that begins with `policies.` changes every policy file instead: `policies.forecast.kind`. `baseline` is the
    policy that others are compared with (left out: the first), `targets` the accuracies that are to be reached by task.
    """

    name: Name
    title: str = ""
    scenario: str
    policies: tuple[str, ...] = Field(min_length=1)
    seeds: str = "1-5"
    baseline: str | None = None
    targets: dict[str, Part] = Field(default={})
    training: TrainingSection = TrainingSection()
    set: dict[str, Any] = Field(default={})
    grid: dict[str, list[Any]] = Field(default={})
    _file: Path = PrivateAttr(default=Path())

    @field_validator("seeds")
    @classmethod
    def _seeds_can_be_read(cls, text: str) -> str:
        try:
            parse_seeds(text)
        except ScenarioError as error:
            raise ValueError(str(error).removeprefix(f"--seeds {text!r}: ")) from None
        return text

    @field_validator("grid")
    @classmethod
    def _grid_has_values(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for key, values in grid.items():
            if not values:
                raise ValueError(f"'{key}' has no values; give a list of at least one")
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"'{key}' gives a value twice: {values}")
        return grid

    @property
    def source(self) -> Path:
        """The file that the study was read from."""
        return self._file

    @property
    def seed_numbers(self) -> list[int]:
        return parse_seeds(self.seeds)

    def resolved(self, name_or_path: str) -> str:
        """A path to a file, made absolute; a name of something built in stays."""
        path = Path(name_or_path)
        return str((self._file.parent / path).resolve()) if name_or_path.endswith(".toml") else name_or_path


def load_study(name_or_path: str | Path) -> StudyFile:
    """A built-in study or a study file, checked. Raises `ScenarioError` with file, key, value and what is allowed."""
    path = study_file(name_or_path)
    return study_from(read_toml(path), path)


def study_from(data: dict[str, Any], path: Path) -> StudyFile:
    """A study from tables that are already read; `path` names them in errors and anchors relative paths.

    Dotted keys may be written as such (`"time.duration_s" = 60.0`) or as tables (`[set.time]`).
    """
    flat = data | {part: _flat(data[part]) for part in ("set", "grid") if isinstance(data.get(part), dict)}
    study = validate(StudyFile, flat, str(path))
    study._file = path.resolve()
    return study


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Tables within tables as dotted keys. A table with a `kind` is a value: it is chosen as a whole."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and "kind" not in value:
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found
