"""`python -m iovsim.bench.soak [ARGUMENTS]`: a command that is killed at many moments becomes a list of what was lost.

Each moment has a folder and a cache of its own. There the command is killed (SIGKILL) at a moment drawn evenly from the
time that it takes undisturbed, sometimes twice, and given again until it is done, or `iovsim resume` in its place. Then
every file of its results must be there, equal bit for bit to that of an undisturbed run, and nothing temporary may be
left among the results or in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from iovsim.errors import ResultsError
from iovsim.results.manifest import NAME as MANIFEST
from iovsim.rng import stream

IOVSIM = (sys.executable, "-c", "from iovsim.cli import main; main()")

TOLD = frozenset({"study.json"})
"""Files of results that name their folder. Of manifests, which tell the time too, only a part is compared."""

SECOND_KILL, INSTEAD_RESUME, WHOLE_GROUP = 0.3, 0.6, 0.5
"""How often a command is killed once more, resumed in place of given again, and killed with all its children."""

GONE_S = 30.0
"""How long the children of a killed command may take to notice. What they have not left by then is left to them."""

LAST_WORDS = 1000
"""Letters that are shown of what a failed command has printed."""

USUAL = ("run", "world.toml", "-p", "all-available", "-p", "random", "-j", "2", "--set", "time.duration_s=90.0")
"""The command that is killed where none is given."""

WORLD = """
name = "soak"
time = { start_s = 60.0, duration_s = 30.0 }
mobility = { map = "portside" }
rsus = { placement = "junctions", count = 2, spacing_m = 400.0, range_m = 250.0 }
rounds = { period_s = 10.0, deadline_s = 9.0, merge_every = 1 }
evaluation = { adapters_every_merges = 1, vehicles_every_merges = 1 }

[[tasks]]
name = "lights"
data = { kind = "lights", train = 300, test = 40 }
charge_as = "vit-base-patch16-224"
head = "local"
round_energy_j = 200.0
lora = { dropout = 0.1, top_blocks = 1 }
shards = { samples = 16, label_alpha = 0.5 }
"""

STUDY = """
name = "soak"
scenario = "world.toml"
policies = ["random", "all-available"]
seeds = "1-2"
"""


@dataclass(frozen=True, slots=True)
class Soaked:
    """A command line that is to be killed. It is given in a folder that holds `files`, and writes below `out`."""

    arguments: Sequence[str]
    files: Mapping[str, str] = field(default_factory=lambda: {"world.toml": WORLD, "study.toml": STUDY})
    out: str = "runs"
    resumed: bool = True  # whether `iovsim resume OUT` may take its place
    workers: bool = False  # whether one of its workers is killed in its place: then it must go on by itself
    program: Sequence[str] = IOVSIM


@dataclass(frozen=True, slots=True)
class Moment:
    """What was done at one moment and whether all was well afterwards. `faults` is empty if so."""

    number: int
    done: tuple[str, ...]
    faults: tuple[str, ...]


def soak(soaked: Soaked, place: Path, moments: int, seed: int, tell: Callable[[Moment], None]) -> list[Moment]:
    """Runs the command undisturbed once and disturbed at so many moments, in folders of `place`; tells of each.

    Raises `ResultsError` where the undisturbed command fails or writes nothing.
    """
    whole = place / "undisturbed"
    begin_s = time.monotonic()
    failed = _ended(_begun(soaked, soaked.arguments, whole), whole)
    takes_s = time.monotonic() - begin_s
    expected = contents(whole / soaked.out)
    if failed or not expected:
        raise ResultsError(f"{' '.join(soaked.arguments)}: {failed or f'writes nothing into {soaked.out!r}'}")
    found = []
    for number in range(moments):
        folder = place / f"moment-{number}"
        done, failures = _disturbed(soaked, folder, takes_s, stream(seed, "soak", number))
        found.append(Moment(number, tuple(done), (*failures, *faults(expected, folder, soaked.out))))
        tell(found[-1])
    return found


def contents(folder: Path) -> dict[str, str]:
    """What each file below holds, by its path: a digest, or the part of a manifest that every equal run has."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in TOLD]
    return {path.relative_to(folder).as_posix(): _content(path) for path in files}


def faults(expected: Mapping[str, str], folder: Path, out: str) -> list[str]:
    """What differs below `out` from what is expected, and everything temporary in the folder."""
    found = contents(folder / out)
    told = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    told += [f"{name} is there too" for name in sorted(found.keys() - expected.keys())]
    told += [f"{name} differs" for name in sorted(expected.keys() & found.keys()) if expected[name] != found[name]]
    return told + [f"{path.relative_to(folder)} is left" for path in sorted(folder.rglob(".*"))]


