"""The example notebook runs from its first cell to its last, and what is committed shows it as it ran."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLE = Path(__file__).parents[2] / "analysis" / "example.ipynb"
MAX_BYTES = 1_000_000


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def check(notebook: Any) -> None:
    """Every cell ran, in order, without an error, a warning or a path of this machine."""
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert all(output.get("name", "stdout") == "stdout" for output in outputs)
    texts = [str(output.get("text", "")) for output in outputs]
    texts += [str(data) for output in outputs for kind, data in output.get("data", {}).items() if "image" not in kind]
    assert not [text for text in texts if re.search(r"(?<![\w<])/\w+/\w|\\\\Users\\\\", text)]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert any("<b>tiny, seeds 1, 2, 3</b>" in text for text in texts)


def test_what_is_committed_is_whole_and_small() -> None:
    assert EXAMPLE.stat().st_size < MAX_BYTES
    check(nbformat.read(EXAMPLE, as_version=4))


def test_the_example_runs(session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOVSIM_CACHE", str(session_cache))
    notebook = nbformat.read(EXAMPLE, as_version=4)
    for cell in code_cells(notebook):
        cell["outputs"], cell["execution_count"] = [], None
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    check(client.execute())
    assert not list(tmp_path.iterdir())
