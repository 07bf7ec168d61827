"""Causal rotary attention as one autograd function, for training in bf16 on a CPU, where the
backward of torch's own is slower than in fp32.

Row by row and a block of queries at a time, so that scores stay near and no key behind a block is
read; between the products compiled CPU kernels. Positions, scores and their softmax are fp32, the
products with values and gradients bf16 (AMX tiles). The probabilities are kept, in bf16, hence the
longest text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

QUERIES = 256
"""In a block: as many as the products are quick with."""
LONGEST = 512
"""Tokens. Beyond it the kept probabilities would outweigh all other activations; torch's own keeps
none."""


def rotary_attention(qkv_BTE: Tensor, cos_Td: Tensor, sin_Td: Tensor, num_heads: int) -> Tensor:
    """[B, T, D] from bf16 qkv [B, T, 3 D] (as many key and value heads as heads), before the output
    product."""
    half = qkv_BTE.shape[2] // (6 * num_heads)
    with torch.autocast(qkv_BTE.device.type, enabled=False):
        y: Tensor = RotaryAttention.apply(
            qkv_BTE, cos_Td[:, :half].contiguous(), sin_Td[:, :half].contiguous(), num_heads
        )
    return y


class RotaryAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, num_heads: int) -> Tensor:
        from cpart_core.model.kernels.cpu import numbers

        # late: numba takes a moment to import
        from cpart_core.model.kernels.cpu import rotary as attention

        B, T, E = qkv.shape
        H, d = num_heads, E // (3 * num_heads)
        kept = [qkv.new_empty(B, H, part.stop - part.start, seen) for part, seen in blocks(T)]
        q, k, v = (
            qkv.new_empty(H, T, d, dtype=torch.float32),
            qkv.new_empty(H, T, d, dtype=torch.float32),
            qkv.new_empty(H, T, d),
        )
        y = qkv.new_empty(B, T, E // 3)
        for number, (row, out) in enumerate(zip(qkv, y, strict=True)):
            numbers.run(attention.heads, row, cos, sin, d**-0.5, q, k, v)
            out_HTd = out.view(T, H, d).transpose(0, 1)
            for (part, seen), keep in zip(blocks(T), kept, strict=True):
                score = torch.bmm(q[:, part], k[:, :seen].transpose(1, 2))
                numbers.run(attention.softmax, score, keep[number])
                out_HTd[:, part] = torch.bmm(keep[number], v[:, :seen])
        ctx.num_heads = H
        ctx.save_for_backward(qkv, cos, sin, *kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from cpart_core.model.kernels.cpu import numbers
        from cpart_core.model.kernels.cpu import rotary as attention

        qkv, cos, sin, *kept = ctx.saved_tensors
        H, T = ctx.num_heads, qkv.shape[1]
        d = qkv.shape[2] // (3 * H)
        d_qkv = torch.empty_like(qkv)
        back = -sin
        q, k, v, dq, dk, dv = qkv.new_empty(6, H, T, d)
        for number, (row, d_row, dy_row) in enumerate(zip(qkv, d_qkv, dy, strict=True)):
            numbers.run(attention.heads, row, cos, sin, d**-0.5, q, k, v)
            d_out = dy_row.view(T, H, d).transpose(0, 1).contiguous()
            # the last block sees every key
            for (part, seen), keep in reversed(list(zip(blocks(T), kept, strict=True))):
                p = keep[number]
                d_p = torch.bmm(d_out[:, part], v[:, :seen].transpose(1, 2))
                into(dv, seen, p.transpose(1, 2), d_out[:, part])
                numbers.run(attention.softmax_backward, p, d_p)
                into(dk, seen, d_p.transpose(1, 2), q[:, part])
                dq[:, part] = torch.bmm(d_p, k[:, :seen])
            numbers.run(attention.heads_backward, dq, dk, dv, cos, back, d**-0.5, d_row)
        return d_qkv, None, None, None


def into(sums: Tensor, seen: int, left: Tensor, right: Tensor) -> None:
    """The product of a block, added to sums [H, T, d] of the keys seen; the block that sees all
    comes first."""
    if seen == sums.shape[1]:
        torch.bmm(left, right, out=sums)
    else:
        sums[:, :seen] += torch.bmm(left, right)


def blocks(length: int) -> Iterator[tuple[slice, int]]:
    """(queries of a block, how many keys they see at most)."""
    for first in range(0, length, QUERIES):
        last = min(first + QUERIES, length)
        yield slice(first, last), last
