"""Turns the dimensions of a transformer into what training it costs; every number follows from width, depth and tokens.

One FLOP is one multiplication or one addition, so a multiply-accumulate (MAC) is two. Layer norms, softmax, activations
and biases are left out of the FLOPs, as is usual; the published figures that the tests compare with do the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from iovsim.domain import Architecture

TRAINING_BITS = 32
"""Of a number held while training: single precision."""


def transformer(
    name: str,
    *,
    width: int,
    depth: int,
    heads: int,
    tokens: int,
    stem_flops: float,
    outer_parameters: int,
    classes: int,
    mlp_ratio: int = 4,
    parameter_bits: int = 32,
) -> Architecture:
    """An encoder of `depth` equal layers with LoRA on the query and value of each.

    `stem_flops` and `outer_parameters` are what lies outside the layers (embedding, positions, last norm, pooler).
    With T tokens, width d and MLP width m = mlp_ratio d, one layer has
    4 T d^2 (query, key, value, output) + 2 T^2 d (scores, mixing) + 2 T d m (MLP) MACs and
    4 (d^2 + d) + 2 d m + m + d + 4 d (two norms) parameters.

    Activations kept for the backward pass, per sample and layer: 6 T d (both norms' inputs, query, key, value, the
    adapters' input) + heads T^2 (softmax) + T m (input of the activation function). Ours, counted in the manner of
    Korthikanti et al. 2022 (arXiv:2205.05198), but a frozen linear layer needs no weight gradient and keeps no input.
    """
    mlp = mlp_ratio * width
    macs = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * mlp
    parameters = 4 * (width**2 + width) + 2 * width * mlp + mlp + width + 4 * width
    kept = 6 * tokens * width + heads * tokens**2 + tokens * mlp
    return Architecture(
        name=name,
        forward_flops=stem_flops + 2.0 * depth * macs,
        tokens=tokens,
        widths=((width, width),) * (2 * depth),
        base_parameters=outer_parameters + depth * parameters,
        activation_bits=float(TRAINING_BITS * depth * kept),
        parameter_bits=parameter_bits,
        head_parameters=width * classes + classes,
    )


def vision_transformer(
    name: str,
    *,
    width: int,
    depth: int,
    heads: int,
    classes: int = 1000,
    image: int = 224,
    patch: int = 16,
    parameter_bits: int = 32,
) -> Architecture:
    """ViT (Dosovitskiy et al. 2021, arXiv:2010.11929) on RGB squares of `image` pixels, with a class token."""
    patches = (image // patch) ** 2
    pixels = 3 * patch**2
    return transformer(
        name,
        width=width,
        depth=depth,
        heads=heads,
        tokens=patches + 1,
        stem_flops=2.0 * patches * pixels * width,
        # patch embedding, class token, positions, last norm
        outer_parameters=(pixels * width + width) + width + (patches + 1) * width + 2 * width,
        classes=classes,
        parameter_bits=parameter_bits,
    )


def text_encoder(
    name: str,
    *,
    width: int,
    depth: int,
    heads: int,
    classes: int = 2,
    tokens: int = 128,
    vocabulary: int = 30522,
    positions: int = 512,
    parameter_bits: int = 32,
) -> Architecture:
    """BERT (Devlin et al. 2019, arXiv:1810.04805) with its pooler, on sequences of `tokens` tokens."""
    return transformer(
        name,
        width=width,
        depth=depth,
        heads=heads,
        tokens=tokens,
        stem_flops=2.0 * width**2,  # the pooler; looking embeddings up costs none
        # words, positions, two segments, their norm, pooler
        outer_parameters=(vocabulary + positions + 2) * width + 2 * width + width**2 + width,
        classes=classes,
        parameter_bits=parameter_bits,
    )


def road_vit() -> Architecture:
    """The small ViT that iovsim trains itself: 32 x 32 pixels, a convolutional stem to 4 x 4 tokens and a class token.

    Three 3 x 3 convolutions of stride 2, 3 -> 32 -> 64 -> 128 channels, at 16 x 16, 8 x 8 and 4 x 4 outputs, each with
    bias and group norm. Charged as the textbook computes it, every token in every layer; the code saves some of that.
    """
    convolutions = ((3, 32, 16), (32, 64, 8), (64, 128, 4))
    return transformer(
        "roadvit",
        width=128,
        depth=6,
        heads=4,
        tokens=17,
        stem_flops=2.0 * sum(9 * inputs * outputs * side**2 for inputs, outputs, side in convolutions),
        # convolutions with biases and norms, class token, positions, last norm
        outer_parameters=sum(9 * inputs * outputs + 3 * outputs for inputs, outputs, _ in convolutions)
        + 128
        + 17 * 128
        + 2 * 128,
        classes=43,
    )


def with_head(architecture: Architecture, classes: int) -> Architecture:
    """The same model with a linear head for `classes` classes, as wide as what the first adapted layer reads."""
    width = architecture.widths[0][0]
    return replace(architecture, head_parameters=width * classes + classes)


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            vision_transformer("vit-base-patch16-224", width=768, depth=12, heads=12),
            vision_transformer("vit-small-patch16-224", width=384, depth=12, heads=6),
            vision_transformer("vit-tiny-patch16-224", width=192, depth=12, heads=3),
            text_encoder("bert-base-uncased", width=768, depth=12, heads=12),
            text_encoder("minilm-l6-h384", width=384, depth=6, heads=12),
            road_vit(),
        )
    }
)
