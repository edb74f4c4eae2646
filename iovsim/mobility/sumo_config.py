"""Turns a user's `.sumocfg` into its options with full paths, the files it reads, and a hash of all of that.

SUMO itself resolves the configuration (`--save-configuration`): synonyms, times and paths mean what SUMO takes them
to mean, and what it refuses is refused here in its own words.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, unquote

from iovsim.errors import TraceError

REFERENCE = re.compile(rb'\b(?:href|file)="([^"<>]{1,1000})"')
"""How a SUMO input names a further one: `<include href>`, `<rerouter file>` and the like."""

TRUE = ("true", "1", "yes", "on", "x")
"""What SUMO takes for true."""


@dataclass(frozen=True, slots=True)
class SumoInputs:
    """The files a configuration names, with full paths, and whether it has SUMO ignore errors in its routes."""

    sumocfg: Path
    net: Path
    routes: tuple[Path, ...]
    additional: tuple[Path, ...]
    ignores_route_errors: bool = False


@dataclass(frozen=True, slots=True)
class SumoConfig:
    """A configuration as SUMO understands it: `sections[section][option] = value`, only what the user has set."""

    path: Path
    sections: Mapping[str, Mapping[str, str]]

    def get(self, option: str) -> str | None:
        for options in self.sections.values():
            if option in options:
                return options[option]
        return None

    def on(self, option: str) -> bool:
        """Whether a switch is set."""
        return (self.get(option) or "false").lower() in TRUE


def sumo_version() -> str:
    """Version of the SUMO that records; part of a trace's name. Raises `TraceError` where there is none."""
    if importlib.util.find_spec("libsumo") is None:
        raise TraceError("libsumo is not installed; run: pip install libsumo. Recorded traces replay without it.")
    return version("libsumo")


def has_sumo() -> bool:
    return importlib.util.find_spec("sumo") is not None


def sumo_command() -> list[str]:
    """SUMO's own program in the wheel. The console script beside Python would put a process between us and it."""
    spec = importlib.util.find_spec("sumo")
    if spec is None or not spec.submodule_search_locations:
        raise TraceError("SUMO is not installed; run: pip install eclipse-sumo")
    return [str(Path(spec.submodule_search_locations[0]) / "bin" / "sumo")]


def sumo_tool(name: str) -> Path:
    """A program of the wheel ("netconvert") or a script ("randomTrips.py"). Raises `TraceError` where it is missing."""
    home = Path(sumo_command()[0]).parent.parent
    path = home / "tools" / name if name.endswith(".py") else home / "bin" / name
    if shutil.which(path) is None and not path.is_file():  # `which` knows that programs end in .exe on Windows
        raise TraceError(f"{path}: this part of SUMO is missing; run: pip install --force-reinstall eclipse-sumo")
    return path


def sumo_environment() -> dict[str, str]:
    """The environment that the console script would set: SUMO looks for its schemas and projections there."""
    home = Path(sumo_command()[0]).parent.parent
    proj = str(home / "data" / "proj")
    return {**os.environ, "SUMO_HOME": str(home), "PROJ_DATA": proj, "PROJ_LIB": proj}


