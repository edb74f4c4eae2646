"""Turns the files of a Hugging Face model's folder into checked parts: configuration, weights, tokenizer, scaling.

No code of a model's author is run: a class of its own that config.json names is passed over for that of its model type
in transformers, so only types that transformers knows are read. Weights must be safetensors, since pickles run code.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig
from transformers.utils import logging

from iovsim.errors import TrainingError, near_match

Pooling = Literal["cls", "mean"]

PICTURE_FAMILIES: Mapping[str, Pooling] = MappingProxyType({"vit": "cls", "deit": "cls", "swin": "mean"})
TEXT_FAMILIES: Mapping[str, Pooling] = MappingProxyType({"bert": "cls", "roberta": "cls", "distilbert": "cls"})
"""Model type in `config.json` -> how its last layer is read where neither user nor model folder says."""

WEIGHTS = "model.safetensors"
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")
SPARE_ROWS = 128
"""Of an embedding, at most: models are padded to round numbers of tokens."""

SPECIAL_TOKENS = tuple(f"{kind}_token_id" for kind in ("pad", "unk", "cls", "sep", "mask", "bos", "eos"))
"""The same names in config.json and in a tokenizer, either of which may leave some out."""

READ_FILES = (
    *VOCABULARIES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "preprocessor_config.json",
    "config.json",
)

NOT_READ: Mapping[str, str] = MappingProxyType(
    {
        "quantization_config": "its weights are quantised, and adapters are trained beside single precision here",
        "transformers_weights": "it names weights of its own choice",
    }
)
"""Keys of config.json that change what transformers reads."""


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing below an error is said, and no progress bar drawn, by transformers inside."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def configuration(folder: Path) -> PreTrainedConfig:
    """What config.json says. Raises `TrainingError` where it is missing or wrong, or of a model that is not read."""
    path = folder / "config.json"
    if not path.is_file():
        raise TrainingError(f"{folder}: no config.json in it; give the folder of a Hugging Face model.")
    if (folder / "adapter_config.json").is_file():
        raise TrainingError(f"{folder}: it holds an adapter; give the folder of a whole model.")
    plain = _json(path)
    kind, families = plain.get("model_type"), [*PICTURE_FAMILIES, *TEXT_FAMILIES]
    if kind not in families:
        raise TrainingError(f"{path}: model_type is {kind!r}; {near_match(str(kind), families)}")
    for key, why in NOT_READ.items():
        if plain.get(key) is not None:
            raise TrainingError(f"{path}: {key} is set, so {why}; give another model.")
    try:
        with quiet():
            config: PreTrainedConfig = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except (ValueError, TypeError, KeyError, OSError, StrictDataclassError) as error:
        raise TrainingError(f"{path}: not a model's configuration ({one_line(error)}); take it anew.") from error
    return config


def padding(config: PreTrainedConfig) -> int:
    """The token number that fills up short sentences."""
    return 0 if config.pad_token_id is None else int(config.pad_token_id)


def weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the parts that its index names. Raises `TrainingError` where one is missing."""
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if index.is_file():
        named = _json(index).get("weight_map")
        parts = [folder / str(name) for name in sorted(set(named.values()))] if isinstance(named, dict) else []
        missing = [part.name for part in parts if not part.is_file()]
        if missing or not parts:
            raise TrainingError(f"{index}: it names no weights or misses some {missing}; take the model anew.")
        return parts
    pickled = sorted(p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in folder.glob(pattern))
    why = f"its weights are pickles ({', '.join(pickled)}), which can run code" if pickled else f"it has no {WEIGHTS}"
    raise TrainingError(
        f"{folder}: {why}; only safetensors are read. Convert them: where you trust the model, load it with "
        "transformers and call save_pretrained."
    )


