"""How much two things say about each other, in bits, from counts. numpy only; knows no model, no segment and no document.

Plug-in estimates: the counts' own shares stand for probabilities. Such estimates are too great on few counts; nulls.py says by how much.
"""

from __future__ import annotations

import numpy as np


def mutual_information(joint_XLS: np.ndarray) -> np.ndarray:
    """I(S; X) of each L, from counts (or soft counts) [..., X, L, S] -> [..., L] bits. 0 where nothing was counted."""
    total = joint_XLS.sum(axis=(-3, -1))
    bits = (
        n_log_n(joint_XLS).sum(axis=(-3, -1))
        - n_log_n(joint_XLS.sum(axis=-1)).sum(axis=-2)
        - n_log_n(joint_XLS.sum(axis=-3)).sum(axis=-1)
        + n_log_n(total)
    )
    return np.maximum(np.divide(bits, total, out=np.zeros_like(bits), where=total > 0), 0.0)


def entropy(counts: np.ndarray) -> np.ndarray:
    """H of counts along the last axis -> [...] bits; 0 where nothing was counted."""
    total = counts.sum(axis=-1)
    bits = n_log_n(total) - n_log_n(counts).sum(axis=-1)
    return np.maximum(np.divide(bits, total, out=np.zeros_like(bits), where=total > 0), 0.0)


def n_log_n(counts: np.ndarray) -> np.ndarray:
    """n log2 n, and 0 for 0."""
    counts = np.asarray(counts, dtype=np.float64)
    logs = np.log2(counts, out=np.zeros_like(counts), where=counts > 0)
    return np.asarray(counts * logs)


def sums_of_runs(values_PQ: np.ndarray, key_P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over rows with the same key, for keys in rising order -> (sums [G, ...], the keys [G])."""
    if not len(key_P):
        return np.zeros((0, *values_PQ.shape[1:]), dtype=values_PQ.dtype), key_P
    first = np.flatnonzero(np.concatenate([[True], key_P[1:] != key_P[:-1]]))
    return np.add.reduceat(values_PQ, first, axis=0), key_P[first]
