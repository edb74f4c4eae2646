"""Updates and figures become the bytes of a safetensors file that is known to be whole and nobody else's, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from iovsim.domain import Adapter, Evaluation, Metrics, Scaling, Tuning, Update
from iovsim.learning.digest import digest_of

Facts = Mapping[str, Any]
"""What JSON can hold, floats as `float.hex` writes them: every bit comes back."""

Tensors = Mapping[str, NDArray[Any]]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """How results of a kind are taken apart and put together again."""

    apart: Callable[[T], tuple[Facts, Tensors]]
    together: Callable[[Facts, Tensors], T]

    def packed(self, key: str, result: T) -> bytes:
        """A file that `unpacked` gives the equal result of, under the same key alone."""
        facts, tensors = self.apart(result)
        told = json.dumps({"facts": facts, "names": list(tensors)})
        # One name in the metadata: the order of several would change from process to process.
        entry = f"{digest_of(key, told, tensors)} {told}"
        return save({name: np.asarray(array, order="C") for name, array in tensors.items()}, {"entry": entry})

    def unpacked(self, key: str, content: bytes) -> T | None:
        """The result; None where the file is damaged, of another key, or something else altogether."""
        try:
            read = load(content)
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            digest, _, told = header["__metadata__"]["entry"].partition(" ")
            entry = json.loads(told)
            tensors = {name: read[name].copy() for name in entry["names"]}  # own memory: torch asks for writable arrays
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if len(tensors) != len(read) or digest != digest_of(key, told, tensors):
            return None
        return self.together(entry["facts"], tensors)


def _update_apart(update: Update) -> tuple[Facts, Tensors]:
    adapter = update.adapter
    return {
        "rank": adapter.rank,
        "alpha": adapter.alpha.hex(),
        "scaling": str(adapter.scaling),
        "tuning": str(adapter.tuning),
        "samples": update.samples,
        "loss_before": update.loss_before.hex(),
        "loss_after": update.loss_after.hex(),
        "fraction": update.fraction.hex(),
    }, adapter.tensors


def _update_together(facts: Facts, tensors: Tensors) -> Update:
    scaling, tuning = Scaling(facts["scaling"]), Tuning(facts["tuning"])
    adapter = Adapter(facts["rank"], float.fromhex(facts["alpha"]), tensors, scaling, tuning)
    losses = (float.fromhex(facts[name]) for name in ("loss_before", "loss_after", "fraction"))
    return Update(adapter, facts["samples"], *losses)


def _figures(results: Sequence[Metrics]) -> Tensors:
    """One array, a row each: the count of samples, which doubles hold exactly, and the figures as they are."""
    rows = np.array([astuple(result) for result in results], dtype=np.float64)
    return {"figures": rows.reshape(len(results), len(fields(Metrics)))}


def _metrics(tensors: Tensors) -> list[Metrics]:
    return [Metrics(int(samples), *figures) for samples, *figures in tensors["figures"].tolist()]


def _evaluation_apart(result: Evaluation) -> tuple[Facts, Tensors]:
    facts = {"classes": list(result.by_class), "districts": list(result.by_district)}
    return facts, _figures([result.overall, *result.by_class.values(), *result.by_district.values()])


def _evaluation_together(facts: Facts, tensors: Tensors) -> Evaluation:
    overall, *parts = _metrics(tensors)
    classes, districts = facts["classes"], facts["districts"]
    by_class = dict(zip(classes, parts[: len(classes)], strict=True))
    return Evaluation(overall, by_class, dict(zip(districts, parts[len(classes) :], strict=True)))


UPDATE = Form(_update_apart, _update_together)
EVALUATION = Form(_evaluation_apart, _evaluation_together)
METRICS: Form[list[Metrics]] = Form(lambda results: ({}, _figures(results)), lambda _, tensors: _metrics(tensors))
