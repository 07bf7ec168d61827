"""RMSNorm (arXiv 1910.07467) that hands its output to products in another number format, in one pass over memory each way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 512
"""Worked on at once, so that what lies between two operations stays in the cache."""


def rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x [..., D] normalised, in `dtype`; computed in fp32."""
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = RMSNorm.apply(x, weight, eps, dtype)
    return y


class RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        flat = x.flatten(0, -2)
        scale = torch.linalg.vector_norm(flat, dim=-1, keepdim=True).square_().div_(flat.shape[1]).add_(eps).rsqrt_()
        y = flat.new_empty(flat.shape, dtype=dtype)
        for rows, rows_scale, out in zip(flat.split(ROWS), scale.split(ROWS), y.split(ROWS), strict=True):
            out.copy_((rows * rows_scale).mul_(weight))
        ctx.save_for_backward(flat, weight, scale)
        return y.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        dx, d_weight = torch.empty_like(x), torch.zeros_like(weight)
        ones = weight.new_ones(min(ROWS, len(x)))
        parts = (x, scale, dy.flatten(0, -2), dx)
        for rows, rows_scale, rows_dy, out in zip(*(part.split(ROWS) for part in parts), strict=True):
            normal = rows * rows_scale
            out.copy_(rows_dy)
            product = out * normal
            d_weight.addmv_(product.T, ones[: len(rows)])
            along = torch.mv(product, weight).div_(-x.shape[1])[:, None]
            out.mul_(weight).addcmul_(normal, along).mul_(rows_scale)
        return dx.view(dy.shape), d_weight, None, None
