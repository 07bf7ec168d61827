"""silu(gate) * up, each row's segments at their weights, and its backward with the activations
computed again instead of kept.

gate_up [P, 2N]: gate and up of a row's N neurons side by side. weight [P, S]: the last S * n
neurons of a row are S segments of n neurons at these weights; those before count fully.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cpart_core.model.kernels.cpu.numbers import (
    compiled,
    inlined,
    one,
    prange,
    put,
    sigmoid,
    widened,
)


@inlined
def opened(gate: Any, up: Any, first: int, n: int, scale: Any, hidden: Any) -> None:
    """Of n neurons of one row from first on. Places are unsigned, so that the compiler need not
    think of those counted from the end."""
    for i in range(n):
        at = np.uint64(first) + np.uint64(i)
        g = widened(gate[at])
        put(hidden, at, g * sigmoid(g) * widened(up[at]) * scale)


@compiled
def forward(gate_up: Any, weight: Any, n: int, hidden: Any) -> None:
    """Fills hidden [P, N]."""
    P, N = hidden.shape
    S = weight.shape[1]
    shared = N - S * n
    for row in prange(P):
        gate, up, out = gate_up[row, :N], gate_up[row, N:], hidden[row]
        opened(gate, up, 0, shared, one, out)
        for segment in range(S):
            opened(gate, up, shared + segment * n, n, widened(weight[row, segment]), out)


@inlined
def closed(
    gate: Any,
    up: Any,
    d_hidden: Any,
    first: int,
    n: int,
    scale: Any,
    hidden: Any,
    d_gate: Any,
    d_up: Any,
) -> Any:
    """Of n neurons of one row from first on; returns the gradient of their scale."""
    d_scale = np.float32(0)
    for i in range(n):
        at = np.uint64(first) + np.uint64(i)
        g, u, d = widened(gate[at]), widened(up[at]), widened(d_hidden[at])
        gated = sigmoid(g)
        silu = g * gated
        activation = silu * u
        d_scale += activation * d
        put(hidden, at, activation * scale)
        d *= scale
        put(d_up, at, d * silu)
        put(d_gate, at, d * u * gated * (one + g - silu))
    return d_scale


@compiled
def backward(
    gate_up: Any, d_hidden: Any, weight: Any, n: int, hidden: Any, d_gate_up: Any, d_weight: Any
) -> None:
    """From d_hidden [P, N], the gradient of the scaled activations: fills them again (hidden),
    d_gate_up [P, 2N] and d_weight [P, S]."""
    P, N = hidden.shape
    S = weight.shape[1]
    shared = N - S * n
    for row in prange(P):
        gate, up, d, out = gate_up[row, :N], gate_up[row, N:], d_hidden[row], hidden[row]
        d_gate, d_up, d_scales = d_gate_up[row, :N], d_gate_up[row, N:], d_weight[row]
        closed(gate, up, d, 0, shared, one, out, d_gate, d_up)
        for segment in range(S):
            scale = widened(weight[row, segment])
            put(
                d_scales,
                segment,
                closed(gate, up, d, shared + segment * n, n, scale, out, d_gate, d_up),
            )
