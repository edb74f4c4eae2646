"""Whoever does not train does not wait for torch."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["iovsim.cli", "iovsim.results", "iovsim.engine", "iovsim.policies", "iovsim.testing", "iovsim.radio"]
)
def test_importing_it_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'peft', 'transformers'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
