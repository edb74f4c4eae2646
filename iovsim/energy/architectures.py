"""Turns the dimensions of a transformer into what training it costs; every number follows from width, depth and tokens.

One FLOP is one multiplication or one addition, so a multiply-accumulate (MAC) is two. Layer norms, softmax, activations
and biases are left out of the FLOPs, as is usual; the published figures that the tests compare with do the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from iovsim.domain import ROLES, Architecture, LoraRule
from iovsim.errors import ScenarioError, near_match

TRAINING_BITS = 32
"""Of a number held while training: single precision."""

USUAL_TARGETS = ("query", "value")
"""What Hu et al. 2022 adapt."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """The equal layers of an encoder, its blocks."""

    width: int
    depth: int
    heads: int
    tokens: int
    mlp_ratio: int = 4

    @property
    def mlp(self) -> int:
        return self.mlp_ratio * self.width

    @property
    def flops(self) -> float:
        """Of one forward pass through all layers: 4 T d^2 (query, key, value, output) + 2 T^2 d (scores, mixing)
        + 2 T d m (MLP) MACs a layer for T tokens, width d and MLP width m."""
        attention = 4 * self.tokens * self.width**2 + 2 * self.tokens**2 * self.width
        return 2.0 * self.depth * (attention + 2 * self.tokens * self.width * self.mlp)


def adapted_widths(encoder: Encoder, roles: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the layers of these roles, layer by layer; each role counts once.

    Raises `ScenarioError` for an unknown role.
    """
    for role in roles:
        if role not in ROLES:
            raise ScenarioError(f"targets: no layer has the role {role!r}; {near_match(role, ROLES)}")
    narrow, wide = encoder.width, encoder.mlp
    special = {"mlp_in": (narrow, wide), "mlp_out": (wide, narrow)}
    return tuple(special.get(role, (narrow, narrow)) for role in ROLES if role in roles) * encoder.depth


def kept_bits(encoder: Encoder, roles: Sequence[str], *, dropout: bool = False) -> float:
    """Bits of one sample kept for the backward pass where the layers of these roles are adapted or trained.

    With T tokens, width d and MLP width m, each layer keeps 6 T d (inputs of both norms; query, key, value and result
    of fused attention), heads T (its softmax's normalisers) and T m (input of the activation function), and once each
    what the trained linear layers read: T d for query, key and value together, nothing more for the attention's output
    layer, T d for the MLP's first layer, T m for its second. A frozen linear layer needs no weight gradient and keeps
    nothing. Where adapters drop out, each keeps instead its input with the dropped part missing, and the mask, which is
    in single precision too: 2 T d, or 2 T m. Ours, in the manner of Korthikanti et al. 2022 (arXiv:2205.05198).

    Formula and, after the stroke, what torch 2.13 keeps on a CPU (`learning.footprint`; MiB of one picture or 128
    tokens, single precision):

    | model          | query and value | the same, dropout | all six, dropout | all weights     |
    |----------------|-----------------|-------------------|------------------|-----------------|
    | ViT-B/16       | 76.29 / 76.91   | 97.07 / 96.53     | 194.03 / 192.91  | 110.92 / 112.11 |
    | ViT-Ti/16      | 19.07 / 19.25   | 24.27 / 24.16     | 48.51 / 48.26    | 27.73 / 28.49   |
    | BERT-base      | 49.57 / 49.60   | 63.07 / 62.35     | 126.07 / 124.97  | 72.07 / 72.47   |
    | MiniLM-L6-H384 | 12.41 / 12.42   | 15.79 / 15.42     | 31.54 / 30.99    | 18.04 / 18.24   |
    | RoadViT        | 0.55 / 0.46     | 0.70 / 0.58       | 1.40 / 1.18      | 0.80 / 0.90     |

    RoadViT's last layer works out one token alone, and its convolutions keep something where they are trained.
    For an encoder cut to the blocks from the lowest adapted up (`LoraRule.top_blocks`) formula and torch are as many
    numbers apart as for the whole. So for one block of ViT-Ti/16 or MiniLM, query, value, torch keeps up to 9 % more,
    or 14 % less with dropout: nothing below that block has a gradient. For the same reason adapters on the MLP alone
    need no attention in the lowest adapted block, which is counted all the same.
    Attention that is written out keeps heads T^2 softmax weights instead of T d results; on a GPU torch's masks of
    dropout take a byte a number, not four.
    """
    tokens, width, mlp = encoder.tokens, encoder.width, encoder.mlp
    kept = 6 * tokens * width + encoder.heads * tokens + tokens * mlp
    if dropout:
        kept += 2 * tokens * sum(mlp if role == "mlp_out" else width for role in set(roles))
    else:
        kept += tokens * width * (bool({"query", "key", "value"} & set(roles)) + ("mlp_in" in roles))
        kept += tokens * mlp * ("mlp_out" in roles)
    return float(TRAINING_BITS * encoder.depth * kept)


