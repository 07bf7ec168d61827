"""silu(gate) * up, each row's segments at their weights, and its backward with the activations computed again instead of kept.

gate_up [P, 2N]: gate and up of a row's N neurons side by side. weight [P, S]: the last S * n neurons of a row are S segments of n neurons at
these weights; those before count fully.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cpart_core.model.passes.numbers import compiled, inlined, one, prange, put, sigmoid, widened


@inlined
def opened(gate: Any, up: Any, scale: Any, hidden: Any) -> None:
    """Of one segment of one row."""
    for i in range(len(hidden)):  # from 0, so that the compiler need not think of places counted from the end
        g = widened(gate[i])
        put(hidden, i, g * sigmoid(g) * widened(up[i]) * scale)


@compiled
def forward(gate_up: Any, weight: Any, n: int, hidden: Any) -> None:
    """Fills hidden [P, N]."""
    P, N = hidden.shape
    S = weight.shape[1]
    shared = N - S * n
    for row in prange(P):
        gate, up, out = gate_up[row, :N], gate_up[row, N:], hidden[row]
        opened(gate[:shared], up[:shared], one, out[:shared])
        for segment in range(S):
            first = shared + segment * n
            last = first + n
            opened(gate[first:last], up[first:last], widened(weight[row, segment]), out[first:last])


@inlined
def closed(gate: Any, up: Any, d_hidden: Any, scale: Any, hidden: Any, d_gate: Any, d_up: Any) -> Any:
    """Of one segment of one row; returns the gradient of its scale."""
    d_scale = np.float32(0)
    for i in range(len(hidden)):
        g, u, d = widened(gate[i]), widened(up[i]), widened(d_hidden[i])
        gated = sigmoid(g)
        silu = g * gated
        activation = silu * u
        d_scale += activation * d
        put(hidden, i, activation * scale)
        d *= scale
        put(d_up, i, d * silu)
        put(d_gate, i, d * u * gated * (one + g - silu))
    return d_scale


@compiled
def backward(gate_up: Any, d_hidden: Any, weight: Any, n: int, hidden: Any, d_gate_up: Any, d_weight: Any) -> None:
    """From d_hidden [P, N], the gradient of the scaled activations: fills them again (hidden), d_gate_up [P, 2N] and d_weight [P, S]."""
    P, N = hidden.shape
    S = weight.shape[1]
    shared = N - S * n
    for row in prange(P):
        gate, up, d, out = gate_up[row, :N], gate_up[row, N:], d_hidden[row], hidden[row]
        d_gate, d_up = d_gate_up[row, :N], d_gate_up[row, N:]
        closed(gate[:shared], up[:shared], d[:shared], one, out[:shared], d_gate[:shared], d_up[:shared])
        for segment in range(S):
            first = shared + segment * n
            last = first + n
            scale = widened(weight[row, segment])
            d_scale = closed(gate[first:last], up[first:last], d[first:last], scale, out[first:last], d_gate[first:last], d_up[first:last])
            put(d_weight[row], segment, d_scale)
