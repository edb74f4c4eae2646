"""Turns pictures or sentences into what a transformer takes: scaled pixels, or padded token numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from iovsim.domain import IntArray
from iovsim.errors import TrainingError
from iovsim.learning.backbones.backbone import Inputs
from iovsim.learning.data.samples import Pictures, Texts
from iovsim.learning.digest import digest_of


@dataclass(frozen=True, slots=True, eq=False)
class PictureInputs:
    """Pictures kept as bytes and in their own size; a batch is resized and scaled when it is asked for."""

    pictures: Pictures
    reader: PictureReader

    @property
    def lengths(self) -> IntArray:
        return np.full(len(self.pictures), self.reader.patches, dtype=np.int64)

    def batch(self, rows: IntArray) -> tuple[Tensor, ...]:
        """Pixels (n, 3, side, side)."""
        side = self.reader.side
        pixels = torch.from_numpy(self.pictures[rows]).permute(0, 3, 1, 2).float()
        if pixels.shape[2:] != (side, side):
            pixels = functional.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
        return ((pixels - self.reader.mean) / self.reader.spread,)

    def digest(self) -> str:
        reader = self.reader
        return digest_of(self.pictures, reader.side, reader.mean.numpy(), reader.spread.numpy())


@dataclass(frozen=True, slots=True, eq=False)
class PictureReader:
    """Makes pictures of any size ready for a model of one; `mean` and `spread` (1, 3, 1, 1) are of pixels of 0-255."""

    name: str
    mean: Tensor
    spread: Tensor
    side: int
    patches: int

    def __call__(self, inputs: Pictures | Texts) -> Inputs:
        """Raises `TrainingError` for sentences."""
        if not isinstance(inputs, np.ndarray):
            raise TrainingError(f"backbone {self.name}: it reads pictures, found sentences; choose a text backbone.")
        return PictureInputs(inputs, self)


@dataclass(frozen=True, slots=True, eq=False)
class TokenInputs:
    """Token numbers (n, longest), padded at the end, and for pairs which sentence each token is of (n, longest)."""

    tokens: IntArray
    segments: IntArray | None
    lengths: IntArray

    def batch(self, rows: IntArray) -> tuple[Tensor, ...]:
        """Tokens, mask and, if the model tells sentences apart, segments; as long as the longest of these samples."""
        longest = int(self.lengths[rows].max())
        mask = np.arange(longest) < self.lengths[rows][:, None]
        parts = [self.tokens[rows, :longest], mask.astype(np.int64)]
        if self.segments is not None:
            parts.append(self.segments[rows, :longest])
        return tuple(torch.from_numpy(part) for part in parts)

    def digest(self) -> str:
        return digest_of(self.tokens, self.segments, self.lengths)


@dataclass(frozen=True, slots=True, eq=False)
class TextReader:
    """Makes one or two sentences a sample ready, cut to `max_tokens`; what a pair loses comes from its longer one."""

    name: str
    tokenizer: Any  # of transformers, which has no types
    padding: int
    segments: bool  # the model has an embedding for first and second sentences
    max_tokens: int

    def __call__(self, inputs: Pictures | Texts) -> Inputs:
        """Raises `TrainingError` for pictures, and where `max_tokens` leaves no room beside the special tokens."""
        if isinstance(inputs, np.ndarray):
            raise TrainingError(f"backbone {self.name}: it reads sentences, found pictures; choose a picture backbone.")
        columns = [list(column) for column in zip(*inputs, strict=True)]
        pair = len(columns) == 2
        least = self.tokenizer.num_special_tokens_to_add(pair=pair) + len(columns)
        if self.max_tokens < least:  # the tokenizer itself would give up and cut nothing
            raise TrainingError(
                f"backbone {self.name}: max_tokens = {self.max_tokens} leaves no room for text beside special tokens; "
                f"set at least {least}."
            )
        encoded = self.tokenizer(
            *columns, truncation="longest_first", max_length=self.max_tokens, return_token_type_ids=True
        )
        rows = encoded["input_ids"]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        told_apart = self.segments and pair
        return TokenInputs(
            tokens=_padded(rows, lengths, self.padding),
            segments=_padded(encoded["token_type_ids"], lengths, 0) if told_apart else None,
            lengths=lengths,
        )


def _padded(rows: list[list[int]], lengths: IntArray, filler: int) -> IntArray:
    """Rows of unequal length as one array, filled up at the end."""
    whole = np.full((len(rows), int(lengths.max())), filler, dtype=np.int64)
    whole[np.arange(whole.shape[1]) < lengths[:, None]] = np.concatenate([np.asarray(row) for row in rows])
    return whole