def transformer(
    name: str,
    encoder: Encoder,
    *,
    stem_flops: float,
    outer_parameters: int,
    classes: int,
    parameter_bits: int = 32,
) -> Architecture:
    """An encoder with LoRA on the query and value of each layer.

    `stem_flops` and `outer_parameters` are what lies outside the layers (embedding, positions, last norm, pooler).
    With width d and MLP width m, one layer has 4 (d^2 + d) + 2 d m + m + d + 4 d (two norms) parameters. FLOPs: see
    `Encoder.flops`; memory: see `kept_bits`.
    """
    width, mlp = encoder.width, encoder.mlp
    forward_flops = stem_flops + encoder.flops
    parameters = 4 * (width**2 + width) + 2 * width * mlp + mlp + width + 4 * width
    return Architecture(
        name=name,
        forward_flops=forward_flops,
        backward_flops=forward_flops,
        tokens=encoder.tokens,
        long_tokens=encoder.tokens,
        widths=adapted_widths(encoder, USUAL_TARGETS),
        base_parameters=outer_parameters + encoder.depth * parameters,
        activation_bits=kept_bits(encoder, USUAL_TARGETS),
        full_activation_bits=kept_bits(encoder, ROLES),
        parameter_bits=parameter_bits,
        head_parameters=width * classes + classes,
        blocks=encoder.depth,
        block_flops=encoder.flops / encoder.depth,
        block_parameters=parameters,
    )


def vision_transformer(name: str, encoder: Encoder, *, patch: int = 16, classes: int = 1000) -> Architecture:
    """ViT (Dosovitskiy et al. 2021, arXiv:2010.11929) on RGB pictures: a token for each patch, and a class token."""
    patches, pixels, width = encoder.tokens - 1, 3 * patch**2, encoder.width
    return transformer(
        name,
        encoder,
        stem_flops=2.0 * patches * pixels * width,
        # patch embedding, class token, positions, last norm
        outer_parameters=(pixels * width + width) + width + encoder.tokens * width + 2 * width,
        classes=classes,
    )


def text_encoder(
    name: str, encoder: Encoder, *, vocabulary: int = 30522, positions: int = 512, classes: int = 2
) -> Architecture:
    """BERT (Devlin et al. 2019, arXiv:1810.04805) with its pooler."""
    width = encoder.width
    return transformer(
        name,
        encoder,
        stem_flops=2.0 * width**2,  # the pooler; looking embeddings up costs none
        # words, positions, two segments, their norm, pooler
        outer_parameters=(vocabulary + positions + 2) * width + 2 * width + width**2 + width,
        classes=classes,
    )


def road_vit(name: str, encoder: Encoder) -> Architecture:
    """The small ViT that iovsim trains itself: 32 x 32 pixels, a convolutional stem to 4 x 4 tokens and a class token.

    Three 3 x 3 convolutions of stride 2, 3 -> 32 -> 64 -> 128 channels, at 16 x 16, 8 x 8 and 4 x 4 outputs, each with
    bias and group norm. Charged as the textbook computes it, every token in every layer; the code saves some of that.
    """
    convolutions = ((3, 32, 16), (32, 64, 8), (64, 128, 4))
    return transformer(
        name,
        encoder,
        stem_flops=2.0 * sum(9 * inputs * outputs * side**2 for inputs, outputs, side in convolutions),
        # convolutions with biases and norms, class token, positions, last norm
        outer_parameters=sum(9 * inputs * outputs + 3 * outputs for inputs, outputs, _ in convolutions)
        + 128
        + 17 * 128
        + 2 * 128,
        classes=43,
    )


ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "vit-large-patch16-224": Encoder(width=1024, depth=24, heads=16, tokens=197),
        "vit-base-patch16-224": Encoder(width=768, depth=12, heads=12, tokens=197),
        "vit-small-patch16-224": Encoder(width=384, depth=12, heads=6, tokens=197),
        "vit-tiny-patch16-224": Encoder(width=192, depth=12, heads=3, tokens=197),
        "bert-base-uncased": Encoder(width=768, depth=12, heads=12, tokens=128),
        "minilm-l6-h384": Encoder(width=384, depth=6, heads=12, tokens=128),
        "roadvit": Encoder(width=128, depth=6, heads=4, tokens=17),
    }
)
"""The layers of the models that are charged by formula."""