def run_tool(command: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One of SUMO's programs, to its end, in `folder`; the caller looks at the exit code, and at what was printed."""
    return subprocess.run(
        command,
        cwd=folder,
        env=sumo_environment(),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def read_config(sumocfg: Path | str) -> SumoConfig:
    """Let SUMO resolve a configuration. Raises `TraceError` if it is missing, no XML, or refused by SUMO.

    Where SUMO is not installed, so that only recorded traces can be replayed, files are found by their full option
    names alone.
    """
    path = Path(sumocfg).absolute()
    if not path.is_file():
        raise TraceError(f"{path}: no such SUMO configuration; name an existing .sumocfg file.")
    try:
        ET.parse(path)
    except ET.ParseError as error:
        line, column = error.position
        raise TraceError(f"{path}, line {line}, column {column + 1}: broken XML ({error}); repair the file.") from None
    if not has_sumo():
        return _plain_config(path)
    with tempfile.TemporaryDirectory(prefix="iovsim-") as folder:
        resolved = Path(folder) / "resolved.sumocfg"
        done = run_tool([*sumo_command(), "-c", str(path), "--save-configuration", str(resolved)], Path(folder))
        if done.returncode != 0 or not resolved.is_file():
            raise TraceError(f"{path}: SUMO refuses the configuration: {sumo_message(done.stderr)}")
        root = ET.parse(resolved).getroot()
    sections = {section.tag: {option.tag: _decoded(option.get("value", "")) for option in section} for section in root}
    return SumoConfig(path, sections)


def inputs(sumocfg: Path | str) -> SumoInputs:
    """The net, route and additional files of a configuration.

    Raises `TraceError` for a configuration that SUMO refuses, that names no net, or a file that does not exist.
    """
    config = read_config(sumocfg)
    net = config.get("net-file")
    if not net:
        raise TraceError(f"{config.path}: names no road network; add <net-file value=...> to <input>.")
    files = SumoInputs(
        sumocfg=config.path,
        net=Path(net),
        routes=_paths(config.get("route-files")),
        additional=_paths(config.get("additional-files")),
        ignores_route_errors=config.on("ignore-route-errors"),
    )
    for file in (files.net, *files.routes, *files.additional):
        if not file.is_file():
            raise TraceError(f"{config.path}: names {file}, which does not exist; correct the path.")
    return files


def content_hash(config: SumoConfig, skip: tuple[str, ...], extra: Mapping[str, object]) -> str:
    """SHA-256 over every option outside the sections `skip`, every input file's content, and `extra`.

    A file counts by its content, not by its place: a copied folder keeps its hash. Files named inside inputs count too.
    """
    parts = [f"{name}={value}" for name, value in sorted(extra.items())]
    for section, options in sorted(config.sections.items()):
        if section in skip:
            continue
        for option, value in sorted(options.items()):
            parts += [f"{section}.{option}={_value_hash(entry)}" for entry in value.split(",")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def files_read(config: SumoConfig) -> list[Path]:
    """The configuration, every file that its options name, and those that are named inside these; sorted."""
    named = (Path(entry) for options in config.sections.values() for v in options.values() for entry in v.split(","))
    seen = {config.path}
    for path in named:
        if path.is_absolute() and path.is_file():
            list(_file_hashes(path, seen))
    return sorted(seen)


def sumo_message(stderr: str) -> str:
    """SUMO's errors in one line: its `Error:` lines, without the farewell."""
    lines = [line.strip() for line in stderr.splitlines()]
    errors = [line.removeprefix("Error:").strip() for line in lines if line.startswith("Error:")]
    return " ".join(errors or [line for line in lines if line and not line.startswith("Quitting")]) or "no message."


def read_bytes(path: Path) -> bytes:
    """A SUMO input's text, unpacked where the file is a gzip."""
    data = path.read_bytes()
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{path}: damaged gzip file ({error}).") from None


def sumo_value(value: str) -> str:
    """A value of `SumoConfig.sections` as SUMO reads it: it takes a file name in a configuration for a coded one."""
    return ",".join(quote(part, "/\\:") if Path(part).is_absolute() else part for part in value.split(","))


def _decoded(value: str) -> str:
    """A value as SUMO has saved it, with plain file names."""
    return ",".join(_plain(part) if Path(part).is_absolute() else part for part in value.split(","))


def _plain(name: str) -> str:
    """SUMO codes what is special in a file name, and leaves spaces round it out where a list is written with some."""
    path = Path(unquote(name))
    return str(path if path.exists() else path.with_name(path.name.strip() or path.name))


def _plain_config(path: Path) -> SumoConfig:
    """A configuration as it is written, its files with full paths."""
    sections: dict[str, dict[str, str]] = {}
    for section in ET.parse(path).getroot():
        for option in section:
            value = option.get("value") or option.get("v") or ""
            if option.tag in ("net-file", "route-files", "additional-files"):
                value = ",".join(str((path.parent / part.strip()).absolute()) for part in value.split(",") if part)
            sections.setdefault(section.tag, {})[option.tag] = value
    return SumoConfig(path, sections)


def _paths(value: str | None) -> tuple[Path, ...]:
    return tuple(Path(part) for part in (value or "").split(",") if part)


def _value_hash(entry: str) -> str:
    path = Path(entry)
    if not (path.is_absolute() and path.is_file()):
        return entry
    return " ".join(_file_hashes(path, set()))


def _file_hashes(path: Path, seen: set[Path]) -> Iterator[str]:
    seen.add(path)
    data = read_bytes(path)
    yield hashlib.sha256(data).hexdigest()
    for match in dict.fromkeys(REFERENCE.findall(data)):
        further = (path.parent / os.fsdecode(match)).resolve()
        if further not in seen and further.is_file():
            yield from _file_hashes(further, seen)
