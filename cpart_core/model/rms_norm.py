"""RMSNorm (arXiv 1910.07467), on a CPU by a compiled pass each way, which also rounds where the
products are in bf16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cpart_core.model.kernels.cpu.use import uses_cpu_kernels

ROWS = 256
"""Whose gradients of the weight are summed together."""


def rounds(device: torch.device) -> bool:
    """Whether products are made in bf16 here."""
    return (
        torch.is_autocast_enabled(device.type)
        and torch.get_autocast_dtype(device.type) == torch.bfloat16
    )


class Norm(nn.RMSNorm):
    """torch's, by another way where that is quicker."""

    def forward(self, x: Tensor) -> Tensor:
        if uses_cpu_kernels(x) and self.eps is not None:
            return rms_norm(
                x, self.weight, self.eps, torch.bfloat16 if rounds(x.device) else x.dtype
            )
        return super().forward(x)


def rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x [..., D] normalised, in `dtype`; computed in fp32. On a CPU only."""
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = RMSNorm.apply(x, weight, eps, dtype)
    return y


class RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        # late: numba takes a moment to import
        from cpart_core.model.kernels.cpu import norm, numbers

        flat = x.flatten(0, -2).contiguous()
        # FSDP2 cannot free what was lent to numpy
        ctx.kept_as, weight = weight.dtype, weight.to(torch.float32, copy=True)
        scale = torch.empty(len(flat))
        y = flat.new_empty(flat.shape, dtype=dtype)
        numbers.run(norm.forward, flat, weight, eps, y, scale)
        ctx.save_for_backward(flat, weight, scale)
        return y.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from cpart_core.model.kernels.cpu import norm, numbers

        x, weight, scale = ctx.saved_tensors
        dx, d_weight = torch.empty_like(x), weight.new_empty(-(-len(x) // ROWS), len(weight))
        numbers.run(norm.backward, x, weight, scale, dy.flatten(0, -2).contiguous(), dx, d_weight)
        return dx.view(dy.shape), d_weight.sum(dim=0).to(ctx.kept_as), None, None
