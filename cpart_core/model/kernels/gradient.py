"""Gradients of the weights of a layer whose neurons are all computed: products over tokens, whose
left side lies the wrong way round.

oneDNN's bf16 products take up to twice as long with such a left side. Where compiled CPU kernels
are used, what has the layer's width is transposed first, and for gate and up multiplied from the
left, so that their gradients are transposed while they are cast.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cpart_core.model.kernels.cpu.use import uses_cpu_kernels
from cpart_core.model.kernels.work import Work


def weight_gradients(
    work: Work, x: Tensor, d_gate_up: Tensor, dy: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of w_gate and w_up [N, D] and w_down [D, N] as they are kept, from x and dy [T, D], d_gate_up
    [T, 2N] and hidden [T, N]."""
    kept_as = work.w_gate.dtype
    if x.dtype == kept_as or not uses_cpu_kernels(x):
        d_gate, d_up = torch.mm(d_gate_up.T, x).to(kept_as).chunk(2)
        return d_gate, d_up, torch.mm(dy.T, hidden).to(kept_as)
    # late: numba takes a moment to import
    from cpart_core.model.kernels.cpu import numbers, transpose

    d_gate, d_up = (
        torch.empty_like(weight, memory_format=torch.contiguous_format)
        for weight in (work.w_gate, work.w_up)
    )
    numbers.run(transpose.gate_and_up, torch.mm(transposed(x), d_gate_up), d_gate, d_up)
    return d_gate, d_up, torch.mm(transposed(dy), hidden).to(kept_as)


def transposed(matrix: Tensor) -> Tensor:
    """[C, R], contiguous, of matrix [R, C]."""
    from cpart_core.model.kernels.cpu import numbers, transpose

    out = matrix.new_empty(matrix.shape[1], matrix.shape[0])
    numbers.run(transpose.transpose, matrix.contiguous(), out)
    return out