TEXT_ENCODERS = ("bert-base-uncased", "minilm-l6-h384")
"""Those of `ENCODERS` that read as many tokens as a text has; 128 unless `with_tokens` says otherwise."""

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        name: build(name, ENCODERS[name])
        for name, build in (
            ("vit-large-patch16-224", vision_transformer),
            ("vit-base-patch16-224", vision_transformer),
            ("vit-small-patch16-224", vision_transformer),
            ("vit-tiny-patch16-224", vision_transformer),
            ("bert-base-uncased", text_encoder),
            ("minilm-l6-h384", text_encoder),
            ("roadvit", road_vit),
        )
    }
)


def with_head(architecture: Architecture, classes: int) -> Architecture:
    """The same model of `ARCHITECTURES` with a linear head for `classes` classes. Raises `ScenarioError` for others."""
    return replace(architecture, head_parameters=(_encoder(architecture).width + 1) * classes)


def with_lora(architecture: Architecture, rule: LoraRule) -> Architecture:
    """The same model of `ARCHITECTURES` with LoRA on the rule's layers, with or without dropout.

    Where the lowest blocks are not adapted, neither they nor what lies below them have a backward pass, and nothing of
    them is kept for one. Raises `ScenarioError` for other models, an unknown role, none, or more blocks than there are.
    """
    encoder = replace(_encoder(architecture), tokens=architecture.tokens)
    if not rule.targets:
        raise ScenarioError(f"targets: empty; name at least one of {', '.join(ROLES)}.")
    blocks = encoder.depth if rule.top_blocks is None else rule.top_blocks
    if not 1 <= blocks <= encoder.depth:
        raise ScenarioError(
            f"top_blocks: found {blocks}, but {architecture.name} has {encoder.depth} transformer blocks; "
            f"set 1 to {encoder.depth}, or charge a deeper model."
        )
    adapted = replace(encoder, depth=blocks)
    below = replace(encoder, depth=encoder.depth - blocks).flops
    if below and architecture.name not in TEXT_ENCODERS:  # a pooler lies above, what cuts pictures into tokens below
        below += architecture.forward_flops - encoder.flops
    return replace(
        architecture,
        backward_flops=architecture.forward_flops - below,
        widths=adapted_widths(adapted, rule.targets),
        activation_bits=kept_bits(
            replace(adapted, tokens=architecture.long_tokens), rule.targets, dropout=rule.dropout > 0
        ),
        blocks=blocks,
    )


def with_blocks(architecture: Architecture, part: float) -> Architecture:
    """The same model with `part` of its adapted blocks, as if the others did not exist; rounded to whole blocks.

    They are not computed, held or sent. Ours; blocks are taken to be equal. Raises `ScenarioError` for a model of which
    no block can be left out.
    """
    kept = max(1, round(part * architecture.blocks))
    left_out = architecture.blocks - kept
    if left_out < 0:
        raise ScenarioError(f"{architecture.name}: its blocks are not known, so none can be left out.")
    return replace(
        architecture,
        forward_flops=architecture.forward_flops - left_out * architecture.block_flops,
        backward_flops=architecture.backward_flops - left_out * architecture.block_flops,
        widths=architecture.widths[: kept * (len(architecture.widths) // architecture.blocks)],
        base_parameters=architecture.base_parameters - left_out * architecture.block_parameters,
        activation_bits=architecture.activation_bits * kept / architecture.blocks,
        blocks=kept,
    )


def with_tokens(architecture: Architecture, mean: int, long: int) -> Architecture:
    """The same model of `ARCHITECTURES` for texts of `mean` tokens on average, of which the long ones have `long`.

    A model of pictures cuts each into the same number of tokens, and is returned as it is. What the backward pass needs
    is proportional to tokens (`kept_bits`), the FLOPs are not. Raises `ScenarioError` for other models.
    """
    encoder = _encoder(architecture)
    if architecture.name not in TEXT_ENCODERS:
        return architecture
    longer = long / architecture.long_tokens
    usual = replace(encoder, tokens=mean)
    forward_flops = text_encoder(architecture.name, usual).forward_flops
    below = architecture.forward_flops - architecture.backward_flops  # whole layers that are not adapted
    return replace(
        architecture,
        forward_flops=forward_flops,
        backward_flops=forward_flops - below * usual.flops / replace(encoder, tokens=architecture.tokens).flops,
        tokens=mean,
        long_tokens=long,
        activation_bits=longer * architecture.activation_bits,
        full_activation_bits=longer * architecture.full_activation_bits,
        block_flops=usual.flops / usual.depth,
    )


def _encoder(architecture: Architecture) -> Encoder:
    if architecture.name not in ENCODERS:
        raise ScenarioError(
            f"architecture {architecture.name!r}: no formula is known for it, so head, targets and tokens are set "
            f"where it is measured; {near_match(architecture.name, ENCODERS)}"
        )
    return ENCODERS[architecture.name]
