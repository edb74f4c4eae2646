"""`import iovsim` is light, and every file opens with a sentence that says what it is for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("iovsim/**/*.py"), *ROOT.glob("analysis/**/*.py")])


def test_importing_the_package_loads_neither_torch_nor_simpy() -> None:
    code = "import sys, iovsim; sys.exit(bool({'torch', 'simpy', 'peft', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_opens_with_a_sentence_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "no module docstring"
    assert len(docstring.splitlines()[0]) > 20
    assert len(text.splitlines()) <= 350, "a file this long holds more than one idea"
