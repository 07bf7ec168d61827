"""RMSNorm (arXiv 1910.07467) of rows, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from cpart_core.model.kernels.cpu.numbers import compiled, one, prange, put, widened


@compiled
def forward(x: Any, weight: Any, eps: Any, y: Any, scale: Any) -> None:
    """Fills y [P, D] with x [P, D] / its root mean square * weight [D], and scale [P] with one over
    the root mean square."""
    P, D = x.shape
    for row in prange(P):
        given, out = x[row], y[row]
        total = np.float32(0)
        for i in range(D):
            total += widened(given[i]) * widened(given[i])
        by = one / np.sqrt(total / np.float32(D) + np.float32(eps))
        scale[row] = by
        for i in range(D):
            put(out, i, widened(given[i]) * by * weight[i])


@compiled
def backward(x: Any, weight: Any, scale: Any, dy: Any, dx: Any, d_weight: Any) -> None:
    """Fills dx [P, D], and d_weight [G, D] with the gradients of weight of G equal groups of rows,
    to be summed."""
    P, D = x.shape
    G = d_weight.shape[0]
    size = -(-P // G)
    for group in prange(G):
        summed = d_weight[group]
        for i in range(D):
            summed[i] = np.float32(0)
        for row in range(group * size, min(P, (group + 1) * size)):
            given, d, out, by = x[row], dy[row], dx[row], scale[row]
            along = np.float32(0)
            for i in range(D):
                product = widened(d[i]) * widened(given[i])
                along += product * weight[i]
                summed[i] += product * by
            along *= by * by / np.float32(D)
            for i in range(D):
                put(out, i, by * (widened(d[i]) * weight[i] - widened(given[i]) * along))
