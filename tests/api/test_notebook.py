"""In a notebook progress is one output that changes, and a mistake one line."""

from __future__ import annotations

from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

Outputs = list[dict[str, Any]]


@pytest.fixture(scope="module")
def outputs() -> list[Outputs]:
    """What a kernel answered to each cell."""
    cells = [
        "import iovsim\n"
        "from rich.console import Console\n"
        "from iovsim.progress import shown\n"
        "with shown(Console()) as report:\n"
        "    for label in ('a', 'b'):\n"
        "        for part in range(1001):\n"
        "            report(label, 'working', part / 1000)",
        "iovsim.load_scenario('dmo')",
        "import sys; print('torch' in sys.modules)",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    return [cell["outputs"] for cell in NotebookClient(notebook, allow_errors=True).execute()["cells"]]


def test_progress_is_one_text_that_was_replaced(outputs: list[Outputs]) -> None:
    (shown,) = outputs[0]
    assert shown["data"] == {"text/plain": "a: working 100%\nb: working 100%"}


def test_a_mistake_is_one_line(outputs: list[Outputs]) -> None:
    (error,) = outputs[1]
    assert error["ename"] == "ScenarioError"
    (line,) = error["traceback"]
    assert line.startswith("ScenarioError: scenario 'dmo': no such built-in scenario; did you mean 'demo'?")
    assert outputs[2][0]["text"] == "False\n"
