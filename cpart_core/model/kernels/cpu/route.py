"""Fusion weights: queries pooled over the document so far, compared with the segments' keys, and
the greatest chosen; each way in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from cpart_core.model.kernels.cpu.numbers import compiled, exponential, one, prange

EPSILON = np.finfo(np.float32).eps
"""As in torch's rms_norm."""


@compiled
def mean(x: Any, start: Any, y: Any) -> None:
    """y [B, T, F]: the mean of x over the positions start [B, T] .. t of the same row."""
    B, T, F = x.shape
    for b in prange(B):
        total = np.zeros(F, np.float32)
        for t in range(T):
            first = start[b, t]
            by = one / np.float32(t - first + 1)
            given, out = x[b, t], y[b, t]
            if first == t:
                total[:] = np.float32(0)
            for i in range(F):
                total[i] += given[i]
                out[i] = total[i] * by


@compiled
def mean_backward(dy: Any, start: Any, dx: Any) -> None:
    B, T, F = dy.shape
    for b in prange(B):
        total = np.zeros(F, np.float32)
        for back in range(T):
            t = T - 1 - back
            first = start[b, t]
            by = one / np.float32(t - first + 1)
            d, out = dy[b, t], dx[b, t]
            for i in range(F):
                total[i] += d[i] * by
                out[i] = total[i]
            if first == t:
                total[:] = np.float32(0)


@compiled
def compare(query: Any, keys: Any, scale: Any, alpha: Any, length: Any) -> None:
    """Fills alpha [P, S], the softmax over segments of scale times query [P, F], at root mean
    square 1, times keys [S, F]; length [P] is one over each query's root mean square."""
    P, F = query.shape
    S = keys.shape[0]
    for row in prange(P):
        given, out = query[row], alpha[row]
        total = np.float32(0)
        for i in range(F):
            total += given[i] * given[i]
        by = one / np.sqrt(total / np.float32(F) + EPSILON)
        length[row] = by
        by *= np.float32(scale)
        most = -np.float32(np.inf)
        for s in range(S):
            key = keys[s]
            along = np.float32(0)
            for i in range(F):
                along += given[i] * key[i]
            out[s] = along * by
            most = out[s] if out[s] > most else most
        total = np.float32(0)
        for s in range(S):
            out[s] = exponential(out[s] - most)
            total += out[s]
        total = one / total
        for s in range(S):
            out[s] *= total


@compiled
def compare_backward(
    query: Any,
    keys: Any,
    scale: Any,
    alpha: Any,
    length: Any,
    d_alpha: Any,
    d_query: Any,
    d_keys: Any,
) -> None:
    """Fills d_query [P, F], and d_keys [G, S, F] with the gradients of keys of G equal groups of
    rows, to be summed."""
    P, F = query.shape
    S = keys.shape[0]
    G = d_keys.shape[0]
    size = -(-P // G)
    for group in prange(G):
        summed = d_keys[group]
        summed[:] = np.float32(0)
        for row in range(group * size, min(P, (group + 1) * size)):
            given, out, by = query[row], d_query[row], length[row]
            mean = np.float32(0)
            for s in range(S):
                mean += alpha[row, s] * d_alpha[row, s]
            out[:] = np.float32(0)
            for s in range(S):
                d = alpha[row, s] * (d_alpha[row, s] - mean) * np.float32(scale)
                key, into = keys[s], summed[s]
                of_key = d * by
                for i in range(F):
                    out[i] += d * key[i]
                    into[i] += of_key * given[i]
            along = np.float32(0)
            for i in range(F):
                along += out[i] * given[i]
            along *= by * by / np.float32(F)
            for i in range(F):
                out[i] = by * (out[i] - along * given[i])


@compiled
def choose(alpha: Any, scale: Any, chosen: Any, weight: Any) -> None:
    """Fills chosen [P, k], the segments with the greatest alpha [P, S] (the first of equals), and
    weight [P, S]: scale times alpha there, else 0."""
    P, S = alpha.shape
    k = chosen.shape[1]
    for row in prange(P):
        given, out = alpha[row], weight[row]
        out[:] = np.float32(0)
        for place in range(k):
            best, most = place, -one
            for s in range(S):
                if given[s] > most and out[s] == 0:
                    best, most = s, given[s]
            chosen[row, place] = best
            out[best] = one
        for s in range(S):
            out[s] *= given[s] * np.float32(scale)


@compiled
def choose_backward(d_weight: Any, scale: Any, chosen: Any, d_alpha: Any) -> None:
    P, k = chosen.shape
    for row in prange(P):
        d_alpha[row, :] = np.float32(0)
        for place in range(k):
            s = chosen[row, place]
            d_alpha[row, s] = d_weight[row, s] * np.float32(scale)
