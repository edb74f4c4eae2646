"""What vehicles carry from RSU to RSU is counted once, however often and in whatever order it is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import PolicyError
from iovsim.policies.bandits import Forgetting, Notebook
from iovsim.policies.bandits.notebook import Key

KEY: Key = ("signs", "jetson-nano")
OTHER: Key = ("signs", "jetson-agx")
RSUS = ("a", "b", "c")


def write(notebook: Notebook, at_round: int, arm: int, reward: float = 1.0, key: Key = KEY) -> None:
    notebook.observe(key, at_round, np.array(arm), np.array(reward), np.array(0.5))


def test_a_vehicle_that_goes_to_and_fro_tells_nothing_twice() -> None:
    a, b = Notebook("a", 2), Notebook("b", 2)
    write(a, 1, 0)
    vehicle = a.copy()
    write(a, 2, 0)
    b.read(vehicle)
    b.read(vehicle)
    write(b, 3, 1)
    a.read(b.copy())  # brings a's own page back, older than the one that a has
    assert a.known(KEY, 4).counts.tolist() == [2, 1]
    assert b.known(KEY, 4).counts.tolist() == [1, 1]
    b.read(a.copy())
    assert b.known(KEY, 4).counts.tolist() == [2, 1]


def test_keys_are_kept_apart() -> None:
    notebook = Notebook("a", 2)
    write(notebook, 1, 0)
    write(notebook, 1, 1, key=OTHER)
    assert notebook.known(KEY, 2).counts.tolist() == [1, 0]
    assert notebook.known(OTHER, 2).counts.tolist() == [0, 1]
    assert notebook.known(("lights", "jetson-nano"), 2).counts.tolist() == [0, 0]


events = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(RSUS), st.integers(0, 1)),
        st.tuples(st.just("carry"), st.sampled_from(RSUS), st.sampled_from(RSUS)),
    ),
    max_size=30,
)


@given(events, st.sampled_from([Forgetting(), Forgetting(discount=0.9), Forgetting(window=3)]))
def test_who_has_heard_from_all_knows_what_all_have_seen(
    happened: list[tuple[str, str, int | str]], forgetting: Forgetting
) -> None:
    notebooks = {rsu: Notebook(rsu, 2, forgetting) for rsu in RSUS}
    everything = Notebook("everything", 2, forgetting)
    now = 1
    for now, (what, rsu, other) in enumerate(happened, start=1):
        if what == "write":
            write(notebooks[rsu], now, int(other), reward=now / 100)
            write(everything, now, int(other), reward=now / 100)
        else:
            notebooks[str(other)].read(notebooks[rsu].copy())
    known = [notebooks[rsu].known(KEY, now) for rsu in RSUS]
    whole = everything.known(KEY, now)
    for tally in known:
        assert (tally.counts <= whole.counts + 1e-9).all()
    for rsu in RSUS:
        for other in RSUS:
            notebooks[rsu].read(notebooks[other])
    for rsu in RSUS:
        for part in ("counts", "rewards", "costs"):
            found = getattr(notebooks[rsu].known(KEY, now + 1), part)
            np.testing.assert_allclose(found, getattr(everything.known(KEY, now + 1), part), atol=1e-9)


def test_notebooks_about_other_arms_are_not_read() -> None:
    with pytest.raises(PolicyError, match=r"the notebook of 'b' is about 3 arms .* that of 'a' about 2"):
        Notebook("a", 2).read(Notebook("b", 3))


@pytest.mark.parametrize("forgetting", [Forgetting(), Forgetting(discount=0.9), Forgetting(window=3)])
def test_what_is_taken_along_stays_as_it_was(forgetting: Forgetting) -> None:
    a = Notebook("a", 2, forgetting)
    write(a, 1, 0)
    taken, expected = a.copy(), a.known(KEY, 2).counts.tolist()
    write(a, 2, 0)
    a.known(KEY, 9)
    write(taken, 1, 1, key=OTHER)
    assert taken.known(KEY, 2).counts.tolist() == expected
    assert a.known(OTHER, 9).counts.tolist() == [0, 0]
