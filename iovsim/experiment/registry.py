"""A kind named in a file becomes an object: from a plain dictionary, or from outside as "package.module:Class"."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from iovsim.config import Kind
from iovsim.errors import ScenarioError, near_match

T = TypeVar("T")

TYPES: Mapping[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "str": str, "bool": bool}
"""What a parameter annotated so may be; other annotations are left to the class."""


def make(kind: Kind, known: Mapping[str, Callable[..., T]], where: str, needs: Sequence[str] = ()) -> T:
    """The object that `kind` names, made with the parameters beside it.

    `where` names file and key in errors; `needs` are the attributes that an outside class must have. Raises
    `ScenarioError` for an unknown name or parameter (the nearest is offered), for an outside class that cannot be
    imported, and for parameters that the class refuses.
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
        made = maker(**parameters)
    except ScenarioError as error:
        raise ScenarioError(f"{where}, kind {kind.kind!r}: {error}") from None
    except Exception as error:  # whatever a user's class does while it is made
        raise ScenarioError(f"{where}, kind {kind.kind!r}: {type(error).__name__}: {error}.") from None
    lacking = [name for name in needs if not hasattr(made, name)]
    if lacking:
        raise ScenarioError(
            f"{where}: {kind.kind!r} gives a {type(made).__name__}, which lacks {', '.join(lacking)}; it needs "
            f"{', '.join(needs)} (see DESIGN.md, Extending)."
        )
    return made


def outside(name: str, where: str) -> Callable[..., Any]:
    """The class that "package.module:Class" names. Raises `ScenarioError` where it cannot be imported."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute or module_name.startswith("."):
        raise ScenarioError(f"{where}: {name!r} cannot be read; write 'package.module:Class'.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does: a user's own module lies where the command is given
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a user's module does while it is imported
        raise ScenarioError(
            f"{where}: the module of {name!r} cannot be imported ({type(error).__name__}: {error}); looked for in the "
            f"current folder {here} and among the installed packages."
        ) from None
    if not callable(found := getattr(module, attribute, None)):
        names = [n for n in vars(module) if not n.startswith("_")]
        raise ScenarioError(f"{where}: {module_name!r} has no class {attribute!r}; {near_match(attribute, names)}")
    return found  # type: ignore[no-any-return]


def _check_names(maker: Callable[..., Any], parameters: Mapping[str, Any], kind: str, where: str) -> None:
    signature = inspect.signature(maker)
    kinds = {p.kind for p in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    allowed = list(signature.parameters)
    for name in parameters:
        if name not in allowed:
            raise ScenarioError(f"{where}: kind {kind!r} has no parameter {name!r}; {near_match(name, allowed)}")
        wanted = TYPES.get(str(signature.parameters[name].annotation))
        value = parameters[name]
        wrong = wanted is not None and (
            not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool)
        )
        if wrong or (isinstance(value, float) and not math.isfinite(value)):
            raise ScenarioError(
                f"{where}: kind {kind!r}, parameter {name!r}: found {value!r}; allowed is a value of type "
                f"{signature.parameters[name].annotation}."
            )
    for name, parameter in signature.parameters.items():
        needed = parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_POSITIONAL
        if needed and name not in parameters:
            raise ScenarioError(f"{where}: kind {kind!r} needs the parameter {name!r}; add it.")


def _frozen(value: Any) -> Any:
    """Lists become tuples, so that a frozen class holding them can be hashed and compared."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