def tokenizer(folder: Path, config: PreTrainedConfig) -> Any:
    """The model's tokenizer.

    Raises `TrainingError` where it is missing, damaged, or belongs to another model: its tokens are not as many as the
    model has embeddings for (of which up to 128 may be spare), or special tokens have other numbers than config.json
    says. No file ties words to rows of the embedding, so a tokenizer of as many tokens that numbers its words
    otherwise, and agrees on the special ones that config.json names, cannot be told from the model's own.
    """
    if not any((folder / name).is_file() for name in VOCABULARIES):  # transformers would make one that knows no word
        raise TrainingError(f"{folder}: no tokenizer in it; add one of {', '.join(VOCABULARIES)}.")
    try:
        with quiet():
            made = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers' library raises bare Exception
        raise TrainingError(f"{folder}: its tokenizer cannot be read ({one_line(error)}); take it anew.") from error
    largest = max(made.get_vocab().values())
    if not 0 <= config.vocab_size - 1 - largest <= SPARE_ROWS:
        raise TrainingError(
            f"{folder}: the tokenizer numbers tokens up to {largest}, the model knows {config.vocab_size} from 0; they "
            "belong to different models. Take both from one."
        )
    said = _json(folder / "config.json") | {"pad_token_id": padding(config)}
    for key in SPECIAL_TOKENS:
        own, due = getattr(made, key), said.get(key)
        if None not in (own, due) and own != due:
            raise TrainingError(
                f"{folder}: {key} is {own} in the tokenizer and {due} in the model; they belong to different models. "
                "Take both from one."
            )
    return made


def own_pooling(folder: Path) -> Pooling | None:
    """What a sentence-transformers folder says; None where nothing is said. Raises `TrainingError` for other ways."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return None
    chosen = [key for key, value in _json(path).items() if key.startswith("pooling_mode_") and value is True]
    match chosen:
        case ["pooling_mode_mean_tokens"]:
            return "mean"
        case ["pooling_mode_cls_token"]:
            return "cls"
    raise TrainingError(f"{path}: it pools by {chosen}; set pooling to 'cls' or 'mean' to read the model so.")


def scaling(folder: Path) -> tuple[Tensor, Tensor]:
    """Mean and spread of each colour, of pixels of 0-255, that the model was trained with: (1, 3, 1, 1) each.

    Raises `TrainingError` where preprocessor_config.json is missing or says nothing sensible.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        raise TrainingError(f"{folder}: no preprocessor_config.json in it, which says how pictures are scaled; add it.")
    plain = _json(path)
    factor = plain.get("rescale_factor", 1 / 255) if plain.get("do_rescale", True) else 1.0
    if not isinstance(factor, int | float) or not factor > 0:
        raise TrainingError(f"{path}: rescale_factor is {factor!r}; it must be a number above 0.")
    if plain.get("do_normalize") is False:
        return torch.zeros(1, 3, 1, 1), torch.full((1, 3, 1, 1), 1 / factor)
    try:
        mean, spread = (torch.tensor(plain[key], dtype=torch.float32).view(1, 3, 1, 1) for key in _SCALES)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise TrainingError(f"{path}: {' and '.join(_SCALES)} must be three numbers each ({error!r}).") from error
    if not bool((spread > 0).all()):
        raise TrainingError(f"{path}: image_std is {plain['image_std']}; each must be above 0.")
    return mean / factor, spread / factor  # files say them of rescaled pixels


def sha256_of(folder: Path, weights: Iterable[Path], read: Pooling) -> str:
    """Of the names and contents of all files that a model is read from, and of how its last layer is read."""
    found = [folder / name for name in READ_FILES if (folder / name).is_file()]
    whole = hashlib.sha256(f"pooling {read}\n".encode())
    for path in sorted({*found, *weights}):
        state = path.stat()
        whole.update(f"{path.name} {_digest(path, state.st_size, state.st_mtime_ns)}\n".encode())
    return whole.hexdigest()


@functools.lru_cache(maxsize=64)
def _digest(path: Path, size: int, modified_ns: int) -> str:
    """Of one file, read once in a process unless it changes."""
    del size, modified_ns  # they only tell versions of the file apart
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise TrainingError(f"{path}: not readable JSON ({error}); take the file anew.") from error
    if not isinstance(plain, dict):
        raise TrainingError(f"{path}: found a {type(plain).__name__}, needed is a JSON object; take the file anew.")
    return plain


def one_line(error: Exception) -> str:
    """A library's message on one line."""
    return " ".join(str(error).split())


_SCALES = ("image_mean", "image_std")
