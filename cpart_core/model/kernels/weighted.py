"""All segments in one product, hidden activations scaled by their segment's weight: soft fusion, the plain dense layer, and top-k by zeros.

Autograd would keep gate, silu(gate), up, hidden and the scaled hidden of every neuron. Here gate and up are kept alone and the rest is
computed again in backward, block by block, so that a block stays in the cache: less memory than the dense layer, and about its time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cpart_core.model.kernels.work import Work, hidden_backward, hidden_of

BLOCK_BYTES = 1 << 20
"""Of one hidden block on a CPU: the four that backward works on at a time stay in the second-level cache."""


def weighted(work: Work) -> Tensor:
    """[T, D]"""
    y: Tensor = Weighted.apply(work.x, work.weight, work.w_gate, work.w_up, work.w_down, work)
    return y


def block_rows(x: Tensor, num_neurons: int) -> int:
    """Tokens of a block; all of them on a GPU, which starts kernels slower than it computes them."""
    return max(64, BLOCK_BYTES // (num_neurons * x.element_size())) if x.device.type == "cpu" else len(x)


def spread_weight(work: Work, weight_TS: Tensor, rows: slice) -> Tensor:
    """[rows, N] weight of every neuron; 1 for the shared ones."""
    layout, part = work.layout, weight_TS[rows]
    wide = work.x.new_empty(len(part), len(work.w_gate))
    wide[:, : layout.num_shared] = 1.0
    wide[:, layout.num_shared :].unflatten(1, (layout.num_segments, layout.segment_size)).copy_(part[:, :, None])
    return wide


class Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, w_gate: Tensor, w_up: Tensor, w_down: Tensor, work: Work) -> Tensor:
        N, D = w_gate.shape
        w_gate_up = x.new_empty(2 * N, D)
        w_gate_up[:N].copy_(w_gate)
        w_gate_up[N:].copy_(w_up)
        down = w_down.to(x.dtype)
        gate_up = torch.mm(x, w_gate_up.T)
        hidden = x.new_empty(len(x), N)
        step = block_rows(x, N)
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            torch.mul(hidden_of(gate_up[rows]), 1.0 if weight is None else spread_weight(work, weight, rows), out=hidden[rows])
        ctx.work = work
        ctx.save_for_backward(x, weight, w_gate_up, down, gate_up)
        return torch.mm(hidden, down.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, w_gate_up, down, gate_up = ctx.saved_tensors
        work, N = ctx.work, down.shape[1]
        d_hidden = torch.mm(dy, down)
        d_gate_up, hidden = torch.empty_like(gate_up), torch.empty_like(d_hidden)
        d_weight = None if weight is None else torch.empty_like(weight)
        wanted = d_weight is not None or work.contribution is not None
        step = block_rows(x, N)
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            wide = None if weight is None else spread_weight(work, weight, rows)
            hidden[rows], product = hidden_backward(gate_up[rows], d_hidden[rows], wide, d_gate_up[rows], wanted)
            if product is not None and d_weight is not None:
                parts = product[:, work.layout.num_shared :].unflatten(1, (work.layout.num_segments, work.layout.segment_size))
                torch.sum(parts, -1, dtype=d_weight.dtype, out=d_weight[rows])
            if product is not None and work.contribution is not None:
                tokens = torch.arange(first, first + len(product), device=x.device)
                work.contribution(0, (product if wide is None else product * wide).abs_(), tokens)
        d_down = torch.mm(dy.T, hidden)
        d_both = torch.mm(d_gate_up.T, x).to(work.w_gate.dtype)
        return torch.mm(d_gate_up, w_gate_up), d_weight, d_both[:N], d_both[N:], d_down.to(work.w_down.dtype), None
