"""A manifest, one valid row for every table, and runs whose metrics are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from iovsim.results import TABLES, Charge, ColumnType, Manifest, PolicyRecord, Run, RunFolder, open_run

Rows = dict[str, dict[str, Any]]

SAMPLES: dict[ColumnType, object] = {
    ColumnType.TEXT: "a",
    ColumnType.WHOLE: 3,
    ColumnType.REAL: 0.25,
    ColumnType.FLAG: True,
}


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return Manifest(
        world="grid",
        world_hash="ab" * 32,
        seed=7,
        policy=PolicyRecord("greedy", "greedy", "linear", {"top": 3}),
        scenario={"traffic": {"vehicles": 10}, "name": "grid"},
        charge_as={"signs": Charge(trained="roadvit", charged="vit-base-patch16-224")},
    )


@pytest.fixture(scope="session")
def row_of() -> dict[str, dict[str, object]]:
    """By table: a row that fits."""
    return {
        name: {c.name: c.choices[-1] if c.choices else SAMPLES[c.type] for c in declared.columns}
        for name, declared in TABLES.items()
    }


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, row_of: Rows) -> Callable[..., Run]:
    """A run whose every metric is known: three evaluations of task "signs", five jobs, two ledger entries, a contact.

    `curve` gives the times and accuracies of other evaluations, `spent` more ledger entries of "signs".
    """

    def make(
        policy_name: str,
        seed: int,
        accuracy: float = 0.5,
        energy_j: float = 30.0,
        curve: Sequence[tuple[float, float]] | None = None,
        spent: Sequence[tuple[float, float]] = (),
        **changed: Any,
    ) -> Run:
        base = replace(
            manifest, seed=seed, world_hash=f"{seed:064x}", policy=PolicyRecord(policy_name, "greedy", "none", {})
        )
        path = tmp_path_factory.mktemp("runs") / f"{policy_name}-{seed}"
        with RunFolder.create(path, replace(base, **changed)) as folder:
            add = folder.recorder.add
            evaluated = row_of["evaluations"] | {"task": "signs"}
            for merge, (time_s, overall) in enumerate(curve or ((0.0, 0.1), (60.0, 0.9), (100.0, accuracy))):
                now = evaluated | {"merge": merge, "time_s": time_s}
                quality = {"macro_f1": overall / 2, "loss": 2 * overall, "calibration_error": overall / 10}
                add("evaluations", **now | {"scope": "global", "subject": "", "accuracy": overall} | quality)
                add("evaluations", **now | {"scope": "validation", "subject": "", "accuracy": 1.0})
                for scope, subject, share in (("class", "stop", 0.2), ("class", "go", 0.4), ("district", "0", 0.5)):
                    add("evaluations", **now | {"scope": scope, "subject": subject, "accuracy": merge * share})
                add("evaluations", **now | {"scope": "district", "subject": "1", "accuracy": 0.75})
            for vehicle, own in (("a", 0.25), ("b", 0.75)):
                mine = evaluated | {"scope": "vehicle", "subject": vehicle}
                add("evaluations", **mine | {"merge": 0, "time_s": 0.0, "accuracy": 0.0})
                add("evaluations", **mine | {"merge": 2, "time_s": 100.0, "accuracy": own, "macro_f1": own / 2})
            for status, end_s in (
                ("delivered", 14.0),
                ("delivered_early", 12.0),
                ("lost_uplink", 99.0),
                ("failed", 88.0),
                ("in_flight", 50.0),
            ):
                add("jobs", **row_of["jobs"] | {"task": "signs", "status": status, "start_s": 10.0, "end_s": end_s})
            add("energy", **row_of["energy"] | {"task": "signs", "cause": "compute", "energy_j": energy_j - 6.0})
            add("energy", **row_of["energy"] | {"cause": "wasted", "energy_j": 6.0})
            for merge, spread in ((1, 4.0), (2, 2.5), (3, None)):
                add("merges", **row_of["merges"] | {"task": "signs", "merge": merge, "stable_rank": spread})
            for time_s, more_j in spent:
                add("energy", **row_of["energy"] | {"task": "signs", "time_s": time_s, "energy_j": more_j})
            contact = {"start_s": 0.0, "end_s": 30.0, "end": "handover", "nlos_share": 0.5}
            add("contacts", **row_of["contacts"] | contact)
            for time_s in (0.0, 10.0):
                add("connectivity", time_s=time_s, vehicles=2, connected=1)
            add("rsus", **row_of["rsus"] | {"x_m": 0.0, "y_m": 0.0, "range_m": 50.0})
            for point, x_m in enumerate((0.0, 100.0)):
                add("shapes", kind="road", shape=0, point=point, x_m=x_m, y_m=0.0)
            for clients, used_j, overrun_j in ((2, 5.0, 0.0), (1, 21.5, 1.5), (0, 0.0, 0.0)):
                now = {"clients": clients, "energy_budget_j": 20.0, "energy_j": used_j, "overrun_j": overrun_j}
                add("rounds", **row_of["rounds"] | now)
        return open_run(path)

    return make
