"""A manifest and one valid row for every table."""

from __future__ import annotations

import pytest

from iovsim.results import TABLES, Charge, ColumnType, Manifest, PolicyRecord

SAMPLES: dict[ColumnType, object] = {
    ColumnType.TEXT: "a",
    ColumnType.WHOLE: 3,
    ColumnType.REAL: 0.25,
    ColumnType.FLAG: True,
}


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        world="grid",
        world_hash="ab" * 32,
        seed=7,
        policy=PolicyRecord("greedy", "greedy", "linear", {"top": 3}),
        scenario={"traffic": {"vehicles": 10}, "name": "grid"},
        charge_as={"signs": Charge(trained="roadvit", charged="vit-base-patch16-224")},
    )


@pytest.fixture
def row_of() -> dict[str, dict[str, object]]:
    """By table: a row that fits."""
    return {
        name: {c.name: c.choices[-1] if c.choices else SAMPLES[c.type] for c in declared.columns}
        for name, declared in TABLES.items()
    }
