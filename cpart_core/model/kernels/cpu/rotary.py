"""What lies between the products of causal rotary attention, for one row of text: H heads of width
d = 2h, T tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from cpart_core.model.kernels.cpu.numbers import (
    compiled,
    exponential,
    greatest,
    inlined,
    one,
    prange,
    put,
    widened,
)


@inlined
def rotate(given: Any, cos: Any, sin: Any, scale: Any, out: Any) -> None:
    """Pairs (i, i + h) of one head rotated by their position's angle, times scale."""
    h = len(cos)
    for i in range(h):
        first, second = widened(given[i]), widened(given[h + i])
        put(out, i, (first * cos[i] - second * sin[i]) * scale)
        put(out, h + i, (second * cos[i] + first * sin[i]) * scale)


@compiled
def heads(qkv: Any, cos: Any, sin: Any, scale: Any, q: Any, k: Any, v: Any) -> None:
    """Fills q (rotated, times scale), k (rotated) and v, [H, T, d], from qkv [T, 3 H d] and angles
    [T, h]."""
    H, T, d = q.shape
    for head in prange(H):
        at = head * d
        for t in range(T):
            row = qkv[t]
            rotate(row[at : at + d], cos[t], sin[t], np.float32(scale), q[head, t])
            rotate(row[(H * d + at) : (H * d + at + d)], cos[t], sin[t], one, k[head, t])
            given, out = row[(2 * H * d + at) : (2 * H * d + at + d)], v[head, t]
            for i in range(d):
                out[i] = given[i]


VECTORS = 64
"""Numbers that a loop takes at a time; what is left over it takes one by one, which for a short row
is most of its time."""


@inlined
def whole_vectors(seen: int, K: int) -> int:
    return min(K, -(-seen // VECTORS) * VECTORS)


@compiled
def softmax(score: Any, p: Any) -> None:
    """Fills p [H, Q, K] from score [H, Q, K], which is spent; the last Q keys are at the queries'
    own positions, and nobody looks ahead."""
    H, Q, K = score.shape
    for pair in prange(H * Q):
        head, query = pair // Q, pair % Q
        seen = K - Q + query + 1
        wide = whole_vectors(seen, K)
        ahead = score[head, query, seen:wide]
        for i in range(len(ahead)):
            ahead[i] = -np.float32(np.inf)
        given, out = score[head, query, :wide], p[head, query, :wide]
        most = greatest(given)
        total = np.float32(0)
        for i in range(len(given)):
            e = exponential(given[i] - most)
            given[i] = e
            total += e
        for i in range(len(ahead)):
            ahead[i] = np.float32(0)
        total = one / total
        for i in range(len(given)):
            put(out, i, given[i] * total)
        behind = p[head, query, wide:]
        for i in range(len(behind)):
            behind[i] = 0


@compiled
def softmax_backward(p: Any, d_p: Any) -> None:
    """d_p [H, Q, K] becomes the gradient of the scores."""
    H, Q, K = p.shape
    for pair in prange(H * Q):
        head, query = pair // Q, pair % Q
        wide = whole_vectors(K - Q + query + 1, K)
        share, d = p[head, query, :wide], d_p[head, query, :wide]
        along = np.float32(0)
        for i in range(len(d)):
            along += widened(share[i]) * widened(d[i])
        for i in range(len(d)):
            put(d, i, widened(share[i]) * (widened(d[i]) - along))
        behind = d_p[head, query, wide:]
        for i in range(len(behind)):
            behind[i] = 0


@compiled
def heads_backward(dq: Any, dk: Any, dv: Any, cos: Any, sin: Any, scale: Any, d_qkv: Any) -> None:
    """Fills d_qkv [T, 3 H d] from the gradients of what `heads` filled; sin [T, h] with its sign
    changed, which is the way back."""
    H, T, d = dq.shape
    for head in prange(H):
        at = head * d
        for t in range(T):
            row = d_qkv[t]
            rotate(dq[head, t], cos[t], sin[t], np.float32(scale), row[at : at + d])
            rotate(dk[head, t], cos[t], sin[t], one, row[(H * d + at) : (H * d + at + d)])
            given, out = dv[head, t], row[(2 * H * d + at) : (2 * H * d + at + d)]
            for i in range(d):
                out[i] = given[i]
