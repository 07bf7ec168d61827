"""All segments in one product, hidden activations scaled by their segment's weight: soft fusion,
the plain dense layer, and top-k by zeros.

Autograd would keep gate, silu(gate), up, hidden and the scaled hidden of every neuron. Here gate
and up are kept and the rest is computed again in backward: less memory than the dense layer, and
about its time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cpart_core.model.kernels.gradient import weight_gradients
from cpart_core.model.kernels.weighted_swiglu import contribution_of, hidden_backward, hidden_of
from cpart_core.model.kernels.work import Work


def weighted(work: Work) -> Tensor:
    """[T, D]"""
    y: Tensor = Weighted.apply(work.x, work.weight, work.w_gate, work.w_up, work.w_down, work)
    return y


def into_hidden(work: Work) -> list[Tensor]:
    """Weights of gate and up in the number format of the products: one tensor [2N, D] where they
    are cast anyway, else the two as they are."""
    if work.x.dtype == work.w_gate.dtype:
        return [work.w_gate, work.w_up]
    both = work.x.new_empty(2 * len(work.w_gate), work.x.shape[1])
    for half, weight in zip(both.chunk(2), (work.w_gate, work.w_up), strict=True):
        half.copy_(weight)
    return [both]


class Weighted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        w_gate: Tensor,
        w_up: Tensor,
        w_down: Tensor,
        work: Work,
    ) -> Tensor:
        into, down = into_hidden(work), w_down.to(x.dtype)
        scale = None if weight is None else weight.to(x.dtype)
        gate_up = x.new_empty(len(x), 2 * len(w_gate))
        for part, out in zip(into, gate_up.chunk(len(into), dim=1), strict=True):
            torch.mm(x, part.T, out=out)
        ctx.work = work
        ctx.save_for_backward(x, scale, down, gate_up, *into)
        return torch.mm(hidden_of(gate_up, scale, work.layout.segment_size), down.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, down, gate_up, *into = ctx.saved_tensors
        work = ctx.work
        d_hidden = torch.mm(dy, down)
        hidden, d_gate_up, d_scale = hidden_backward(
            gate_up, d_hidden, scale, work.layout.segment_size
        )
        if work.contribution is not None:
            work.contribution(0, contribution_of(hidden, d_hidden), None)
        d_weight = None if work.weight is None else d_scale.to(work.weight.dtype)
        d_parts = d_gate_up.chunk(len(into), dim=1)
        dx = torch.mm(d_parts[0], into[0])
        for part, d_part in zip(into[1:], d_parts[1:], strict=True):
            dx.addmm_(d_part, part)
        if not any(ctx.needs_input_grad[2:5]):  # another part of the model is trained
            return dx, d_weight, None, None, None, None
        return dx, d_weight, *weight_gradients(work, x, d_gate_up, dy, hidden), None
