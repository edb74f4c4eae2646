"""A federated job ends with the same adapter everywhere, and what cannot be compared is skipped with a reason."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iovsim.bench import frameworks, peer
from iovsim.bench.__main__ import _line
from iovsim.bench.federation import Federation, client_batches, difference, start, trained
from iovsim.bench.frameworks import EchoTrainer, compared, crowded_world, simulated
from iovsim.bench.peer import PeerError, ask
from iovsim.bench.rows import Row, Skipped, write
from iovsim.domain import Recipe, TrainJob
from iovsim.learning.trainer import PeftTrainer

ROOT = Path(__file__).parents[2]
PAIR = Federation(clients=2, per_round=2, rounds=2, trains=True)
FEW = Federation(clients=4, per_round=2, rounds=2, trains=False)


def test_a_framework_that_is_not_installed_is_skipped_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(frameworks, "PEERS", {"nobody": ("no_such_module",)})
    (skipped,) = frameworks.rows()
    assert isinstance(skipped, Skipped)
    assert "skipped: no module 'no_such_module'" in _line(skipped)
    write([skipped], tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text())[0]["name"] == "federation/nobody"


def test_a_framework_that_fails_is_skipped_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho starting >&2\necho the port is taken >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    def measure(name: str) -> Iterator[Row]:
        ask("nobody", FEW)
        yield Row(name, 1.0, 1.0, 1.0, "s", 1, "")

    (skipped,) = compared("x", measure)
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "nobody ended with status 3: the port is taken"


def test_our_job_is_repeatable_and_moves_the_adapter() -> None:
    run = trained(PeftTrainer, PAIR)
    first, second = run(), run()
    assert difference(first.adapter, second.adapter) == 0.0
    assert difference(first.adapter, start()) > 1e-3
    assert first.cost.cpu_s > 0.0


def test_clients_differ_in_pictures_and_order() -> None:
    (first, _), *others = client_batches(0)
    assert len(others) == 5
    assert first.shape == (8, 3, 32, 32)
    assert not np.array_equal(first, client_batches(1)[0][0])


def test_an_echo_costs_nothing_and_changes_nothing() -> None:
    trainer = EchoTrainer()
    adapter = trainer.initial("signs", 8, 0)
    job = TrainJob("signs", "v0", 0, "rsu0", adapter, np.arange(3), 1, Recipe(1e-3, 8), 0.0, 0)
    update = trainer.result(trainer.submit(job))
    assert (update.adapter, update.samples, trainer.answered) == (adapter, 3, 1)


def test_overhead_is_counted_by_delivered_update() -> None:
    world = crowded_world(40, begin_s=20.0, end_s=100.0)
    spent = simulated(world)
    assert 0.0 < spent.cpu_s < 0.1
    with pytest.raises(Exception, match="no update arrived"):
        simulated(replace(world, vehicles={}, contacts=type(world.contacts)(()), evaluated_vehicles={"signs": ()}))  # type: ignore[call-arg]


def pins(file: str) -> dict[str, str]:
    return dict(re.findall(r"^([^#\s]+)==(\S+)$", (ROOT / file).read_text(), re.MULTILINE))


def test_the_benchmarks_run_with_the_versions_of_the_tests_but_for_four() -> None:
    tests, bench = pins("constraints.txt"), pins("constraints-bench.txt")
    different = {n for n in tests.keys() & bench.keys() if tests[n] != bench[n]}
    assert different == {"packaging", "protobuf", "rich", "typer"}
    assert {"flwr", "pfl", "ray", "torch"} <= bench.keys()


@pytest.mark.parametrize("name", frameworks.PEERS)
def test_all_end_with_the_same_adapter(name: str) -> None:
    for module in frameworks.PEERS[name]:
        pytest.importorskip(module, exc_type=ImportError)
    ours = trained(PeftTrainer, PAIR)().adapter
    assert difference(ours, ask(name, PAIR).adapter) < frameworks.SAME
    echo = ask(name, FEW)
    assert difference(echo.adapter, start()) < 1e-6
    assert echo.cost.wall_s > 0.0


def test_another_adapter_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(PeftTrainer, PAIR)
    other = replace(run(), adapter=start())
    monkeypatch.setattr(frameworks, "TRAINED", PAIR)
    monkeypatch.setattr(peer, "ask", lambda name, federation: other)
    with pytest.raises(PeerError, match="flower ended with another adapter"):
        list(frameworks._training("flower", PeftTrainer, "x"))
