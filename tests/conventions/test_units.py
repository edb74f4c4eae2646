"""Every number with a unit says so in its name: dataclasses, configuration models and table schemas."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import types
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

import iovsim
from iovsim.results import TABLES, ColumnType

SUFFIXES = {
    "s": "_s",
    "m": "_m",
    "m/s": "_mps",
    "Hz": "_hz",
    "bit/s": "_bps",
    "bit": "bits",
    "J": "_j",
    "W": "_w",
    "dB": "_db",
}
PURE_NUMBERS = re.compile(
    r"(_share|_fraction|^fraction|^accuracy|^macro_f1|^loss|loss$|_loss|^alpha|_alpha|^beta$|^gamma$|^efficiency|_efficiency|"
    r"_per_hz|learning_rate|^price|gain|^weight|^safety|^exponent|^k_factor|^value|^mean|^half|^wall_s|_w_per_hz|"
    r"^lora$|^dropout$|^weight_decay$|^clip_norm$|_sigma$|_error$|"
    r"^rate$|^share$|^reserve$|^smoothing$|^step$|(^|_)units$|_percent$|^ours$|^theirs$|^begin$|^end$|^start$|^cpus$|^gpus$|^answers$|"
    r"(^|_)scale$|_weight$|^keep$|^penalty$|^discount$|^ceiling$|^slater$|^initial$|^explore$|regret$|_reward$|"
    r"^violation_per_t$|_per_lane_km_hour$)"
)
UNITS = re.compile(r"((^|_)bits|_s|_m|_mps|_hz|_bps|_bits|_j|_w|flops|_db|_dbm)$")


def modules() -> Iterator[types.ModuleType]:
    for info in pkgutil.walk_packages(iovsim.__path__, "iovsim."):
        if not info.name.startswith(("iovsim.analysis", "iovsim.learning", "iovsim.bench.peer_")):
            yield importlib.import_module(info.name)


def float_fields() -> Iterator[tuple[str, str]]:
    for module in modules():
        for cls in vars(module).values():
            if not isinstance(cls, type) or cls.__module__ != module.__name__ or cls.__name__.startswith("_"):
                continue
            if dataclasses.is_dataclass(cls):
                yield from (
                    (f"{cls.__module__}.{cls.__name__}", f.name) for f in dataclasses.fields(cls) if f.type == "float"
                )
            elif issubclass(cls, BaseModel):
                yield from (
                    (f"{cls.__module__}.{cls.__name__}", n)
                    for n, f in cls.model_fields.items()
                    if f.annotation is float
                )


def test_float_fields_name_their_unit() -> None:
    found = list(float_fields())
    assert len(found) > 80
    nameless = [f"{c}.{n}" for c, n in found if not UNITS.search(n) and not PURE_NUMBERS.search(n)]
    assert nameless == []


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_columns_end_in_their_unit(table: object) -> None:
    for column in table.columns:  # type: ignore[attr-defined]
        suffix = SUFFIXES.get(column.unit)
        if column.type is ColumnType.REAL and column.unit != "1":
            assert suffix is not None, f"{column.name}: unit {column.unit!r} has no suffix"
            assert column.name.endswith(suffix)
        elif column.unit in ("", "1"):
            assert not UNITS.search(column.name), (
                f"{column.name} has the suffix of a unit, but the unit {column.unit!r}"
            )
