"""RMSNorm (arXiv 1910.07467) that hands its output to products in another number format, in one pass over memory each way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 256
"""Whose gradients of the weight are summed together."""


def rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x [..., D] normalised, in `dtype`; computed in fp32. On a CPU only."""
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = RMSNorm.apply(x, weight, eps, dtype)
    return y


class RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        from cpart_core.model.passes import norm, numbers  # late: numba takes a moment to import

        flat = x.flatten(0, -2).contiguous()
        scale = flat.new_empty(len(flat), dtype=torch.float32)
        y = flat.new_empty(flat.shape, dtype=dtype)
        weight = weight.clone()  # a tensor lent to numpy cannot be freed by FSDP2 any more
        numbers.run(norm.forward, flat, weight, eps, y, scale)
        ctx.save_for_backward(flat, weight, scale)
        return y.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from cpart_core.model.passes import norm, numbers

        x, weight, scale = ctx.saved_tensors
        dx, d_weight = torch.empty_like(x), weight.new_empty(-(-len(x) // ROWS), len(weight))
        numbers.run(norm.backward, x, weight, scale, dy.flatten(0, -2).contiguous(), dx, d_weight)
        return dx.view(dy.shape), d_weight.sum(dim=0), None, None
