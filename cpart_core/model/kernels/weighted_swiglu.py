"""silu(gate) * up at each segment's weight, forward and backward: compiled CPU kernels on a
CPU, torch's operations elsewhere.

gate_up [P, 2N] holds gate and up of N neurons side by side, of which the last S * n are S segments;
weight [P, S], None where all count fully.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cpart_core.model.kernels.cpu.use import uses_cpu_kernels


class Backward(NamedTuple):
    """hidden [P, N], again and as it counts; gradients of gate_up [P, 2N] and of weight [P, S]."""

    hidden: Tensor
    d_gate_up: Tensor
    d_weight: Tensor


def hidden_of(gate_up: Tensor, weight: Tensor | None, n: int, out: Tensor | None = None) -> Tensor:
    """[P, N] hidden activations as they count; out: where they are written."""
    if uses_cpu_kernels(gate_up):
        # late: numba takes a moment to import
        from cpart_core.model.kernels.cpu import numbers, swiglu

        hidden = gate_up.new_empty(len(gate_up), gate_up.shape[1] // 2) if out is None else out
        numbers.run(swiglu.forward, gate_up, given(weight, gate_up), n, hidden)
        return hidden
    gate, up = gate_up.chunk(2, dim=-1)
    opened = F.silu(gate)
    return scaled(torch.mul(opened, up, out=opened if out is None else out), weight, n)


def hidden_backward(
    gate_up: Tensor, d_hidden: Tensor, weight: Tensor | None, n: int, out: Backward | None = None
) -> Backward:
    """From d_hidden [P, N], the gradient of what `hidden_of` returned; out: where all is
    written."""
    weight = given(weight, gate_up)
    found = out or Backward(
        torch.empty_like(d_hidden), torch.empty_like(gate_up), torch.empty_like(weight)
    )
    if uses_cpu_kernels(gate_up):
        from cpart_core.model.kernels.cpu import numbers, swiglu

        numbers.run(swiglu.backward, gate_up, d_hidden, weight, n, *found)
        return found
    gate, up = gate_up.chunk(2, dim=-1)
    opened = F.silu(gate)
    d_gate, d_up = found.d_gate_up.chunk(2, dim=-1)
    hidden = torch.mul(opened, up, out=found.hidden)
    torch.sum(segments(hidden * d_hidden, weight, n), dim=-1, out=found.d_weight)
    scaled(hidden, weight, n)
    d_hidden = scaled(d_hidden.clone(), weight, n)
    torch.mul(d_hidden, opened, out=d_up)
    torch.ops.aten.silu_backward.grad_input(d_hidden.mul_(up), gate, grad_input=d_gate)
    return found


def contribution_of(hidden: Tensor, d_hidden: Tensor) -> Tensor:
    """[P, N] |a dL/da|, from the activations as they count and their gradient: the weight is in
    one of the two either way."""
    return (hidden * d_hidden).abs_()


def given(weight: Tensor | None, gate_up: Tensor) -> Tensor:
    return gate_up.new_empty(len(gate_up), 0) if weight is None else weight.contiguous()


def segments(hidden: Tensor, weight: Tensor, n: int) -> Tensor:
    """[P, S, n] the part of hidden [P, N] that lies in segments."""
    S = weight.shape[1]
    return hidden[:, hidden.shape[1] - S * n :].unflatten(1, (S, n))


def scaled(hidden: Tensor, weight: Tensor | None, n: int) -> Tensor:
    """In place."""
    if weight is not None and weight.shape[1]:
        segments(hidden, weight, n).mul_(weight[..., None])
    return hidden
