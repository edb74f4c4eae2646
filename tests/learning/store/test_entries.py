"""Entries come back in every bit, under their own key alone, and damaged ones not at all."""

from __future__ import annotations

import math
import struct
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from iovsim.domain import Adapter, Evaluation, Metrics, Scaling, Tuning, Update
from iovsim.learning.digest import digest_of
from iovsim.learning.store.entries import EVALUATION, METRICS, UPDATE

KEY, OTHER = digest_of("one"), digest_of("other")

TENSORS = {
    "z.lora_A.weight": np.array([[1.0, -0.0, np.pi]], dtype=np.float32),
    "a.lora_B.weight": np.array([[np.nan], [np.float32(1e-45)]], dtype=np.float32),
    "head.bias": np.zeros(0, dtype=np.float32),
}
ADAPTER = Adapter(1, 0.1, TENSORS, Scaling.RSLORA, Tuning.LORA)
METRIC = Metrics(3, 1 / 3, 0.1, float("nan"), 0.0)
WHOLE = Evaluation(METRIC, {"b": METRIC, "a": replace(METRIC, samples=1)}, {7: METRIC, 3: replace(METRIC, loss=2.0)})
reals = st.floats(allow_nan=False)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(alpha=reals, before=reals, after=reals, fraction=reals, samples=st.integers(0, 2**40))
@settings(max_examples=50, deadline=None)
def test_updates_come_back_in_every_bit(
    alpha: float, before: float, after: float, fraction: float, samples: int
) -> None:
    update = Update(replace(ADAPTER, alpha=alpha), samples, before, after, fraction)
    back = UPDATE.unpacked(KEY, UPDATE.packed(KEY, update))
    assert back is not None
    assert digest_of(back) == digest_of(update)
    assert list(back.adapter.tensors) == list(TENSORS), "in their own order"
    assert all(array.flags.writeable for array in back.adapter.tensors.values())
    assert (type(back.adapter.scaling), type(back.adapter.tuning)) == (Scaling, Tuning)


def test_figures_come_back_in_every_bit() -> None:
    back = EVALUATION.unpacked(KEY, EVALUATION.packed(KEY, WHOLE))
    assert back is not None
    assert digest_of(back) == digest_of(WHOLE)
    assert all(type(key) is int for key in back.by_district)
    several = METRICS.unpacked(KEY, METRICS.packed(KEY, [METRIC, WHOLE.by_class["a"]]))
    assert several is not None
    assert [[bits(x) for x in astuple(m)] for m in several] == [
        [bits(x) for x in astuple(m)] for m in (METRIC, WHOLE.by_class["a"])
    ]
    assert math.isnan(several[0].loss)
    assert METRICS.unpacked(KEY, METRICS.packed(KEY, [])) == []


def test_equal_results_have_equal_bytes() -> None:
    update = Update(ADAPTER, 3, 1.0, 0.5, 1.0)
    assert len({UPDATE.packed(KEY, update) for _ in range(20)}) == 1


def test_an_entry_under_another_key_is_none() -> None:
    content = UPDATE.packed(KEY, Update(ADAPTER, 3, 1.0, 0.5, 1.0))
    assert UPDATE.unpacked(KEY, content) is not None
    assert UPDATE.unpacked(OTHER, content) is None


def test_every_changed_byte_and_every_cut_is_found() -> None:
    content = UPDATE.packed(KEY, Update(ADAPTER, 3, 1.0, 0.5, 1.0))
    whole = digest_of(UPDATE.unpacked(KEY, content))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        read = UPDATE.unpacked(KEY, bytes(changed))
        assert read is None or digest_of(read) == whole  # such as a space of the padding
        assert UPDATE.unpacked(KEY, content[:place]) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a zip",
        b"\xff" * 64,
        save({"a": np.zeros(2, dtype=np.float32)}),
        save({"a": np.zeros(2, dtype=np.float32)}, {"entry": "0 {}"}),
        save({"a": np.zeros(2, dtype=np.float32)}, {"entry": '0 {"names": ["b"]}'}),
        save({"a": np.zeros(2, dtype=np.float32)}, {"entry": '0 {"names": ["a"], "facts": {}}'}),
        save({"a": np.zeros(2, dtype=np.float32)}, {"entry": "0 [1]"}),
    ],
)
def test_foreign_files_are_none(content: bytes) -> None:
    assert UPDATE.unpacked(KEY, content) is None
    assert EVALUATION.unpacked(KEY, content) is None
