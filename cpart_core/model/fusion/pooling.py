"""What fusions compute with: the causal mean over a document, and queries in full precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cpart_core.model.fusion.base import PooledSum
from cpart_core.model.kernels.cpu.use import uses_cpu_kernels
from cpart_core.model.kernels.routing import mean_so_far


def causal_mean(
    x_BTF: Tensor, start_BT: Tensor | None, cache: PooledSum | None = None, read: int = 0
) -> Tensor:
    """Mean of x over the positions of the same document up to and including each one. Never looks
    ahead.

    start_BT is the position at which each token's document begins; None means one document that
    began `read` tokens before this input, whose sum so far is in the cache.
    """
    if start_BT is not None and uses_cpu_kernels(x_BTF):
        return mean_so_far(x_BTF.float(), start_BT)
    total = x_BTF.float().cumsum(dim=1)
    position = torch.arange(x_BTF.shape[1], device=x_BTF.device)
    if start_BT is None:
        if cache is not None:
            if cache.query_sum is not None:
                total = total + cache.query_sum
            cache.query_sum = total[:, -1:]
        return total / (position + 1 + read)[:, None]
    before = F.pad(total, (0, 0, 1, 0)).gather(
        1, start_BT[:, :, None].expand(-1, -1, x_BTF.shape[2])
    )
    return (total - before) / (position - start_BT + 1)[:, :, None]


def query_of(x_BTD: Tensor, w_query: Tensor) -> Tensor:
    """[B, T, F] in fp32, whatever number format x comes in."""
    if x_BTD.dtype == torch.float32:
        return F.linear(x_BTD, w_query)
    query: Tensor = Query.apply(x_BTD, w_query)
    return query


class Query(torch.autograd.Function):
    """The fp32 product of an x in fewer bits, which decides what is chosen; its gradients are
    products in the number format of x, as all others.

    Autograd would keep the fp32 copy of x, the greatest thing that fusion keeps; this keeps x as it
    came, which the feed-forward layer keeps anyway.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w_query: Tensor) -> Tensor:
        ctx.save_for_backward(x, w_query)
        return F.linear(x.float(), w_query)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_query: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, w_query = ctx.saved_tensors
        d_query = d_query.to(x.dtype)
        dx = d_query @ w_query.to(x.dtype) if ctx.needs_input_grad[0] else None
        d_weight = (
            (d_query.flatten(0, -2).T @ x.flatten(0, -2)).to(w_query.dtype)
            if ctx.needs_input_grad[1]
            else None
        )
        return dx, d_weight
