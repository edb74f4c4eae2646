"""A task's backbone becomes its cut trunks, ready to compute with, and the kept states below each cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from iovsim.domain import Adapter, IntArray, Precision
from iovsim.learning.adapter import adapted_layers, factors
from iovsim.learning.backbones.backbone import Backbone, Inputs, blocks_of, leave_out
from iovsim.learning.batched.cut import (
    Cut,
    can_be_cut,
    cast,
    cut_of,
    joined,
    own_modules,
    read_one,
    remove_below,
    states_below,
)
from iovsim.learning.batched.kept import Kept
from iovsim.learning.batched.model import Upper
from iovsim.learning.batched.state_files import StatesPlace
from iovsim.learning.digest import digest_of
from iovsim.learning.lora import PREFIX
from iovsim.learning.precision import computed, trained

RESIDENT_SHARE = 0.4
"""Of a GPU's free memory, what the kept states of one set of samples may take."""


class Source:
    """Samples as the computed part of a trunk takes them: kept states, and the trunk's other inputs for texts.

    Without kept states (a trunk that cannot be cut, or texts whose first block is adapted: their embeddings are a
    lookup) the trunk's own inputs are passed on.
    """

    def __init__(
        self,
        inputs: Inputs,
        kept: Kept | None,
        device: torch.device,
        *,
        features: bool = False,
        one_token: bool = False,
    ) -> None:
        self._inputs = inputs
        self._one_token = one_token
        self._kept = kept
        self._features = features
        self._device = device
        self._texts = len(inputs.batch(first_row())) > 1
        self._whole: Tensor | None = None  # all kept states, on the device
        self.lengths = inputs.lengths
        self.joins = features or (kept is not None and not self._texts)  # several such sources can share a batch
        self.alike = self.joins or (kept is not None and one_token)  # batches have one shape, if `padded`

    @property
    def shown(self) -> int:
        """Tokens times width of one sample's states."""
        return self._first().numel()

    @property
    def computed(self) -> int:
        """Tokens times width of what is computed of one sample."""
        states = self._first()
        return states.shape[-1] if self._one_token else states.numel()

    def _first(self) -> Tensor:
        self.work_out(first_row())
        states, _ = self(torch.from_numpy(first_row()).to(self._device), torch.float32, padded=self.alike)
        return states[0]

    def work_out(self, rows: IntArray) -> None:
        """Sees to it that the states of these samples are there, on the device if all of the set find room there."""
        if self._kept is None:
            return
        new = self._kept.work_out(rows)
        if not self.joins or not (new or self._whole is None):
            return
        whole = self._kept.whole
        if self._device.type == "cpu":
            self._whole = whole
        else:
            free, _ = torch.cuda.mem_get_info(self._device)
            held = 0 if self._whole is None else self._whole.nbytes
            self._whole = None
            self._whole = whole.to(self._device) if whole.nbytes < RESIDENT_SHARE * (free + held) else None

    def __call__(self, rows: Tensor, dtype: torch.dtype, *, padded: bool = False) -> tuple[Tensor, tuple[Tensor, ...]]:
        """States and what goes beside them, for the samples at `rows` (n,), on the device; worked out before.

        As long as the longest of these samples, or `padded` to the longest of all: cheap where one token is computed.
        """
        if self._whole is not None:
            return _picked(self._whole, rows).to(dtype), ()
        of_host = rows.cpu().numpy()
        if self._kept is None:
            given = tuple(_cast(part, dtype, self._device) for part in self._inputs.batch(of_host))
            return given[0], given
        states = self._kept.states(of_host)
        beside = () if self._features or not self._texts else self._inputs.batch(of_host)
        if padded and beside:
            missing = int(self.lengths.max()) - beside[0].shape[1]
            states = functional.pad(states, (0, 0, 0, missing))
            beside = tuple(functional.pad(part, (0, missing)) for part in beside)
        return states.to(self._device, dtype), tuple(part.to(self._device) for part in beside)


def _picked(whole: Tensor, rows: Tensor) -> Tensor:
    """Rows, on a processor without copying where they lie one below the other, as in evaluation."""
    if rows.device.type == "cpu":
        first, end = int(rows[0]), int(rows[0]) + len(rows)
        if int(rows[-1]) == end - 1 and torch.equal(rows, torch.arange(first, end)):
            return whole[first:end]
    return whole.index_select(0, rows)


