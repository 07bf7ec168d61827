"""Causal self-attention with rotary positions and grouped-query heads, laid out as in Llama (arXiv
2302.13971, 2305.13245)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpart_core.model.cache import LayerCache
from cpart_core.model.kernels.cpu.use import pays
from cpart_core.model.rotary_attention import LONGEST, rotary_attention
from cpart_core.settings.model import ModelSettings


def rotary_angles(length: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """cos and sin [length, head_width] of RoPE (arXiv 2104.09864, eq. 34), halves rotated together
    as Llama's public code does."""
    frequency = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x_BHTd: Tensor, cos_Td: Tensor, sin_Td: Tensor) -> Tensor:
    """Turn each pair (i, i + d/2) by its position's angle."""
    first, second = x_BHTd.chunk(2, dim=-1)
    return x_BHTd * cos_Td + torch.cat([-second, first], dim=-1) * sin_Td


class Attention(nn.Module):
    """Queries, keys and values in one product; w_qkv [(H + 2 KV) d, D] holds q, k, v in this
    order."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = settings.num_heads, settings.num_kv_heads
        self.head_width = settings.width // settings.num_heads
        self.w_qkv = nn.Parameter(
            torch.empty((self.num_heads + 2 * self.num_kv_heads) * self.head_width, settings.width)
        )
        self.w_out = nn.Parameter(torch.empty(settings.width, settings.width))
        self.compute: Callable[[Tensor, Tensor, Tensor, int], Tensor] = rotary_attention
        """Where `by_row` says so. Compiled layers (training/compile_layers.py) keep it out of what
        is compiled."""

    def forward(
        self, x_BTD: Tensor, cos_Td: Tensor, sin_Td: Tensor, cache: LayerCache | None = None
    ) -> Tensor:
        B, T, _ = x_BTD.shape
        qkv_BTE = F.linear(x_BTD, self.w_qkv)
        if cache is None and self.by_row(qkv_BTE):
            return F.linear(self.compute(qkv_BTE, cos_Td, sin_Td, self.num_heads), self.w_out)
        qkv = qkv_BTE.view(B, T, -1, self.head_width).transpose(1, 2)
        q, k, v = qkv.split([self.num_heads, self.num_kv_heads, self.num_kv_heads], dim=1)
        cos_Td, sin_Td = cos_Td.to(q.dtype), sin_Td.to(q.dtype)
        q, k = rotate(q, cos_Td, sin_Td), rotate(k, cos_Td, sin_Td)
        mask = None
        if cache is not None:
            k, v = cache.extend(k, v)
            before = k.shape[2] - T
            if T > 1 and before:
                mask = torch.ones(T, k.shape[2], dtype=torch.bool, device=x_BTD.device).tril(before)
        causal = T > 1 and mask is None
        y = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            is_causal=causal,
            enable_gqa=self.num_heads != self.num_kv_heads,
        )
        return F.linear(y.transpose(1, 2).reshape(B, T, -1), self.w_out)

    def by_row(self, qkv_BTE: Tensor) -> bool:
        """Whether backward follows and our own attention is the faster one: bf16 on a CPU, and not
        too small."""
        ours = pays(qkv_BTE) and qkv_BTE.dtype == torch.bfloat16 and qkv_BTE.requires_grad
        return ours and self.num_heads == self.num_kv_heads and qkv_BTE.shape[1] <= LONGEST
