"""Builds RoadViT, the project's own small vision transformer for 32 x 32 pictures, with its shipped weights.

A convolutional stem turns the picture into 4 x 4 = 16 tokens; a class token is read out after six pre-norm blocks
(Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; the stem after Xiao et al., "Early Convolutions Help
Transformers See Better", NeurIPS 2021). Sizes are ours: 17 tokens are what one CPU core can train many adapters of.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from iovsim.errors import TrainingError
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.readers import PictureReader
from iovsim.learning.data.samples import Pictures
from iovsim.rng import stream

SIDE = 32  # pixels
WIDTH = 128
DEPTH = 6
HEADS = 4
MLP_WIDTH = 4 * WIDTH
STEM = (32, 64, WIDTH)
TOKENS = 17  # 16 of the picture and the class token
WEIGHTS = Path(__file__).parent / "weights" / "roadvit.safetensors"


class Attention(nn.Module):
    """Multi-head self-attention with one linear layer for each of query, key, value and output."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, keep: int) -> Tensor:
        """Tokens (n, t, width) -> the first `keep` tokens, each mixed from all t."""
        n, tokens, _ = x.shape
        q = self.query(x[:, :keep]).view(n, keep, HEADS, -1).transpose(1, 2)
        k, v = (layer(x).view(n, tokens, HEADS, -1).transpose(1, 2) for layer in (self.key, self.value))
        # Written out: for 17 tokens torch's fused attention is slower on a CPU, in bfloat16 several times.
        weights = torch.softmax(q * q.shape[-1] ** -0.5 @ k.transpose(2, 3), dim=-1)
        joined: Tensor = self.output((weights @ v).transpose(1, 2).reshape(n, keep, WIDTH))
        return joined


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, MLP_WIDTH), nn.GELU(), nn.Linear(MLP_WIDTH, WIDTH))

    def forward(self, x: Tensor, keep: int = TOKENS) -> Tensor:
        """Tokens (n, t, width) -> the first `keep` of them; what the others would become is not worked out."""
        x = x[:, :keep] + self.attention(self.norm1(x), keep)
        deeper: Tensor = x + self.mlp(self.norm2(x))
        return deeper


class Embeddings(nn.Module):
    """Pictures (n, 3, 32, 32) -> tokens (n, 17, 128); frozen in LoRA training, a constant of the picture."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *STEM[:-1]), STEM, strict=True):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(8, outputs), nn.GELU()]
        self.stem = nn.Sequential(*layers)
        self.cls = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position = nn.Parameter(torch.zeros(1, TOKENS, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        patches = self.stem(x).flatten(2).transpose(1, 2)
        return torch.cat((self.cls.expand(len(x), -1, -1), patches), dim=1) + self.position


class RoadViT(nn.Module):
    """Pictures (n, 3, 32, 32) as `to_input` makes them -> the read-out class token (n, 128)."""

    pooling = "cls"

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embeddings(x)
        for block in self.blocks:
            tokens = block(tokens, keep=1 if block is self.blocks[-1] else TOKENS)
        read: Tensor = self.norm(tokens[:, 0])
        return read


def reader(name: str) -> PictureReader:
    """Resizes pictures to 32 x 32 and scales them to about unit spread; its errors name the backbone."""
    mean, spread = (torch.full((1, 3, 1, 1), value) for value in (115.0, 64.0))
    return PictureReader(name, mean, spread, SIDE, TOKENS - 1)


def to_input(pictures: Pictures) -> Tensor:
    """Pictures (n, side, side, 3) of 0-255 -> (n, 3, 32, 32)."""
    (pixels,) = reader("roadvit")(pictures).batch(np.arange(len(pictures)))
    return pixels


def untrained(seed: int) -> RoadViT:
    """RoadViT with random weights: normal, truncated at two of its deviations of 0.02; convolutions after He (2015)."""
    model = RoadViT()
    generator = torch.Generator().manual_seed(int(stream(seed, "roadvit").integers(2**62)))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04, generator=generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # these convolutions have a bias
        for free in (model.embeddings.cls, model.embeddings.position):
            nn.init.trunc_normal_(free, std=0.02, a=-0.04, b=0.04, generator=generator)
    return model


def trained(weights: Path = WEIGHTS) -> RoadViT:
    """RoadViT in evaluation mode with the shipped weights.

    Raises `TrainingError` where the weights file is missing, damaged or of another shape.
    """
    if not weights.is_file():
        raise TrainingError(
            f"{weights}: the weights file is missing; reinstall iovsim, or run iovsim.learning.pretraining.pretrain."
        )
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{weights}: not a readable safetensors file ({error}); reinstall iovsim.") from error
    model = RoadViT()
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except RuntimeError as error:
        raise TrainingError(f"{weights}: does not fit this RoadViT ({error}); weights and code differ.") from error
    return model.eval()


def roadvit(weights: Path = WEIGHTS) -> Backbone:
    """The built-in backbone, frozen. Raises `TrainingError` like `trained`."""
    return as_backbone(trained(weights), "roadvit", hashlib.sha256(weights.read_bytes()).hexdigest())


def as_backbone(model: RoadViT, name: str, sha256: str) -> Backbone:
    """Any RoadViT as a frozen backbone."""
    return Backbone(name, model.eval().requires_grad_(False), WIDTH, sha256, reader(name))