def _content(path: Path) -> str:
    if path.name == MANIFEST:
        manifest = json.loads(path.read_bytes())
        return json.dumps([manifest["status"], manifest["world_hash"], manifest["tables"]])
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _disturbed(
    soaked: Soaked, folder: Path, takes_s: float, rng: np.random.Generator
) -> tuple[list[str], Iterator[str]]:
    """Kills the command once or twice and lets it come to its end; returns what was done, and what failed."""
    done, failures = [], []
    arguments = list(soaked.arguments)
    for _ in range(1 + (rng.random() < SECOND_KILL)):
        wait_s = rng.uniform(0.0, takes_s)
        process = _begun(soaked, arguments, folder)
        hit = _worker_killed(process, wait_s, rng) if soaked.workers else _killed(process, wait_s, rng)
        done.append(f"{_name(arguments)}: {hit}")
        if soaked.workers:
            failures.append(_ended(process, folder))
        resumes = soaked.resumed and rng.random() < INSTEAD_RESUME and any((folder / soaked.out).rglob(MANIFEST))
        arguments = ["resume", soaked.out] if resumes else list(soaked.arguments)
    for again in [arguments] * (_name(arguments) == "resume") + [list(soaked.arguments)]:
        failures.append(
            _ended(_begun(soaked, again, folder), folder)
        )  # the command itself too: some runs may not have begun
        done.append(f"{_name(again)}: to its end")
    return done, filter(None, failures)


def _name(arguments: Sequence[str]) -> str:
    return arguments[0] if arguments else "program"


def _begun(soaked: Soaked, arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in soaked.files.items():
        (folder / name).write_text(text)
    with _said(folder).open("wb") as said:
        return subprocess.Popen(
            [*soaked.program, *arguments],
            cwd=folder,
            env=os.environ | {"IOVSIM_CACHE": "cache"},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def _said(folder: Path) -> Path:
    """What the latest command in `folder` printed; not a pipe, which its children would keep open."""
    return folder.with_name(f"{folder.name}.txt")


def _ended(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Lets a command come to its end; if that is not a good one, says how it ended and what it said last."""
    if _waited(process, None) == 0:
        return ""
    return f"exit status {process.returncode}: {_said(folder).read_text(errors='replace')[-LAST_WORDS:].strip()}"


def _waited(process: subprocess.Popen[bytes], timeout_s: float | None) -> int:
    """Its exit status. Raises `subprocess.TimeoutExpired`; whatever else ends the waiting ends the command too."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def _killed(process: subprocess.Popen[bytes], wait_s: float, rng: np.random.Generator) -> str:
    """Kills the command, alone or with all its children, after a while; says what was hit."""
    with suppress(subprocess.TimeoutExpired):
        _waited(process, wait_s)
        return f"over before {wait_s:.2f} s"
    group = rng.random() < WHOLE_GROUP
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    deadline_s = time.monotonic() + GONE_S
    while _alive(process.pid) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return f"killed after {wait_s:.2f} s" + " with all its children" * group


def _worker_killed(process: subprocess.Popen[bytes], wait_s: float, rng: np.random.Generator) -> str:
    """Kills one of the command's children after a while; says which."""
    with suppress(subprocess.TimeoutExpired):
        _waited(process, wait_s)
        return f"over before {wait_s:.2f} s"
    children = psutil.Process(process.pid).children()
    if not children:
        return f"no worker after {wait_s:.2f} s"
    number = int(rng.integers(len(children)))
    with suppress(psutil.NoSuchProcess):
        children[number].kill()
    return f"worker {number + 1} of {len(children)} killed after {wait_s:.2f} s"


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", action="store_true", help="kill one of its workers in place of the command")
    parser.add_argument("--no-resume", action="store_true", help="never try `iovsim resume` in its place")
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        help="of iovsim; given in a folder with a small world.toml and study.toml, into runs",
    )
    asked = parser.parse_args()
    soaked = Soaked(asked.arguments or USUAL, resumed=not asked.no_resume, workers=asked.workers)
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        found = soak(soaked, Path(place), asked.moments, asked.seed, lambda moment: print(_line(moment), flush=True))
    good = sum(not moment.faults for moment in found)
    print(f"{good} of {len(found)} moments gave what the undisturbed command gave")
    sys.exit(good < len(found))


def _line(moment: Moment) -> str:
    return f"moment {moment.number}: {'; '.join(moment.done)}: {', '.join(moment.faults) or 'all is equal'}"


if __name__ == "__main__":
    main()
