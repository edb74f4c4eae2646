"""A process's peak is counted from what it held before, and kept states are part of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from iovsim.bench import memory
from iovsim.bench.rows import Skipped

MEASURE = """
import json
from iovsim.bench.memory import peak_mib
print(json.dumps([peak_mib(side, "top1", vehicles=2) for side in ("ours", "ours")]))
"""
KEPT_MIB = 1024 * 17 * 128 * 4 / 2**20


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="only Linux tells a process's peak anew")
def test_states_are_counted_when_they_are_worked_out() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True)
    peaks = json.loads(done.stdout)
    assert all(KEPT_MIB / 2 < peak < 100.0 for peak in peaks), "two vehicles' samples are in most groups of 64"


def test_elsewhere_the_rows_are_skipped_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CLEAR", memory.CLEAR.with_name("no-such-file"))
    all_blocks, top = memory.rows()
    assert isinstance(all_blocks, Skipped)
    assert isinstance(top, Skipped)
    assert "on Linux alone" in top.reason
