"""The base of all configuration models, and the translation of pydantic's complaints into one line for the user."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from iovsim.errors import ScenarioError, near_match


class Model(BaseModel):
    """Strict and frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Kind(BaseModel):
    """A choice by name: `kind`, and beside it the parameters of the class that the name stands for.

    The parameters are checked where the class is made: outside classes ("package.module:Class") bring their own.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    kind: str

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


ModelT = TypeVar("ModelT", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises `ScenarioError` where it is missing, unreadable or not TOML (with the line)."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScenarioError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read as a text file: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: not valid TOML: {error}.") from None


def validate(model: type[ModelT], data: dict[str, Any], where: str) -> ModelT:
    """`data` as a checked model. Raises `ScenarioError` with the first complaint: file, key, value, what is allowed."""
    try:
        # By way of JSON, because there pydantic's strict mode takes a list for a tuple, which TOML cannot write.
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise ScenarioError(_one_line(model, error.errors(), where)) from None


def _one_line(model: type[BaseModel], errors: list[ErrorDetails], where: str) -> str:
    errors = [e for e in errors if not _follows(e, errors)]
    errors = sorted(errors, key=lambda e: e["type"] != "extra_forbidden")  # a misspelt key also shows as a missing one
    first = errors[0]
    key = _dotted(_without_tags(model, first["loc"]))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        parent = _submodel(model, first["loc"][:-1])
        allowed = parent.model_fields if parent else {}
        return f"{where}: unknown key '{key}'; {near_match(str(first['loc'][-1]), allowed)}{more}"
    if first["type"] == "union_tag_invalid":
        context = first.get("ctx", {})
        allowed_tags = [t.strip("' ") for t in str(context["expected_tags"]).split(",")]
        tag = str(context["tag"])
        return f"{where}: key '{key}.kind': unknown {tag!r}; {near_match(tag, allowed_tags)}{more}"
    if first["type"] == "missing":
        return f"{where}: the key '{key}' is missing; add it.{more}"
    if first["type"] == "tuple_type" and isinstance(first["input"], dict):
        return f"{where}: key '{key}': found one table; write [[{key}]], with two brackets, for a list of tables.{more}"
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    found = "" if first["type"] == "value_error" and isinstance(first["input"], dict) else f" found {first['input']!r};"
    at = f"key '{key}':" if key else ""
    return " ".join(f"{where}: {at}{found} {message}.{more}".split())


def _follows(error: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Whether a list counts as too short only because what is in it is wrong."""
    inside = error["loc"]
    return error["type"] == "too_short" and any(
        len(e["loc"]) > len(inside) and e["loc"][: len(inside)] == inside for e in errors
    )


def _without_tags(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """`location` without the tags that pydantic puts in where a table's kind chose among several models."""
    kept: list[int | str] = []
    holder: type[BaseModel] | None = model
    for part in location:
        fields = holder.model_fields if holder else {}
        if isinstance(part, str) and holder and part not in fields and "kind" in fields and part != location[-1]:
            continue
        kept.append(part)
        if isinstance(part, str):
            info = fields.get(part)
            holder = _model_in(info.annotation) if info else None
    return tuple(kept)


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def _submodel(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model that holds the keys at `location`, by walking the annotations; a tag chooses among several models."""
    candidates: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, int):
            continue
        tagged = [
            m for m in candidates if "kind" in m.model_fields and part in get_args(m.model_fields["kind"].annotation)
        ]
        if tagged:
            candidates = tagged
            continue
        info = next((m.model_fields[part] for m in candidates if part in m.model_fields), None)
        candidates = list(_models_in(info.annotation)) if info else []
    return candidates[0] if len(candidates) == 1 else None


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _model_in(annotation: object) -> type[BaseModel] | None:
    return next(_models_in(annotation), None)
