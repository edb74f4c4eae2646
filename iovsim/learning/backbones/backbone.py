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

IN_A_BLOCK = re.compile(r"(.*\.\d+)\.")
"""The name of what lies in an element of a list; the innermost list counts."""


class Inputs(Protocol):
    """A set of samples made ready for one trunk."""

    @property
    def lengths(self) -> IntArray:
        """Tokens of each sample (n,): those of like length go well together in a batch."""
        ...

    def batch(self, rows: IntArray) -> tuple[Tensor, ...]:
        """What the trunk takes for the samples at `rows`."""
        ...

    def digest(self) -> str:
        """Of all that `batch` gives."""
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
        self.head = nn.Linear(width, classes, dtype=next(trunk.parameters()).dtype)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.head(self.trunk(*inputs))
        return logits


def classifier(backbone: Backbone, classes: int) -> Classifier:
    """A classifier of its own modules around the backbone's own tensors, all frozen but the head."""
    shared = {id(tensor): tensor for tensor in (*backbone.trunk.parameters(), *backbone.trunk.buffers())}
    return Classifier(copy.deepcopy(backbone.trunk, shared), backbone.width, classes).eval()


def layers(trunk: nn.Module, targets: Sequence[str], where: str, top_blocks: int | None = None) -> dict[str, nn.Linear]:
    """The trunk's linear layers of the given roles, by name, of the last `top_blocks` blocks or of all, in order.

    Raises `TrainingError`, naming `where`, for an unknown role or one that the trunk has no layer of, and for more
    blocks than it has or none.
    """
    found: dict[str, nn.Linear] = {}
    linear = {name: module for name, module in trunk.named_modules() if isinstance(module, nn.Linear)}
    for role in targets:
        if role not in ROLES:
            raise TrainingError(f"{where}, key 'targets': no layer has the role {role!r}; {near_match(role, ROLES)}")
        of_role = {name: module for name, module in linear.items() if LAYER_NAMES[role].search(name)}
        if not of_role:
            raise TrainingError(
                f"{where}, key 'targets': the model has no layer of role {role!r}; its layers are {sorted(linear)}."
            )
        found |= of_role
    if top_blocks is not None:
        top = tuple(f"{block}." for block in _last(blocks_of(trunk), top_blocks, where))
        found = {name: module for name, module in found.items() if name.startswith(top)}
    return {name: module for name, module in linear.items() if name in found}


def blocks_of(trunk: nn.Module) -> list[str]:
    """The names of the trunk's transformer blocks, first to last; none where it has no list of them.

    A block is the element of a list that holds one query layer; a Swin's are counted through all its stages.
    """
    names = [name for name, module in trunk.named_modules() if isinstance(module, nn.Linear)]
    found = (IN_A_BLOCK.match(name) for name in names if LAYER_NAMES["query"].search(name))
    return [match.group(1) for match in found if match]


def adapted_blocks(trunk: nn.Module, top_blocks: int | None) -> list[str]:
    """The names of the blocks that have adapters, if they lie in one list, one after the other; else none."""
    blocks = blocks_of(trunk)
    one_list = len({name.rpartition(".")[0] for name in blocks}) == 1
    return blocks[-(top_blocks or len(blocks)) :] if one_list else []


class Absent(nn.Module):
    """Stands where a block stood, and gives its input on."""

    def forward(self, x: Tensor, *_: object, keep: int | None = None, **__: object) -> Tensor:
        """Tokens (n, t, width) -> the same; the first `keep` of them where a block is asked for so many."""
        return x if keep is None else x[:, :keep]


def leave_out(trunk: nn.Module, blocks: Sequence[str]) -> None:
    """Takes blocks out of a trunk of one's own, in place; the others keep their names. The trunk's tensors stay."""
    for name in blocks:
        parent, _, own = name.rpartition(".")
        setattr(trunk.get_submodule(parent), own, Absent())


def lowest_adapted(trunk: nn.Module, top_blocks: int | None) -> nn.Module:
    """Where the backward pass ends: the first of the last `top_blocks` blocks, or the trunk where that is all."""
    blocks = blocks_of(trunk)
    return trunk if top_blocks is None or top_blocks == len(blocks) else trunk.get_submodule(blocks[-top_blocks])


def _last(blocks: Sequence[str], count: int, where: str) -> Sequence[str]:
    if not 1 <= count <= len(blocks):
        allowed = f"set 1 to {len(blocks)}, or leave it out to adapt all" if blocks else "leave it out"
        raise TrainingError(
            f"{where}, key 'top_blocks': found {count}, but the model has {len(blocks)} transformer blocks; {allowed}."
        )
    return blocks[-count:]


def head_tensors(width: int, classes: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """A new head from `stream(seed, "head")`: weights uniform within 1 / sqrt(width), the law of torch; bias 0."""
    bound = width**-0.5
    weight = stream(seed, "head").uniform(-bound, bound, (classes, width)).astype(np.float32)
    return {"weight": weight, "bias": np.zeros(classes, dtype=np.float32)}
