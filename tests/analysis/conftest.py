"""Made-up runs with plausible numbers in every table: two policies on the same worlds of three seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iovsim.domain import JobStatus, LossReason
from iovsim.results import Charge, Manifest, PolicyRecord, Recorder, Run, RunFolder, open_run
from iovsim.rng import stream

CLASSES = {
    "incidents": ("collision", "breakdown", "congestion", "ice", "flood", "fire", "obstacle", "animals", "roadworks"),
    "lights": ("red", "red and yellow", "yellow", "green", "off"),
    "signs": tuple(f"end of speed limit {10 * i}" for i in range(1, 44)),
}
TASKS = tuple(CLASSES)
FREQUENCY = {"incidents": 0.0, "lights": 1.4, "signs": 0.5}  # the k-th class is as frequent as (k + 1) ** -FREQUENCY
DISTRICTS, VEHICLES = 4, 60
HOLDERS = {"incidents": 9, "lights": 60, "signs": 40}  # vehicles with data
RSUS = {"rsu-a": (300.0, 300.0), "rsu-b": (900.0, 350.0), "rsu-c": (600.0, 800.0)}
RANKS = (2, 4, 8, 16)
START_S, ROUNDS, PERIOD_S, MERGE_EVERY = 25_200.0, 30, 30.0, 3
CELL_M = 50.0

# Final accuracy, and share of jobs lost, by policy.
SKILL = {"random": (0.70, 0.30), "energy-aware": (0.82, 0.12), "all-available": (0.78, 0.25), "lyapunov": (0.8, 0.15)}
SKILL |= {"residual-contact": (0.76, 0.08), "fixed-rank-eight": (0.73, 0.2)}

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    def make(policy: str, seed: int, empty: bool = False) -> Run:
        return synthetic_run(tmp_path_factory.mktemp("runs") / f"{policy}-{seed}", policy, seed, empty)

    return make


@pytest.fixture(scope="session")
def runs(make_run: MakeRun) -> list[Run]:
    return [make_run(policy, seed) for policy in ("random", "energy-aware") for seed in (1, 2, 3)]


def synthetic_run(path: Path, policy: str, seed: int, empty: bool = False) -> Run:
    """Writes a run and opens it; `empty` leaves all tables without rows."""
    manifest = Manifest(
        world="toy-city",
        world_hash=f"{stream(seed, 'hash').integers(1 << 62):064x}"[::-1],
        seed=seed,
        policy=PolicyRecord(policy, "staged", "linear", {}),
        scenario={"name": "toy-city"},
        charge_as={task: Charge(trained="roadvit", charged="vit-base-patch16-224") for task in TASKS},
    )
    with RunFolder.create(path, manifest) as folder:
        if not empty:
            _fill_map(folder.recorder, seed)
            _fill_contacts(folder.recorder, seed)
            _fill_data(folder.recorder, seed)
            _fill_rounds(folder.recorder, policy, seed)
            _fill_evaluations(folder.recorder, policy, seed)
    return open_run(path)


def _fill_map(made: Recorder, seed: int) -> None:
    for rsu, (x_m, y_m) in RSUS.items():
        made.add("rsus", rsu=rsu, x_m=x_m, y_m=y_m, height_m=8.0, range_m=260.0)
    for shape, across_m in enumerate(np.arange(0.0, 1201.0, 200.0)):
        for point, along_m in enumerate((0.0, 1200.0)):
            made.add("shapes", kind="road", shape=2 * shape, point=point, x_m=along_m, y_m=across_m)
            made.add("shapes", kind="road", shape=2 * shape + 1, point=point, x_m=across_m, y_m=along_m)
    for shape in range(36):
        x, y = 30.0 + 200 * (shape % 6), 30.0 + 200 * (shape // 6)
        for point, (dx, dy) in enumerate([(0, 0), (140, 0), (140, 140), (0, 140)]):
            made.add("shapes", kind="building", shape=100 + shape, point=point, x_m=x + dx, y_m=y + dy)
    rng = stream(seed, "density")
    for x_m in np.arange(0.0, 1201.0, CELL_M):
        for y_m in np.arange(0.0, 1201.0, CELL_M):
            if x_m % 200 == 0 or y_m % 200 == 0:
                busy = np.exp(-((x_m - 600) ** 2 + (y_m - 500) ** 2) / 4e5)
                spent_s = float(2000 * busy * rng.lognormal(0, 0.6))
                made.add("density", x_m=x_m, y_m=y_m, cell_m=CELL_M, vehicle_s=spent_s)


def _fill_contacts(made: Recorder, seed: int) -> None:
    rng = stream(seed, "contacts")
    end_of_trace_s = START_S + ROUNDS * PERIOD_S
    number = 0
    for v in range(VEHICLES):
        at_s, before = START_S + float(rng.uniform(0, 600)), ""
        while at_s < end_of_trace_s:
            end_s = min(at_s + float(rng.lognormal(3.4, 0.7)), end_of_trace_s)
            rsu = str(rng.choice(list(RSUS)))
            made.add(
                "contacts",
                contact=number,
                vehicle=f"v{v:03}",
                rsu=rsu,
                start_s=at_s,
                end_s=end_s,
                end="horizon" if end_s == end_of_trace_s else "range",
                distance_min_m=float(rng.uniform(5, 200)),
                mean_gain_db=float(rng.normal(-95, 8)),
                los_share=0.6,
                nlos_share=0.3,
            )
            gap_s = 0.0 if rng.random() < 0.2 else float(rng.lognormal(3.8, 0.8))
            if before:
                made.add("handovers", time_s=at_s, vehicle=f"v{v:03}", from_rsu=before, to_rsu=rsu, gap_s=gap_s)
            number, before, at_s = number + 1, rsu, end_s + gap_s
    for time_s in np.arange(START_S, end_of_trace_s, 10.0):
        vehicles = int(40 + 15 * np.sin((time_s - START_S) / 200) + rng.integers(0, 4))
        connected = int(vehicles * rng.uniform(0.4, 0.6))
        made.add("connectivity", time_s=float(time_s), vehicles=vehicles, connected=connected)


def _fill_rounds(made: Recorder, policy: str, seed: int) -> None:
    rng = stream(seed, "rounds", policy)
    job = 0
    for k in range(ROUNDS):
        start_s = START_S + k * PERIOD_S
        for rsu in RSUS:
            for task in TASKS:
                jobs = [_fill_job(made, rng, job + i, rsu, k, task, start_s, policy) for i in range(4)]
                job += len(jobs)
                energy_j = sum(energy for energy, _ in jobs)
                budget_j = _budget_j(policy, k, task)
                delivered = sum(status == JobStatus.DELIVERED for _, status in jobs)
                made.add(
                    "rounds",
                    rsu=rsu,
                    round=k,
                    task=task,
                    start_s=start_s,
                    end_s=start_s + PERIOD_S,
                    clients=9,
                    planned=4,
                    delivered=delivered,
                    from_others=0,
                    lost=sum(status.startswith("lost") for _, status in jobs),
                    failed=sum(status == JobStatus.FAILED for _, status in jobs),
                    energy_budget_j=budget_j,
                    estimated_j=energy_j * float(rng.uniform(0.9, 1.0)),
                    energy_j=energy_j,
                    overrun_j=max(energy_j - budget_j, 0.0),
                    utilisation=min(energy_j / budget_j, 1.0),
                    price=_price(policy, k, task, rsu),
                    loss_before=1.2 if delivered else None,
                    loss_after=1.0 if delivered else None,
                    samples=80 * delivered,
                    mean_rank=6.0,
                )
                if delivered and (k + 1) % MERGE_EVERY == 0 and rsu == "rsu-a":
                    made.add(
                        "merges",
                        time_s=start_s + PERIOD_S,
                        merge=(k + 1) // MERGE_EVERY,
                        task=task,
                        rsus=3,
                        updates=9,
                        samples=720,
                        rank=16,
                        stable_rank=2.5,
                    )


def _budget_j(policy: str, k: int, task: str) -> float:
    """Of an RSU's round k: the energy-aware policy moves some from lights to signs every six rounds, twice."""
    moved = {"signs": 1, "lights": -1}.get(task, 0) * min(k // 6, 2) if policy == "energy-aware" else 0
    return 480.0 + 60.0 * moved


def _price(policy: str, k: int, task: str, rsu: str) -> float:
    """Rises and settles, higher at one RSU than at the next; only the energy-aware policy has one."""
    if policy != "energy-aware":
        return 0.0
    return (1 + TASKS.index(task)) * (0.1 + 0.05 * list(RSUS).index(rsu)) * min(k, 12) / 12


LOSSES = (
    (JobStatus.LOST_UPLINK, LossReason.CONTACT),
    (JobStatus.LOST_UPLINK, LossReason.DEADLINE),
    (JobStatus.LOST_COMPUTE, LossReason.CONTACT),
    (JobStatus.LOST_DOWNLINK, LossReason.CONTACT),
    (JobStatus.FAILED, LossReason.DIVERGED),
)


def _fill_job(
    made: Recorder, rng: np.random.Generator, job: int, rsu: str, k: int, task: str, start_s: float, policy: str
) -> tuple[float, str]:
    status, reason = JobStatus.DELIVERED, LossReason.NONE
    if rng.random() < SKILL[policy][1]:
        status, reason = LOSSES[int(rng.choice(5, p=[0.5, 0.2, 0.2, 0.05, 0.05]))]
    delivered = status is JobStatus.DELIVERED
    weights = (0.25, 0.25, 0.25, 0.25) if policy == "random" else (0.1, 0.3, 0.45, 0.15)
    compute_s, uplink_s = float(rng.uniform(6, 14)), float(rng.uniform(2, 7))
    lengths_s = {"downlink": 1.5, "compute": compute_s, "uplink": uplink_s, "waiting": 1.0}
    powers_w = {"downlink": 8.0, "compute": 10.0, "uplink": 6.0, "waiting": 3.0}
    at_s, total_j = start_s, 0.0
    for phase, length_s in lengths_s.items():
        energy_j = powers_w[phase] * length_s
        made.add(
            "phases",
            job=job,
            phase=phase,
            vehicle=f"v{job % 60:03}",
            rsu=rsu,
            start_s=at_s,
            end_s=at_s + length_s,
            completed=delivered,
            bits=1e6,
            vehicle_j=0.9 * energy_j,
            rsu_j=0.1 * energy_j,
        )
        for owner, share in (("vehicle", 0.9), ("rsu", 0.1)):
            made.add(
                "energy",
                time_s=at_s + length_s,
                owner=owner,
                rsu=rsu,
                vehicle=f"v{job % 60:03}",
                task=task,
                phase=phase,
                cause=phase if delivered else "wasted",
                energy_j=share * energy_j,
            )
        at_s, total_j = at_s + length_s, total_j + energy_j
    made.add(
        "jobs",
        job=job,
        rsu=rsu,
        round=k,
        task=task,
        vehicle=f"v{job % 60:03}",
        contact=job % 100,
        tier="nano",
        rank=int(rng.choice(RANKS, p=weights)),
        blocks_left_out=0,
        local_epochs=1,
        samples=80,
        bandwidth_down_hz=5e6,
        bandwidth_up_hz=2e6,
        power_w=0.2,
        start_s=start_s,
        end_s=at_s,
        status=str(status),
        reason=str(reason),
        message="lower learning_rate" if status is JobStatus.FAILED else "",
        fallback="",
        fallback_s=None,
        carrier="",
        arrived_at=rsu if delivered else "",
        distance_m=100.0,
        forecast_residual_s=40.0,
        memory_bits=8e9,
        downlink_bits=1e6,
        uplink_bits=1e6,
        sidelink_bits=0.0,
        energy_j=total_j,
        loss_before=1.2 if delivered else None,
        loss_after=1.0 if delivered else None,
        fraction=1.0 if delivered else None,
    )
    return total_j, str(status)


def _fill_data(made: Recorder, seed: int) -> None:
    """Imbalanced classes, skewed by district and by vehicle; the samples of "lights" arrive, the others are there."""
    rng = stream(seed, "data")
    for task, classes in CLASSES.items():
        mix = np.arange(1.0, len(classes) + 1) ** -FREQUENCY[task]
        mix /= mix.sum()
        for d in range(DISTRICTS):
            for part, total in (("train", 1500), ("validation", 150), ("test", 250)):
                counts = np.maximum((total * mix).round().astype(int), 1)
                cells = {"task": task, "part": part, "district": str(d), "class": classes, "samples": counts}
                made.add_frame("data", pd.DataFrame(cells))
        places = rng.dirichlet(5 * len(classes) * mix, DISTRICTS)
        for v in range(HOLDERS[task]):
            train = rng.multinomial(int(rng.lognormal(4.2, 0.4)), rng.dirichlet(len(classes) * places[v % DISTRICTS]))
            who, held = {"vehicle": f"v{v:03}", "task": task}, train > 0
            arrives = task == "lights"
            made.add(
                "shards",
                **who,
                district=v % DISTRICTS,
                tier="nano",
                train_samples=int(train.sum()),
                test_samples=20,
                classes=int(held.sum()),
                first_s=START_S + 2.0 * v if arrives else None,
                last_s=START_S + 2.0 * v + 500.0 if arrives else None,
            )
            cells = {"class": np.array(classes)[held], "train_samples": train[held], "test_samples": 1}
            made.add_frame("shard_classes", pd.DataFrame(cells).assign(**who))


def _fill_evaluations(made: Recorder, policy: str, seed: int) -> None:
    """Learning curves that saturate; the world's luck is shared by the policies of a seed."""
    luck, noise = stream(seed, "luck").normal(0, 0.02), stream(seed, "noise", policy)
    rows = []
    for merge in range(ROUNDS // MERGE_EVERY + 1):
        for i, (task, classes) in enumerate(CLASSES.items()):
            top = SKILL[policy][0] - 0.08 * i + luck
            overall = float(top - (top - 0.1) * np.exp(-merge / 3) + noise.normal(0, 0.006))
            subjects = [("global", "", overall), ("validation", "", overall + 0.01)]
            subjects += [("class", name, overall - 0.5 * k / len(classes)) for k, name in enumerate(classes)]
            subjects += [("district", str(d), overall - 0.05 * d) for d in range(DISTRICTS)]
            if (merge + 1) * MERGE_EVERY > ROUNDS:
                subjects += [("vehicle", f"v{v:03}", overall) for v in range(HOLDERS[task])]
            for scope, subject, around in subjects:
                spread = {"class": 0.06, "district": 0.02, "vehicle": 0.12}.get(scope, 0.0)
                accuracy = float(np.clip(around + spread * stream(seed, "own", subject, task).normal(), 0, 1).round(4))
                rows.append((merge, scope, task, subject, 20 if scope == "vehicle" else 500, accuracy))
    frame = pd.DataFrame(rows, columns=["merge", "scope", "task", "subject", "samples", "accuracy"])
    frame = frame.assign(macro_f1=0.9 * frame["accuracy"], loss=2 * (1 - frame["accuracy"]), calibration_error=0.1)
    made.add_frame("evaluations", frame.assign(time_s=START_S + frame["merge"] * MERGE_EVERY * PERIOD_S))
