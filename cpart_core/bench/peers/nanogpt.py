"""nanoGPT's architecture (github.com/karpathy/nanoGPT, model.py), our own plain writing: what most
people would train.

LayerNorm without biases, learned positions, queries, keys and values in one product,
`scaled_dot_product_attention`, GELU, embedding tied to the output. One thing differs: the hidden
layer is as wide as makes its weights as many as those of our three matrices (1.5 times our neurons;
nanoGPT takes 4 times the width).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpart_core.settings.model import ModelSettings


class LayerNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class SelfAttention(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        q, k, v = (
            part.view(B, T, self.num_heads, -1).transpose(1, 2)
            for part in self.to_qkv(x_BTD).split(D, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).contiguous().view(B, T, D))


class Block(nn.Module):
    def __init__(self, width: int, num_heads: int, hidden: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = LayerNorm(width), SelfAttention(width, num_heads)
        self.mlp_norm = LayerNorm(width)
        self.up, self.down = (
            nn.Linear(width, hidden, bias=False),
            nn.Linear(hidden, width, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x))))


class NanoGPT(nn.Module):
    """ids [B, T] -> logits [B, T, V]."""

    def __init__(self, settings: ModelSettings, vocabulary_size: int) -> None:
        super().__init__()
        D, hidden = settings.width, 3 * settings.num_neurons // 2
        self.tokens, self.positions = (
            nn.Embedding(vocabulary_size, D),
            nn.Embedding(settings.context_length, D),
        )
        self.blocks = nn.ModuleList(
            [Block(D, settings.num_heads, hidden) for _ in range(settings.num_layers)]
        )
        self.norm = LayerNorm(D)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids_BT: Tensor) -> Tensor:
        x = self.tokens(ids_BT) + self.positions(
            torch.arange(ids_BT.shape[1], device=ids_BT.device)
        )
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)
