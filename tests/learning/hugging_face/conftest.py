"""Tiny random models of every family, saved as transformers saves them, with tokenizers of a few words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    DeiTConfig,
    DeiTModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTModel,
)

from iovsim.learning.backbones.model_files import quiet
from iovsim.learning.data.samples import Pictures, Texts

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*MARKS, "ice", "fog", "rain", "on", "the", "road", "bridge", "ahead", "slow", "lane", "closed", "crash"]
BYTES = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]


LAYERS: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "initializer_range": 0.3,  # larger than usual, so that attention is far from even
}


def _model(family: str) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sum(family.encode()))
        match family:
            case "vit":
                return ViTModel(ViTConfig(**LAYERS, image_size=16, patch_size=8))
            case "deit":
                return DeiTModel(DeiTConfig(**LAYERS, image_size=16, patch_size=8))
            case "swin":
                return SwinModel(
                    SwinConfig(image_size=16, patch_size=2, embed_dim=8, depths=[2, 1], num_heads=[2, 4], window_size=4)
                )
            case "bert":
                return BertModel(BertConfig(**LAYERS, vocab_size=len(WORDS), max_position_embeddings=40))
            case "roberta":
                return RobertaModel(
                    RobertaConfig(
                        **LAYERS, vocab_size=len(BYTES), max_position_embeddings=40, type_vocab_size=1, pad_token_id=1
                    )
                )
            case "distilbert":
                renamed: dict[str, Any] = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
                return DistilBertModel(
                    DistilBertConfig(
                        **renamed, initializer_range=0.3, vocab_size=len(WORDS), max_position_embeddings=40
                    )
                )
    raise AssertionError(family)


def _save_tokenizer(family: str, folder: Path) -> None:
    if family == "roberta":
        made = Tokenizer(models.BPE({token: number for number, token in enumerate(BYTES)}, [], unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        marks = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
        marks |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<unk>", "tokenizer_class": "RobertaTokenizer"}
    else:
        made = Tokenizer(models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        kind = "BertTokenizer" if family == "bert" else "DistilBertTokenizer"
        marks |= {"mask_token": "[MASK]", "tokenizer_class": kind}
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(marks))


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Family -> its folder, made once; not to be written into."""
    parent, made = tmp_path_factory.mktemp("models"), dict[str, Path]()

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = parent / family
            with quiet():
                _model(family).save_pretrained(made[family])
            if family in ("vit", "deit", "swin"):
                scales = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "image_processor_type": "X"}
                (made[family] / "preprocessor_config.json").write_text(json.dumps(scales))
            else:
                _save_tokenizer(family, made[family])
        return made[family]

    return folder


@pytest.fixture
def copied(saved: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Family -> a copy of its folder that a test may spoil."""

    def folder(family: str) -> Path:
        return Path(shutil.copytree(saved(family), tmp_path / family))

    return folder


@pytest.fixture(scope="session")
def original() -> Callable[[str], PreTrainedModel]:
    """Family -> the model whose weights were saved, as transformers itself makes it."""
    return lambda family: _model(family).train(False)


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    return np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)


@pytest.fixture(scope="session")
def sentences() -> Texts:
    return tuple((" ".join(WORDS[5 + k % 12 : 6 + k % 12 + k % 5]),) for k in range(12))


@pytest.fixture(scope="session")
def pairs(sentences: Texts) -> Texts:
    return tuple((first[0], second[0]) for first, second in zip(sentences, sentences[5:] + sentences[:5], strict=True))
