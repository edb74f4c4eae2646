"""Every noun of the domain is had from `iovsim.domain` itself, whichever of its files holds it."""

from __future__ import annotations

import importlib
import pkgutil

import iovsim.domain


def test_every_noun_is_had_from_the_package() -> None:
    held = {
        name
        for part in pkgutil.iter_modules(iovsim.domain.__path__, "iovsim.domain.")
        for name, value in vars(importlib.import_module(part.name)).items()
        if getattr(value, "__module__", None) == part.name
    }
    assert len(held) > 40
    assert held <= set(iovsim.domain.__all__)


def test_the_files_are_named_in_the_package_docstring() -> None:
    for part in pkgutil.iter_modules(iovsim.domain.__path__):
        assert f"| `{part.name}` |" in str(iovsim.domain.__doc__)
