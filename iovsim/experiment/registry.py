"""A kind named in a file becomes an object: from a plain dictionary, or from outside as "package.module:Class"."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from iovsim.config import Kind
from iovsim.errors import ScenarioError, near_match

T = TypeVar("T")


def make(kind: Kind, known: Mapping[str, Callable[..., T]], where: str) -> T:
    """The object that `kind` names, made with the parameters beside it.

    `where` names file and key in errors. Raises `ScenarioError` for an unknown name or parameter (the nearest is
    offered), for an outside class that cannot be imported, and for parameters that the class refuses.
    """
    maker = outside(kind.kind, where) if ":" in kind.kind else known.get(kind.kind)
    if maker is None:
        raise ScenarioError(
            f"{where}: unknown kind {kind.kind!r}; {near_match(kind.kind, known)} "
            "Your own class can be named as 'package.module:Class'."
        )
    parameters = {name: _frozen(value) for name, value in kind.parameters.items()}
    _check_names(maker, parameters, kind.kind, where)
    try:
        return maker(**parameters)
    except ScenarioError as error:
        raise ScenarioError(f"{where}, kind {kind.kind!r}: {error}") from None
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"{where}, kind {kind.kind!r}: {error}.") from None


def outside(name: str, where: str) -> Callable[..., Any]:
    """The class that "package.module:Class" names. Raises `ScenarioError` where it cannot be imported."""
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does: a user's own module lies where the command is given
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ScenarioError(f"{where}: the module of {name!r} cannot be imported: {error}.") from None
    if not callable(found := getattr(module, attribute, None)):
        names = [n for n in vars(module) if not n.startswith("_")]
        raise ScenarioError(f"{where}: {module_name!r} has no class {attribute!r}; {near_match(attribute, names)}")
    return found  # type: ignore[no-any-return]


def _check_names(maker: Callable[..., Any], parameters: Mapping[str, Any], kind: str, where: str) -> None:
    signature = inspect.signature(maker)
    allowed = list(signature.parameters)
    for name in parameters:
        if name not in allowed:
            raise ScenarioError(f"{where}: kind {kind!r} has no parameter {name!r}; {near_match(name, allowed)}")
    for name, parameter in signature.parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in parameters:
            raise ScenarioError(f"{where}: kind {kind!r} needs the parameter {name!r}; add it.")


def _frozen(value: Any) -> Any:
    """Lists become tuples, so that a frozen class holding them can be hashed and compared."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
