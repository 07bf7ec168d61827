"""Causal rotary attention as one autograd function, for training in bf16 on a CPU, where the backward of torch's own is slower than in fp32.

Row by row and a block of queries at a time, so that scores stay in the cache and no key behind a block is read. Positions, scores and their
softmax are fp32, the products with values and gradients bf16 (AMX tiles). The probabilities are kept, in bf16, hence the longest text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

QUERIES = 128
"""In a block."""
LONGEST = 512
"""Tokens. Beyond it the kept probabilities would outweigh all other activations; torch's own keeps none."""


def rotary_attention(qkv_BTE: Tensor, cos_Td: Tensor, sin_Td: Tensor, num_heads: int) -> Tensor:
    """[B, T, D] from bf16 qkv [B, T, 3 D] (as many key and value heads as heads), before the output product."""
    half = qkv_BTE.shape[2] // (6 * num_heads)
    with torch.autocast(qkv_BTE.device.type, enabled=False):
        y: Tensor = RotaryAttention.apply(qkv_BTE, cos_Td[:, :half].contiguous(), sin_Td[:, :half].contiguous(), num_heads)
    return y


class RotaryAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, num_heads: int) -> Tensor:
        B, T, E = qkv.shape
        kept = [qkv.new_empty(B, num_heads, part.stop - part.start, seen) for part, seen in blocks(T)]
        scores = [qkv.new_empty(block.shape[1:], dtype=torch.float32) for block in kept]
        y = qkv.new_empty(B, T, E // 3)
        bias = torch.full((min(T, QUERIES),) * 2, float("-inf"), device=qkv.device).triu_(1)
        for number, (row, out) in enumerate(zip(qkv, y, strict=True)):
            q, k, v = rotated(row, cos, sin, num_heads)
            out_HTd = out.view(T, num_heads, -1).transpose(0, 1)
            for (part, seen), score, keep in zip(blocks(T), scores, kept, strict=True):
                torch.bmm(q[:, part], k[:, :seen].transpose(1, 2), out=score)
                Q = score.shape[1]
                score[:, :, -Q:] += bias[:Q, :Q]  # the last keys are the queries' own positions
                keep[number] = torch.softmax(score, -1, out=score)
                out_HTd[:, part] = torch.bmm(keep[number], v[:, :seen])
        ctx.num_heads = num_heads
        ctx.save_for_backward(qkv, cos, sin, *kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        qkv, cos, sin, *kept = ctx.saved_tensors
        H, T = ctx.num_heads, qkv.shape[1]
        d_qkv = torch.empty_like(qkv)
        for number, (row, d_row, dy_row) in enumerate(zip(qkv, d_qkv, dy, strict=True)):
            q, k, v = rotated(row, cos, sin, H)
            q, k = q.to(qkv.dtype), k.to(qkv.dtype)
            d_out = dy_row.view(T, H, -1).transpose(0, 1).contiguous()
            d = torch.zeros(3, *q.shape, device=q.device)
            for (part, seen), keep in zip(blocks(T), kept, strict=True):
                p = keep[number]
                d_p = torch.bmm(d_out[:, part], v[:, :seen].transpose(1, 2))
                d_scores = torch.ops.aten._softmax_backward_data(d_p, p, -1, p.dtype)
                d[0, :, part] = torch.bmm(d_scores, k[:, :seen])
                d[1, :, :seen] += torch.bmm(d_scores.transpose(1, 2), q[:, part])
                d[2, :, :seen] += torch.bmm(p.transpose(1, 2), d_out[:, part])
            d[0] *= q.shape[-1] ** -0.5
            d[:2] = turned(d[:2], cos, -sin)
            d_row.view(T, 3, H, -1).copy_(d.permute(2, 0, 1, 3))
        return d_qkv, None, None, None


def blocks(length: int) -> Iterator[tuple[slice, int]]:
    """(queries of a block, how many keys they see at most)."""
    for first in range(0, length, QUERIES):
        last = min(first + QUERIES, length)
        yield slice(first, last), last


def rotated(row_TE: Tensor, cos_Th: Tensor, sin_Th: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (turned, over sqrt(d)), keys (turned), both fp32, and values, all [H, T, d], of one row."""
    parts = row_TE.view(len(row_TE), 3, num_heads, -1).permute(1, 2, 0, 3)
    q, k = turned(parts[:2].float(), cos_Th, sin_Th)
    return q.mul_(q.shape[-1] ** -0.5), k, parts[2].contiguous()


def turned(x: Tensor, cos_Th: Tensor, sin_Th: Tensor) -> Tensor:
    """Pairs (i, i + d/2) of x [..., T, d] turned by their position's angle."""
    first, second = x.chunk(2, dim=-1)
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    into_first, into_second = y.chunk(2, dim=-1)
    torch.mul(first, cos_Th, out=into_first).addcmul_(second, sin_Th, value=-1)
    torch.mul(second, cos_Th, out=into_second).addcmul_(first, sin_Th)
    return y
