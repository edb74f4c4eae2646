"""Code becomes a hash, so that whatever was made by other code is made anew and never taken for the same."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path

from iovsim.config import Kind
from iovsim.experiment.registry import outside
from iovsim.paths import PACKAGE


def package_sha256(*parts: str) -> str:
    """SHA-256 over the source files of the named parts of iovsim, such as "radio"; "" is the package's top level."""
    return _sha256(sorted(f for part in parts for f in _sources(PACKAGE / part, part)))


def outside_sha256(*kinds: Kind) -> str:
    """SHA-256 over the modules of those kinds that name a class from outside; of nothing, where none does."""
    modules = []
    for kind in kinds:
        if ":" in kind.kind:
            source = inspect.getsourcefile(outside(kind.kind, f"kind {kind.kind!r}"))
            if source is not None:
                modules.append(Path(source))
    return _sha256(modules)


def _sources(folder: Path, part: str) -> list[Path]:
    """A part's files with those of its sub-packages; of the top level only its own."""
    return list(folder.rglob("*.py") if part else folder.glob("*.py"))


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(PACKAGE) if file.is_relative_to(PACKAGE) else file.name).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
