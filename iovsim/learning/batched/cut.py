"""A trunk is cut where training begins: what lies below becomes constants of a sample, what lies above a smaller trunk.

Below the lowest adapted block nothing changes and no gradient is needed, so its output is worked out once a sample.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from iovsim.learning.backbones.backbone import blocks_of
from iovsim.learning.backbones.blocks import parts_of, reads_first_token
from iovsim.learning.batched.many import ManyLinear
from iovsim.learning.batched.readout import ReadoutBlock, with_read_token


@dataclass(frozen=True, slots=True)
class Cut:
    """Between which blocks a trunk is cut."""

    blocks: int  # of the whole trunk
    first: int  # the lowest block that is still computed; `blocks`: none, the trunk's features are constants
    readout: bool = False  # the last block is computed only for the token that is read

    @property
    def nothing_above(self) -> bool:
        return self.first == self.blocks

    @property
    def one_token(self) -> bool:
        """Whether the read token in the last block is all that is computed."""
        return self.readout and self.first == self.blocks - 1

    @property
    def below(self) -> tuple[int, bool]:
        """What states depend on, beside the trunk and the samples."""
        return self.first, self.one_token


def cut_of(trunk: nn.Module, adapted: Sequence[str], dropout: float = 0.0) -> Cut:
    """Where a trunk is cut if the layers of these names (within the trunk) are adapted; none: above everything.

    The short cut of `readout` is for trunks that read one token of a block whose parts are known, and for adapters
    without dropout: dropout is drawn for every token that an adapter sees.
    """
    blocks = blocks_of(trunk)
    if not adapted:
        return Cut(len(blocks), len(blocks))
    lowest = min(number for number, block in enumerate(blocks) for name in adapted if name.startswith(f"{block}."))
    known = reads_first_token(trunk) and parts_of(trunk.get_submodule(blocks[-1])) is not None
    return Cut(len(blocks), lowest, readout=known and dropout == 0)


def states_below(trunk: nn.Module, cut: Cut) -> Callable[..., Tensor]:
    """A function of the trunk's inputs that gives what the first computed block sees, or the trunk's features."""
    if cut.nothing_above:
        return trunk
    block = trunk.get_submodule(blocks_of(trunk)[cut.first])

    def below(*inputs: Tensor) -> Tensor:
        seen: list[Tensor] = []

        def stop(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.append(arguments[0])
            raise _ReachedError

        hook = block.register_forward_pre_hook(stop)
        try:
            trunk(*inputs)
        except _ReachedError:
            pass
        finally:
            hook.remove()
        return with_read_token(block, seen[0]) if cut.one_token else seen[0]

    return below


def remove_below(tree: nn.Module, cut: Cut, names: Sequence[str]) -> None:
    """Leaves of a tree of one's own the blocks from the cut upwards; `names` are those of all its blocks.

    What stands in the place of the embeddings gives back the states that it holds.
    """
    parent, _, _ = names[0].rpartition(".")
    _replace(tree, parent, nn.ModuleList(tree.get_submodule(name) for name in names[cut.first :]))
    embeddings = embeddings_of(tree)
    _replace(tree, embeddings, Recall(tree.get_submodule(embeddings)))


def read_one(tree: nn.Module, cut: Cut, last: str) -> None:
    """The last block of a tree of one's own, of this name, from now on gives the read token alone."""
    _replace(tree, last, ReadoutBlock(tree.get_submodule(last), normed=cut.one_token))


def can_be_cut(trunk: nn.Module) -> bool:
    """Whether the trunk is embeddings followed by one list of blocks. Swin's stages are not."""
    names = blocks_of(trunk)
    one_list = len({name.rpartition(".")[0] for name in names}) == 1
    return one_list and any(name.rpartition(".")[2] == "embeddings" for name, _ in trunk.named_modules())


def embeddings_of(trunk: nn.Module) -> str:
    """The name of the module that makes the first block's input."""
    return next(str(name) for name, _ in trunk.named_modules() if str(name).rpartition(".")[2] == "embeddings")


def joined(tree: nn.Module, adapted: Sequence[str]) -> dict[str, ManyLinear]:
    """Puts a `ManyLinear` in the place of every adapted layer of a tree of one's own; by name."""
    made = {name: ManyLinear(layer) for name in adapted if isinstance(layer := tree.get_submodule(name), nn.Linear)}
    for name, layer in made.items():
        _replace(tree, name, layer)
    return made


def own_modules(trunk: nn.Module) -> nn.Module:
    """A copy of the modules, not of the tensors."""
    shared = {id(tensor): tensor for tensor in (*trunk.parameters(), *trunk.buffers())}
    return copy.deepcopy(trunk, shared)


def cast(tree: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """Gives the modules tensors of this type and on this device in place of those that they share with others."""
    for module in tree.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach().to(device, dtype), requires_grad=False))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device, dtype) if buffer.is_floating_point() else buffer.to(device))
    return tree


class Recall(nn.Module):
    """Stands where the embeddings stood, and gives back the states that the trunk was called with."""

    def __init__(self, embeddings: nn.Module) -> None:
        super().__init__()
        for name, child in embeddings.named_children():  # some models look at their types
            self.add_module(name, child)
        self.states: Tensor | None = None

    def forward(self, *_: object, **__: object) -> Tensor:
        if self.states is None:
            raise RuntimeError("states are set before the trunk is called")
        return self.states


class _ReachedError(Exception):
    """The first computed block was reached."""


def _replace(tree: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(tree.get_submodule(parent), own, module)
