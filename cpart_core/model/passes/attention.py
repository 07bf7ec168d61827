"""What lies between the products of causal rotary attention, for one row of text: H heads of width d = 2h, T tokens.

Queries come in blocks; block b holds queries [b Q, min(T, (b + 1) Q)) and sees the keys up to its last query. Gradients of blocks lie one block
behind the other in flat arrays, each [H, its queries or keys, d].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cpart_core.model.passes.numbers import compiled, exponential, greatest, inlined, one, prange, put, widened


@inlined
def turned(given: Any, cos: Any, sin: Any, scale: Any, out: Any) -> None:
    """Pairs (i, i + h) of one head turned by their position's angle, times scale."""
    h = len(cos)
    for i in range(h):
        first, second = widened(given[i]), widened(given[h + i])
        put(out, i, (first * cos[i] - second * sin[i]) * scale)
        put(out, h + i, (second * cos[i] + first * sin[i]) * scale)


@compiled
def heads(qkv: Any, cos: Any, sin: Any, scale: Any, q: Any, k: Any, v: Any) -> None:
    """Fills q (turned, times scale), k (turned) and v, [H, T, d], from qkv [T, 3 H d] and angles [T, h]."""
    H, T, d = q.shape
    for head in prange(H):
        at = head * d
        for t in range(T):
            row = qkv[t]
            turned(row[at : at + d], cos[t], sin[t], np.float32(scale), q[head, t])
            turned(row[(H * d + at) : (H * d + at + d)], cos[t], sin[t], one, k[head, t])
            given, out = row[(2 * H * d + at) : (2 * H * d + at + d)], v[head, t]
            for i in range(d):
                put(out, i, widened(given[i]))


@compiled
def softmax(score: Any, p: Any) -> None:
    """p [H, Q, K] of score [H, Q, K], which is spent; the last Q keys are at the queries' own positions, and nobody looks ahead."""
    H, Q, K = score.shape
    for pair in prange(H * Q):
        head, query = pair // Q, pair % Q
        seen = K - Q + query + 1
        given, out = score[head, query, :seen], p[head, query, :seen]
        most = greatest(given)
        total = np.float32(0)
        for i in range(seen):
            e = exponential(given[i] - most)
            given[i] = e
            total += e
        total = one / total
        for i in range(seen):
            put(out, i, given[i] * total)
        behind = p[head, query, seen:]
        for i in range(len(behind)):
            behind[i] = 0


@compiled
def softmax_backward(p: Any, d_p: Any) -> None:
    """d_p [H, Q, K] becomes the gradient of the scores."""
    H, Q, K = p.shape
    for pair in prange(H * Q):
        head, query = pair // Q, pair % Q
        seen = K - Q + query + 1
        share, d = p[head, query, :seen], d_p[head, query, :seen]
        along = np.float32(0)
        for i in range(seen):
            along += widened(share[i]) * widened(d[i])
        for i in range(seen):
            put(d, i, widened(share[i]) * (widened(d[i]) - along))
        behind = d_p[head, query, seen:]
        for i in range(len(behind)):
            behind[i] = 0


@compiled
def heads_backward(dq: Any, dk: Any, dv: Any, block: int, cos: Any, sin: Any, scale: Any, d_qkv: Any) -> None:
    """Fills d_qkv [T, 3 H d] from flat gradients of the blocks."""
    T, h = cos.shape
    d = 2 * h
    H = d_qkv.shape[1] // (3 * d)
    for head in prange(H):
        at = head * d
        of_q, of_k, of_v = np.empty(d, np.float32), np.empty(d, np.float32), np.empty(d, np.float32)
        for t in range(T):
            row, own = d_qkv[t], t // block
            place = (H * own * block + head * (min(T, (own + 1) * block) - own * block) + t - own * block) * d
            given = dq[place : place + d]
            for i in range(d):
                of_q[i] = widened(given[i])
                of_k[i] = np.float32(0)
                of_v[i] = np.float32(0)
            before = H * block * (own * (own + 1) // 2)
            for b in range(own, -(-T // block)):
                seen = min(T, (b + 1) * block)
                place = (before + head * seen + t) * d
                before += H * seen
                part_k, part_v = dk[place : place + d], dv[place : place + d]
                for i in range(d):
                    of_k[i] += widened(part_k[i])
                    of_v[i] += widened(part_v[i])
            turned(of_q, cos[t], -sin[t], np.float32(scale), row[at : at + d])
            turned(of_k, cos[t], -sin[t], one, row[(H * d + at) : (H * d + at + d)])
            out = row[(2 * H * d + at) : (2 * H * d + at + d)]
            for i in range(d):
                put(out, i, of_v[i])
