"""The steps from queries to chosen segments, all in fp32: autograd functions over compiled CPU
kernels on a CPU, torch's operations elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cpart_core.model.kernels.cpu.use import uses_cpu_kernels

ROWS = 256
"""Whose gradients of the keys are summed together."""


def mean_so_far(x_BTF: Tensor, start_BT: Tensor) -> Tensor:
    """The mean of x over the positions from start to each one. For a CPU: by a kernel."""
    y: Tensor = MeanSoFar.apply(x_BTF, start_BT)
    return y


def compare(query: Tensor, keys_SF: Tensor, scale: float) -> Tensor:
    """[..., S]: softmax of scale times queries [..., F], scaled to root mean square 1, times
    keys."""
    if not uses_cpu_kernels(query):
        query = F.rms_norm(query, query.shape[-1:])
        return (F.linear(query, keys_SF) * scale).softmax(dim=-1)
    alpha: Tensor = Compare.apply(query.flatten(0, -2), keys_SF, scale)
    return alpha.unflatten(0, query.shape[:-1])


def choose(alpha: Tensor, top_k: int, scale: float) -> tuple[Tensor, Tensor]:
    """(weight [..., S]: scale times alpha where it is among the k greatest, else 0; chosen [...,
    k])."""
    if not uses_cpu_kernels(alpha):
        chosen = first_greatest(alpha, top_k)
        mask = torch.zeros_like(alpha).scatter(-1, chosen, 1.0)
        return alpha * mask * scale, chosen
    weight, chosen = Choose.apply(alpha.flatten(0, -2), top_k, scale)
    return weight.view(alpha.shape), chosen.unflatten(0, alpha.shape[:-1])


def first_greatest(alpha: Tensor, top_k: int) -> Tensor:
    """[..., k] the segments with the greatest alpha, of equals the first ones: as `choose` has
    them, so that everybody chooses alike."""
    return alpha.sort(dim=-1, descending=True, stable=True).indices[..., :top_k]


class MeanSoFar(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, start: Tensor) -> Tensor:
        # late: numba takes a moment to import
        from cpart_core.model.kernels.cpu import numbers, route

        x, start = x.contiguous(), start.contiguous()
        y = torch.empty_like(x)
        numbers.run(route.mean, x, start, y)
        ctx.save_for_backward(start)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        from cpart_core.model.kernels.cpu import numbers, route

        dy = dy.contiguous()
        dx = torch.empty_like(dy)
        numbers.run(route.mean_backward, dy, *ctx.saved_tensors, dx)
        return dx, None


class Compare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, scale: float) -> Tensor:
        from cpart_core.model.kernels.cpu import numbers, route

        # a tensor lent to numpy cannot be freed by FSDP2 any more
        query, keys = query.contiguous(), keys.clone()
        alpha, length = query.new_empty(len(query), len(keys)), query.new_empty(len(query))
        numbers.run(route.compare, query, keys, scale, alpha, length)
        ctx.scale = scale
        ctx.save_for_backward(query, keys, alpha, length)
        return alpha

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_alpha: Tensor) -> tuple[Tensor | None, ...]:
        from cpart_core.model.kernels.cpu import numbers, route

        query, keys, alpha, length = ctx.saved_tensors
        d_query, d_keys = (
            torch.empty_like(query),
            keys.new_empty(-(-len(query) // ROWS), *keys.shape),
        )
        numbers.run(
            route.compare_backward,
            query,
            keys,
            ctx.scale,
            alpha,
            length,
            d_alpha.contiguous(),
            d_query,
            d_keys,
        )
        return d_query, d_keys.sum(dim=0), None


class Choose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, alpha: Tensor, top_k: int, scale: float) -> tuple[Tensor, Tensor]:
        from cpart_core.model.kernels.cpu import numbers, route

        alpha = alpha.contiguous()
        weight, chosen = (
            torch.empty_like(alpha),
            alpha.new_empty(len(alpha), top_k, dtype=torch.long),
        )
        numbers.run(route.choose, alpha, scale, chosen, weight)
        ctx.scale = scale
        ctx.save_for_backward(chosen)
        ctx.mark_non_differentiable(chosen)
        return weight, chosen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_weight: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        from cpart_core.model.kernels.cpu import numbers, route

        (chosen,) = ctx.saved_tensors
        d_weight = d_weight.contiguous()
        d_alpha = torch.empty_like(d_weight)
        numbers.run(route.choose_backward, d_weight, ctx.scale, chosen, d_alpha)
        return d_alpha, None, None
