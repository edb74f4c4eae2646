"""A frozen trunk becomes a classifier: the one shape that all foundation models take here, and its adaptable layers."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from iovsim.domain import ROLES, IntArray
from iovsim.errors import TrainingError, near_match
from iovsim.learning.data.samples import Pictures, Texts
from iovsim.rng import stream

LAYER_NAMES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "query": re.compile(r"(^|\.)(query|q_proj|q_lin)$"),
        "key": re.compile(r"(^|\.)(key|k_proj|k_lin)$"),
        "value": re.compile(r"(^|\.)(value|v_proj|v_lin)$"),
        "output": re.compile(r"(^|\.)attention\.(output|output\.dense|o_proj|out_lin)$"),
        "mlp_in": re.compile(r"(^|\.)(mlp\.0|mlp\.fc1|intermediate\.dense|ffn\.lin1)$"),
        "mlp_out": re.compile(r"(?<!attention)\.(mlp\.2|mlp\.fc2|output\.dense|ffn\.lin2)$"),
    }
)
"""Role of a linear layer (`ROLES`) -> its module's name in RoadViT, ViT, Swin, BERT, RoBERTa and DistilBERT."""


class Inputs(Protocol):
    """A set of samples made ready for one trunk."""

    @property
    def lengths(self) -> IntArray:
        """Tokens of each sample (n,): those of like length go well together in a batch."""
        ...

    def batch(self, rows: IntArray) -> tuple[Tensor, ...]:
        """What the trunk takes for the samples at `rows`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A frozen foundation model. `trunk(*inputs.batch(rows))` gives features (n, width); nobody writes into it."""

    name: str
    trunk: nn.Module
    width: int
    sha256: str  # of all that its features depend on, but `prepare`'s limit on the length of texts
    prepare: Callable[[Pictures | Texts], Inputs]  # raises `TrainingError` where it cannot take such inputs


class Classifier(nn.Module):
    """A trunk and the linear head of one task."""

    def __init__(self, trunk: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(width, classes)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.head(self.trunk(*inputs))
        return logits


def classifier(backbone: Backbone, classes: int) -> Classifier:
    """A classifier of its own modules around the backbone's own tensors, all frozen but the head."""
    shared = {id(tensor): tensor for tensor in (*backbone.trunk.parameters(), *backbone.trunk.buffers())}
    return Classifier(copy.deepcopy(backbone.trunk, shared), backbone.width, classes).eval()


def layers(trunk: nn.Module, targets: Sequence[str], where: str) -> dict[str, nn.Linear]:
    """The trunk's linear layers of the given roles, by name, first block first.

    Raises `TrainingError`, naming `where`, for an unknown role or one that the trunk has no layer of.
    """
    found: dict[str, nn.Linear] = {}
    linear = {name: module for name, module in trunk.named_modules() if isinstance(module, nn.Linear)}
    for role in targets:
        if role not in ROLES:
            raise TrainingError(f"{where}: no layer has the role {role!r}; {near_match(role, ROLES)}")
        of_role = {name: module for name, module in linear.items() if LAYER_NAMES[role].search(name)}
        if not of_role:
            raise TrainingError(f"{where}: the model has no layer of role {role!r}; its layers are {sorted(linear)}.")
        found |= of_role
    return {name: module for name, module in linear.items() if name in found}


def head_tensors(width: int, classes: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """A new head from `stream(seed, "head")`: weights uniform within 1 / sqrt(width), the law of torch; bias 0."""
    bound = width**-0.5
    weight = stream(seed, "head").uniform(-bound, bound, (classes, width)).astype(np.float32)
    return {"weight": weight, "bias": np.zeros(classes, dtype=np.float32)}
