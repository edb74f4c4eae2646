"""Whole runs under fallbacks that choose anything that is offered: sums agree, and nobody does two things at once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iovsim.domain import ARRIVED, Fallback, FallbackView, Forecast, JobStatus, Way, World
from iovsim.engine.migrate import Band
from iovsim.mobility.forecast import HeadingForecast, OracleForecast
from iovsim.policies.fallback import CheapestWay, EarlyUpload
from iovsim.policies.kinds import all_available, random_selection
from iovsim.results import Run
from iovsim.rng import stream
from iovsim.testing import FakeTrainer, tiny_world

if TYPE_CHECKING:
    from .conftest import Runner


class Whatever:
    """Any of the ways, drawn by name."""

    def choose(self, view: FallbackView) -> Way:
        rng = stream(0, "whatever", view.vehicle, view.round, view.steps)
        return view.ways[int(rng.integers(len(view.ways)))]


def crowded(seed: int) -> World:
    """Training that takes so long that many leave meanwhile, by devices of three kinds."""
    world = tiny_world(seed, vehicles=14, rsus=3, duration_s=100.0)
    return replace(world, tasks=(replace(world.tasks[0], local_epochs=24),), merge_every_rounds=1)


def arrived(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs[jobs["status"].isin([str(status) for status in ARRIVED])]


CASES = [
    pytest.param(seed, forecast, clients, fallback, id=f"{seed}-{type(fallback).__name__}-{type(forecast).__name__}")
    for seed, clients in ((1, 3), (2, 14))
    for forecast in (HeadingForecast(), OracleForecast())
    for fallback in (Whatever(), CheapestWay(), CheapestWay("authors", at_once=True), EarlyUpload())
]


@pytest.mark.parametrize(("seed", "forecast", "clients", "fallback"), CASES)
def test_sums_agree_and_nobody_does_two_things_at_once(
    run_world: Runner, seed: int, forecast: Forecast, clients: int, fallback: Fallback
) -> None:
    world, trainer = crowded(seed), FakeTrainer()
    policy = all_available() if clients == 14 else random_selection(clients)
    run, state = run_world(world, policy, forecast, trainer=trainer, fallback=fallback)
    jobs, phases, rounds = run.table("jobs"), run.table("phases"), run.table("rounds")
    _check_energy(run)
    _check_counts(run)
    assert trainer.submitted == len(arrived(jobs))
    assert trainer.waiting == {}, "every update is asked for once"
    assert state.busy == set()
    for _, mine in phases.sort_values(["start_s", "end_s"]).groupby("vehicle"):
        for before, after in pairwise(mine.to_dict("records")):
            assert before["end_s"] <= after["start_s"], (before, after)
    _check_radio(world, phases)
    deadline_s = jobs["start_s"] + world.round_deadline_s
    assert (jobs["end_s"] <= deadline_s).all()
    ends_s = rounds.set_index(["rsu", "round"])["end_s"]
    assert (ends_s <= rounds.set_index(["rsu", "round"])["start_s"] + world.round_deadline_s).all()


def _check_energy(run: Run) -> None:
    jobs, phases, energy = (run.table(t) for t in ("jobs", "phases", "energy"))
    total_j = math.fsum(energy["energy_j"])
    assert total_j == math.fsum([*phases["vehicle_j"], *phases["rsu_j"]])
    assert math.fsum(jobs["energy_j"]) == pytest.approx(total_j)
    assert math.fsum(run.table("rounds")["energy_j"]) == pytest.approx(total_j)
    lost = set(jobs["job"]) - set(arrived(jobs)["job"])
    spent = phases[phases["job"].isin(lost)]
    wasted_j = math.fsum([*spent["vehicle_j"], *spent["rsu_j"]])
    assert math.fsum(energy.loc[energy["cause"] == "wasted", "energy_j"]) == wasted_j
    for vehicle, theirs in phases.groupby("vehicle"):
        booked = energy[(energy["vehicle"] == vehicle) & (energy["owner"] == "vehicle")]
        assert math.fsum(booked["energy_j"]) == math.fsum(theirs["vehicle_j"])
    for rsu, theirs in phases.groupby("rsu"):
        booked = energy[(energy["rsu"] == rsu) & (energy["owner"] == "rsu")]
        assert math.fsum(booked["energy_j"]) == math.fsum(theirs["rsu_j"])


def _check_counts(run: Run) -> None:
    """Every update that arrived is aggregated once, where it arrived."""
    jobs, rounds, merges = (run.table(t) for t in ("jobs", "rounds", "merges"))
    there = arrived(jobs)
    assert merges["updates"].sum() == rounds["delivered"].sum() == len(there)
    assert merges["samples"].sum() == rounds["samples"].sum() > 0
    assert set(there["arrived_at"]) <= set(rounds["rsu"])
    assert (jobs.loc[~jobs.index.isin(there.index), "arrived_at"] == "").all()
    elsewhere = there[there["arrived_at"] != there["rsu"]]
    assert rounds["from_others"].sum() == len(elsewhere)
    counted = rounds[rounds["from_others"] > 0].set_index(["rsu", "round"])["from_others"].to_dict()
    assert counted == Counter(zip(elsewhere["arrived_at"], elsewhere["round"], strict=True))
    early = jobs["status"] == JobStatus.DELIVERED_EARLY
    assert (jobs.loc[early, "fallback"] == "upload").all()
    assert jobs.loc[early, "fraction"].between(0, 1, inclusive="neither").all()
    assert (there.loc[~there.index.isin(jobs[early].index), "fraction"] == 1.0).all()
    migrated = jobs["status"] == JobStatus.MIGRATED
    assert set(jobs.loc[migrated, "fallback"]) <= {"next-rsu", "carrier"}
    assert ((jobs["carrier"] != "") == (jobs["fallback"] == "carrier")).all()
    assert ((jobs["fallback"] != "") == jobs["fallback_s"].notna()).all()


def _check_radio(world: World, phases: pd.DataFrame) -> None:
    """Whoever talks with an RSU is attached to it all the while."""
    stays: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for contact in world.contacts:
        stays.setdefault((contact.vehicle, contact.rsu), []).append((contact.start_s, contact.end_s))
    for one in phases[phases["phase"].isin(["downlink", "uplink"])].to_dict("records"):
        assert any(a <= one["start_s"] and one["end_s"] <= b for a, b in stays[one["vehicle"], one["rsu"]])


def test_all_that_can_happen_happens_in_these_runs(run_world: Runner) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for seed, policy in ((1, random_selection(3)), (2, all_available()), (3, random_selection(2))):
        run, _ = run_world(crowded(seed), policy, HeadingForecast(), fallback=Whatever())
        jobs = run.table("jobs")
        seen.update(zip(jobs["fallback"], jobs["status"], strict=True))
    assert {("upload", "delivered_early"), ("next-rsu", "migrated"), ("carrier", "migrated")} <= set(seen)
    assert {("abandon", "abandoned"), ("", "delivered")} <= set(seen)
    assert {"lost_migration", "lost_compute", "lost_uplink"} & {status for _, status in seen}


@pytest.mark.parametrize("forecast", [HeadingForecast(), OracleForecast()], ids=["heading", "oracle"])
def test_the_same_run_twice_is_equal_bit_for_bit(run_world: Runner, forecast: Forecast) -> None:
    first, one = run_world(crowded(1), random_selection(3), forecast, fallback=CheapestWay())
    second, two = run_world(crowded(1), random_selection(3), forecast, fallback=CheapestWay())
    assert first.fingerprint() == second.fingerprint()
    assert all((one.merged["signs"].tensors[k] == t).all() for k, t in two.merged["signs"].tensors.items())


def test_who_knows_the_truth_saves_what_would_be_lost_and_touches_nothing_else(run_world: Runner) -> None:
    saved_jobs = 0
    for seed in (1, 2, 3):
        world = replace(crowded(seed), tasks=(replace(crowded(seed).tasks[0], local_epochs=12),))
        plain, _ = run_world(world, all_available(), OracleForecast())
        saved, _ = run_world(world, all_available(), OracleForecast(), fallback=CheapestWay())
        key = ["rsu", "round", "vehicle"]
        both = plain.table("jobs").merge(saved.table("jobs"), on=key, suffixes=("", "_saved"), validate="1:1")
        assert len(both) == len(plain.table("jobs")) == len(saved.table("jobs"))
        fine = both["status"] == "delivered"
        assert fine.sum() > 10
        assert (both.loc[fine, "status_saved"] == "delivered").all()
        assert (both.loc[fine, "end_s"] == both.loc[fine, "end_s_saved"]).all()
        saved_jobs += len(arrived(both[~fine].drop(columns="status").rename(columns={"status_saved": "status"})))
    assert saved_jobs > 5


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    own=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5)), max_size=6),
    comers=st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 5), st.floats(0.01, 1.0)), max_size=8),
)
def test_the_band_is_never_overdrawn_and_first_come_is_first_served(
    own: list[tuple[float, int]], comers: list[tuple[float, float, float]]
) -> None:
    parts = sum(part for _, part in own) or 1
    plan = [(until_s, 20e6 * part / parts) for until_s, part in own]
    band = Band(20e6, min((hz for _, hz in plan), default=math.inf), list(plan))
    given_s: list[tuple[float, float, float]] = []
    for ready_s, lasts_s, share in sorted(comers):
        hz = min(share * 20e6, band.narrowest_hz)
        start_s = band.free_s(ready_s, hz)
        assert start_s >= ready_s
        waited_for = {ready_s, *(until for until, _ in band.taken), band.latest_s}
        assert start_s in waited_for, "it begins as soon as it is ready or something becomes free"
        band.latest_s = start_s
        band.taken.append((start_s + lasts_s, hz))
        given_s.append((start_s, start_s + lasts_s, hz))
    starts_s = [start_s for start_s, *_ in given_s]
    assert starts_s == sorted(starts_s)
    for time_s in starts_s:
        in_use = math.fsum(hz for until_s, hz in plan if until_s > time_s)
        in_use += math.fsum(hz for a, b, hz in given_s if a <= time_s < b)
        assert in_use <= 20e6 * (1 + 1e-9)
