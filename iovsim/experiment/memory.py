"""The machine becomes a number of bytes: how much memory is left, and how much a process takes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def available_bytes(cgroup: Path = CGROUP) -> int:
    """What can be taken before anything is swapped out: of the machine, or of the container that this runs in."""
    free: int = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        limit = int((cgroup / "memory.max").read_text())
        free = min(free, limit - int((cgroup / "memory.current").read_text()) + _reclaimable_bytes(cgroup))
    return max(free, 0)


def resident_bytes(process: int | None) -> int:
    """What a process of this computer holds in memory; 0 where it is gone."""
    if process is None:
        return 0
    with suppress(psutil.Error):
        held: int = psutil.Process(process).memory_info().rss
        return held
    return 0


def _reclaimable_bytes(cgroup: Path) -> int:
    """Files read lately count as the container's memory, but are given up at need."""
    for line in (cgroup / "memory.stat").read_text().splitlines():
        name, _, number = line.partition(" ")
        if name == "inactive_file":
            return int(number)
    return 0
