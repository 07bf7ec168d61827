"""Causal self-attention with rotary positions and grouped-query heads, laid out as in Llama (arXiv
2302.13971, 2305.13245)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpart_core.model.attended import LayerStates
from cpart_core.model.cache import LayerCache
from cpart_core.model.kernels.cpu.use import pays
from cpart_core.model.rotary_attention import LONGEST, rotary_attention
from cpart_core.model.rotary_positions import rotate
from cpart_core.settings.model import ModelSettings


class Attention(nn.Module):
    """Queries, keys and values in one product; w_qkv [(H + 2 KV) d, D] holds q, k, v in this
    order."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = settings.num_heads, settings.num_kv_heads
        self.head_width, self.rope_base = settings.width // settings.num_heads, settings.rope_base
        self.w_qkv = nn.Parameter(
            torch.empty((self.num_heads + 2 * self.num_kv_heads) * self.head_width, settings.width)
        )
        self.w_out = nn.Parameter(torch.empty(settings.width, settings.width))
        self.compute: Callable[[Tensor, Tensor, Tensor, int], Tensor] = rotary_attention
        """Where `by_row` says so. Compiled layers (training/compile_layers.py) keep it out of what
        is compiled."""

    def forward(
        self,
        x_BTD: Tensor,
        cos_Td: Tensor,
        sin_Td: Tensor,
        cache: LayerCache | None = None,
        states: LayerStates | None = None,
        position: int = 0,
    ) -> Tensor:
        """position: of the first token given; only `states`, which the tokens attend beside the
        text, ask for it."""
        B, T, _ = x_BTD.shape
        qkv_BTE = F.linear(x_BTD, self.w_qkv)
        if cache is None and states is None and self.by_row(qkv_BTE):
            return F.linear(self.compute(qkv_BTE, cos_Td, sin_Td, self.num_heads), self.w_out)
        qkv = qkv_BTE.view(B, T, -1, self.head_width).transpose(1, 2)
        q, k, v = qkv.split([self.num_heads, self.num_kv_heads, self.num_kv_heads], dim=1)
        cos_Td, sin_Td = cos_Td.to(q.dtype), sin_Td.to(q.dtype)
        q, k = rotate(q, cos_Td, sin_Td), rotate(k, cos_Td, sin_Td)
        mask = None
        if cache is not None:
            k, v = cache.extend(k, v)
        seen = k.shape[2]
        if states is not None:
            asking = torch.arange(position, position + T, device=x_BTD.device)
            mask = states.scores_mask(asking, seen, q.dtype)
            k, v = states.before_text(k, v, self.rope_base)
        elif T > 1 and seen > T:
            mask = torch.ones(T, seen, dtype=torch.bool, device=x_BTD.device).tril(seen - T)
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