class Models:
    """The trunks of all tasks at one precision on one device, each built when it is first needed."""

    def __init__(self, precision: Precision, device: torch.device, place: StatesPlace | None = None) -> None:
        """Without a place kept states end with the process."""
        self.precision = precision
        self.device = device
        self._place = place
        self._uppers: dict[tuple[Any, ...], Upper] = {}
        self._cuts: dict[tuple[Any, ...], Cut | None] = {}
        self._sources: dict[tuple[Any, ...], Source] = {}
        self._held: list[object] = []  # what the keys' ids belong to, so that no id is given out twice

    @property
    def on_gpu(self) -> bool:
        """Whether much at once is what pays, and bits may depend on company."""
        return self.device.type != "cpu"

    def cut(self, backbone: Backbone, adapted: Sequence[str], dropout: float) -> Cut | None:
        """None where the trunk is computed as a whole."""
        key = (id(backbone), tuple(adapted), dropout > 0)
        if key not in self._cuts:
            self._held.append(backbone)
            can_be = not adapted or can_be_cut(backbone.trunk)
            self._cuts[key] = cut_of(backbone.trunk, adapted, dropout) if can_be else None
        return self._cuts[key]

    def upper(
        self, backbone: Backbone, adapted: Sequence[str], cut: Cut | None, inputs: Inputs, left_out: Sequence[str] = ()
    ) -> Upper:
        """The computed part of the trunk but for some blocks, with a place for adapters in these layers."""
        key = (id(backbone), cut, tuple(adapted), tuple(left_out))
        if key not in self._uppers:
            self._held.append(backbone)
            self._uppers[key] = self._upper(backbone.trunk, cut, inputs, adapted, left_out)
        return self._uppers[key]

    def merged(self, backbone: Backbone, cut: Cut | None, inputs: Inputs, adapter: Adapter) -> Upper:
        """The computed part of the trunk with a LoRA adapter in its weights; valid until something else is merged."""
        names = [layer.removeprefix(f"{PREFIX}trunk.") for layer in adapted_layers(adapter)]
        upper = self.upper(backbone, names, cut, inputs)
        self.merge(upper, backbone, adapter)
        return upper

    def merge(self, upper: Upper, backbone: Backbone, adapter: Adapter | None) -> None:
        """Puts `W + scale * B @ A` in the place of the frozen weights; with None they are the backbone's own again."""
        for name, layer in upper.adapted.items():
            layer.merged = None
            if adapter is not None:
                left, right = factors(adapter, f"{PREFIX}trunk.{name}")
                frozen = backbone.trunk.get_parameter(f"{name}.weight").detach().double()
                layer.merged = (frozen + torch.from_numpy(left @ right)).to(self.device, computed(self.precision))

    def own(self, trunk: nn.Module) -> Upper:
        """A trunk of one's own, computed as a whole."""
        return Upper(cast(own_modules(trunk), computed(self.precision), self.device), recalls=False)

    def source(self, backbone: Backbone, cut: Cut | None, inputs: Inputs) -> Source:
        """Where the computed part gets its states from."""
        key = (id(backbone), id(inputs), cut and cut.below)
        if key not in self._sources:
            self._held += [backbone, inputs]
            self._sources[key] = self._source(backbone, cut, inputs)
        return self._sources[key]

    def _source(self, backbone: Backbone, cut: Cut | None, inputs: Inputs) -> Source:
        if cut is None or not self._keeps(cut, inputs):
            return Source(inputs, None, self.device)
        kept = Kept(inputs, self._below(backbone.trunk, cut), folder=self._folder(backbone, cut, inputs))
        return Source(inputs, kept, self.device, features=cut.nothing_above, one_token=cut.one_token)

    def _upper(
        self, trunk: nn.Module, cut: Cut | None, inputs: Inputs, adapted: Sequence[str], left_out: Sequence[str]
    ) -> Upper:
        if cut is not None and cut.nothing_above:
            return Upper(None)
        tree = own_modules(trunk)
        leave_out(tree, left_out)
        layers = joined(tree, adapted)
        recalls = self._keeps(cut, inputs)
        if cut is not None and cut.readout and blocks_of(trunk)[-1] not in left_out:
            read_one(tree, cut, blocks_of(trunk)[-1])
        if cut is not None and recalls:
            remove_below(tree, cut, blocks_of(trunk))
        return Upper(cast(tree, computed(self.precision), self.device), layers, recalls=recalls)

    def _keeps(self, cut: Cut | None, inputs: Inputs) -> bool:
        texts = len(inputs.batch(first_row())) > 1
        return cut is not None and (cut.nothing_above or cut.first > 0 or not texts)

    def _folder(self, backbone: Backbone, cut: Cut, inputs: Inputs) -> Path | None:
        if self._place is None:
            return None
        return self._place.folder / digest_of("states", self._place.way, backbone.sha256, cut.below, inputs.digest())

    def _below(self, trunk: nn.Module, cut: Cut) -> Callable[..., Tensor]:
        """What is kept is worked out in single precision at least, and stored in that of the computed part."""
        dtype = trained(self.precision)
        below = states_below(cast(own_modules(trunk), dtype, self.device), cut)
        stored = dtype if cut.nothing_above else computed(self.precision)

        def in_full(*inputs: Tensor) -> Tensor:
            with torch.backends.cudnn.flags(allow_tf32=False):  # else convolutions on a GPU round to ten bits
                return below(*(_cast(part, dtype, self.device) for part in inputs)).to(stored)

        return in_full


def first_row() -> IntArray:
    """The first sample's number."""
    return torch.zeros(1, dtype=torch.int64).numpy()


def _cast(part: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    return part.to(device, dtype) if part.is_floating_point() else part.to(device)
