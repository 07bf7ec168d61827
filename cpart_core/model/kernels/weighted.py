"""All segments in one product, hidden activations scaled by their segment's weight: soft fusion, the plain dense layer, and top-k by zeros.

Autograd would keep gate, silu(gate), up, hidden and the scaled hidden of every neuron. Here the first three are kept and the rest is
computed again in backward, block by block, so that a block stays in the cache: less memory than the dense layer, and about its time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cpart_core.model.kernels.work import Work

BLOCK_BYTES = 1 << 18
"""Of one hidden block on a CPU: the four that backward works on at a time stay in the second-level cache."""


def weighted(work: Work) -> Tensor:
    """[T, D]"""
    y: Tensor = Weighted.apply(work.x, work.weight, work.w_gate, work.w_up, work.w_down, work)
    return y


def block_rows(x: Tensor, num_neurons: int) -> int:
    """Tokens of a block; all of them on a GPU, which starts kernels slower than it computes them."""
    return max(64, BLOCK_BYTES // (num_neurons * x.element_size())) if x.device.type == "cpu" else len(x)


def divided(hidden: Tensor, work: Work) -> Tensor:
    """[rows, S, n] the part of hidden activations [rows, N] that lies in segments."""
    return hidden[:, work.layout.num_shared :].unflatten(1, (work.layout.num_segments, work.layout.segment_size))


class Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, w_gate: Tensor, w_up: Tensor, w_down: Tensor, work: Work) -> Tensor:
        gate_weight, up_weight, down_weight = (tensor.to(x.dtype) for tensor in (w_gate, w_up, w_down))
        gate, up = torch.mm(x, gate_weight.T), torch.mm(x, up_weight.T)
        opened, hidden = torch.empty_like(gate), torch.empty_like(gate)
        scale = None if weight is None else weight.to(x.dtype)[..., None]
        step = block_rows(x, len(w_gate))
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            torch.ops.aten.silu.out(gate[rows], out=opened[rows])
            torch.mul(opened[rows], up[rows], out=hidden[rows])
            if scale is not None:
                divided(hidden[rows], work).mul_(scale[rows])
        ctx.work = work
        ctx.save_for_backward(x, weight, gate_weight, up_weight, down_weight, gate, up, opened)
        return torch.mm(hidden, down_weight.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gate_weight, up_weight, down_weight, gate, up, opened = ctx.saved_tensors
        work = ctx.work
        d_gate, d_up, hidden = torch.mm(dy, down_weight), torch.empty_like(up), torch.empty_like(up)
        d_weight = None if weight is None else torch.empty_like(weight)
        scale = None if weight is None else weight.to(x.dtype)[..., None]
        step = block_rows(x, gate.shape[1])
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            d_hidden, block = d_gate[rows], hidden[rows]
            torch.mul(opened[rows], up[rows], out=block)
            if work.contribution is not None:
                tell(work, block * d_hidden, None if scale is None else scale[rows], first)
            if d_weight is not None and scale is not None:
                torch.sum(divided(block * d_hidden, work), -1, dtype=d_weight.dtype, out=d_weight[rows])
                divided(block, work).mul_(scale[rows])
                divided(d_hidden, work).mul_(scale[rows])
            torch.mul(d_hidden, opened[rows], out=d_up[rows])
            torch.ops.aten.silu_backward.grad_input(d_hidden.mul_(up[rows]), gate[rows], grad_input=d_hidden)
        gradients = (torch.mm(d.T, right) for d, right in ((d_gate, x), (d_up, x), (dy, hidden)))
        kinds = (work.w_gate.dtype, work.w_up.dtype, work.w_down.dtype)
        dx = torch.mm(d_gate, gate_weight).addmm_(d_up, up_weight)
        return dx, d_weight, *(gradient.to(kind) for gradient, kind in zip(gradients, kinds, strict=True)), None


def tell(work: Work, product: Tensor, scale: Tensor | None, first: int) -> None:
    """The listener of a block of tokens; product [rows, N]: activation times its gradient before weighting."""
    assert work.contribution is not None
    if scale is not None:
        divided(product, work).mul_(scale)
    work.contribution(0, product.abs_(), torch.arange(first, first + len(product), device=product.device))
