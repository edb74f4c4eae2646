"""Workers do all pieces, share what a group shares, survive the death of some, and never take too much memory."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from iovsim.errors import ResultsError, ScenarioError
from iovsim.experiment import pool
from iovsim.experiment.memory import available_bytes, resident_bytes
from iovsim.experiment.pool import RETRIES, Piece, work_here, work_through
from iovsim.experiment.worker import Desk


@pytest.fixture(autouse=True)
def _workers_find_this_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def silent(label: str, step: str, done: float) -> None:
    """Hears nothing."""


def double(number: int, desk: Desk) -> int:
    desk.progress("doubling", 1.0)
    return 2 * number


def fail(desk: Desk) -> None:
    raise ScenarioError("the scenario is wrong")


class UnreadableError(Exception):
    """Can be pickled and not unpickled, since its arguments are not those that it was made with."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)
        self.two = two


def fail_strangely(desk: Desk) -> None:
    raise UnreadableError(1, 2)


def die_until(file: Path, times: int, desk: Desk) -> int:
    """Kills its own process so many times; the file counts."""
    died = len(file.read_text()) if file.exists() else 0
    if died < times:
        file.write_text("x" * (died + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return died


def make_shared(folder: Path, name: str, desk: Desk) -> int:
    """Makes what its group shares, if its process does not have it, and says who made it when."""

    def make() -> int:
        with (folder / name).open("a") as file:
            file.write(f"{os.getpid()} begin {time.monotonic()}\n")
            time.sleep(0.2)
            file.write(f"{os.getpid()} end {time.monotonic()}\n")
        return os.getpid()

    return desk.shared(name, make)


def wait_long(file: Path, desk: Desk) -> None:
    file.write_text("begun")
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        file.write_text("cleared up")
        raise


def tell_worker(desk: Desk) -> int:
    time.sleep(0.3)
    return desk.worker


def test_workers_side_by_side_have_numbers_of_their_own() -> None:
    pieces = [Piece(f"piece {k}", tell_worker) for k in range(6)]
    assert {o.result for o in work_through(pieces, 2, silent)} == {0, 1}


def test_all_pieces_are_done_and_reported() -> None:
    seen: list[tuple[str, str, float]] = []
    pieces = [Piece(f"piece {k}", partial(double, k)) for k in range(7)]
    outcomes = list(work_through(pieces, 2, lambda *report: seen.append(report)))
    assert {o.number: o.result for o in outcomes} == {k: 2 * k for k in range(7)}
    assert {label for label, _, _ in seen} == {f"piece {k}" for k in range(7)}


def test_work_here_gives_the_same_as_workers() -> None:
    pieces = [Piece("a", partial(double, 1)), Piece("b", fail), Piece("c", partial(double, 3))]
    here = {o.number: (o.result, str(o.error)) for o in work_here(pieces, silent)}
    there = {o.number: (o.result, str(o.error)) for o in work_through(pieces, 2, silent)}
    assert here == there == {0: (2, "None"), 1: (None, "the scenario is wrong"), 2: (6, "None")}


def test_errors_come_back_as_they_are_or_as_their_text() -> None:
    wrong, strange = sorted(
        work_through([Piece("a", fail), Piece("b", fail_strangely)], 1, silent), key=lambda o: o.number
    )
    assert isinstance(wrong.error, ScenarioError)
    assert "fail_strangely" in str(strange.error)


def test_a_piece_whose_worker_died_is_begun_again(tmp_path: Path) -> None:
    pieces = [Piece("dies", partial(die_until, tmp_path / "deaths", RETRIES)), Piece("lives", partial(double, 2))]
    outcomes = {o.number: o.result for o in work_through(pieces, 2, silent)}
    assert outcomes == {0: RETRIES, 1: 4}


def test_a_piece_that_kills_every_worker_fails_and_the_others_go_on(tmp_path: Path) -> None:
    pieces = [Piece("dies", partial(die_until, tmp_path / "deaths", 99)), Piece("lives", partial(double, 2))]
    outcomes = {o.number: o for o in work_through(pieces, 2, silent)}
    assert outcomes[1].result == 4
    assert isinstance(outcomes[0].error, ResultsError)
    assert str(outcomes[0].error).startswith(f"dies: its process died {RETRIES + 1} times (last by signal SIGKILL)")


def test_what_a_group_shares_is_made_once_a_worker_and_never_by_two_at_once(tmp_path: Path) -> None:
    pieces = [Piece(f"{g}{k}", partial(make_shared, tmp_path, g), g) for k in range(3) for g in ("one", "two")]
    outcomes = list(work_through(pieces, 2, silent))
    assert len(outcomes) == len(pieces)
    for group in ("one", "two"):
        lines = [line.split() for line in (tmp_path / group).read_text().splitlines()]
        begins = [float(when) for _, what, when in lines if what == "begin"]
        ends = [float(when) for _, what, when in lines if what == "end"]
        assert len({who for who, _, _ in lines}) == len(begins)  # nobody made it twice
        assert all(later >= ends[0] for later in begins[1:])  # nobody began before it was there


def test_closing_ends_workers_after_they_cleared_up(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with closing(
        work_through([Piece("quick", partial(double, 1)), Piece("long", partial(wait_long, file))], 2, silent)
    ) as done:
        assert next(done).result == 2
        while not file.exists():
            time.sleep(0.02)
    assert file.read_text() == "cleared up"


def test_where_memory_is_short_one_worker_does_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "available_bytes", lambda: 0)
    pieces = [Piece(f"{k}", partial(make_shared, tmp_path, "all")) for k in range(4)]
    assert len({o.result for o in work_through(pieces, 3, silent)}) == 1


def test_memory_is_that_of_the_container_where_it_has_less(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 50\n")
    assert available_bytes(tmp_path) == 2050
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path) > 2**20
    assert resident_bytes(os.getpid()) > 2**20
    assert resident_bytes(None) == 0
