"""`sumo_maps/catalogue.toml` becomes a list of public scenarios: where each is, under which licence, and its hashes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from iovsim.paths import shared_dir

RAW = "https://raw.githubusercontent.com"
"""Where GitHub gives out the files of a commit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A public scenario. `files` are relative to `url`; each has its SHA-256, or "" where none is known beforehand.

    Such a hash is recorded when the file is first had, and has to be the same from then on. Without `url` the authors
    hand the scenario out in a way that is not followed here: the user unpacks it and names the folder. `size_bytes` is
    0 where it is not known.
    """

    name: str
    title: str
    licence: str
    homepage: str
    sumocfg: str
    commit: str = ""
    url: str = ""
    size_bytes: int = 0
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return f"{self.homepage} at commit {self.commit}" if self.commit else self.homepage

    @property
    def verified(self) -> bool:
        """Whether all its hashes are known beforehand."""
        return bool(self.files) and all(self.files.values())


def catalogue() -> Mapping[str, Entry]:
    """All entries by name."""
    text = (shared_dir("sumo_maps") / "catalogue.toml").read_text(encoding="utf-8")
    return {name: _entry(name, dict(table)) for name, table in tomllib.loads(text).items()}


def _entry(name: str, table: dict[str, object]) -> Entry:
    repository, folder = table.pop("repository", None), table.pop("folder", None)
    if repository is not None:
        table |= {
            "homepage": f"https://github.com/{repository}",
            "url": f"{RAW}/{repository}/{table['commit']}/{folder}",
        }
    return Entry(name=name, **table)  # type: ignore[arg-type]
