"""How much two things say about each other, in bits, from counts. numpy only; knows no model, no
segment and no document.

Plug-in estimates: the counts' own shares stand for probabilities. Such estimates are too great on
few counts; nulls.py says by how much.
"""

from __future__ import annotations

import numpy as np


def mutual_information(joint_XLS: np.ndarray) -> np.ndarray:
    """I(S; X) of each L, from counts (or soft counts) [..., X, L, S] -> [..., L] bits. 0 where
    nothing was counted.

    float32 counts give bits to about 1e-5, in a third of the time; all others are counted in
    float64.
    """
    of_x, of_s = joint_XLS.sum(axis=-1), joint_XLS.sum(axis=-3)
    total = of_x.sum(axis=-2, dtype=np.float64)
    bits = (
        n_log_n(joint_XLS).sum(axis=(-3, -1), dtype=np.float64)
        - n_log_n(of_x.astype(np.float64)).sum(axis=-2)
        - n_log_n(of_s.astype(np.float64)).sum(axis=-1)
        + n_log_n(total)
    )
    return np.maximum(np.divide(bits, total, out=np.zeros_like(bits), where=total > 0), 0.0)


def entropy(counts: np.ndarray) -> np.ndarray:
    """H of counts along the last axis -> [...] bits; 0 where nothing was counted."""
    counts = np.asarray(counts, dtype=np.float64)
    total = counts.sum(axis=-1)
    bits = n_log_n(total) - n_log_n(counts).sum(axis=-1)
    return np.maximum(np.divide(bits, total, out=np.zeros_like(bits), where=total > 0), 0.0)


def n_log_n(counts: np.ndarray) -> np.ndarray:
    """n log2 n, and 0 for 0; in float32 for float32, else in float64."""
    counts = np.asarray(counts)
    if counts.dtype != np.float32:
        counts = counts.astype(np.float64)
    logs = np.log2(np.maximum(counts, np.finfo(counts.dtype).tiny))
    logs *= counts
    return np.asarray(logs)


def grouped(
    values_PLS: np.ndarray, group_P: np.ndarray, num_groups: int, weight_P: np.ndarray | None = None
) -> np.ndarray:
    """Sums of the (weighted) rows of each group -> [groups, L, S], in the dtype of the values."""
    from scipy.sparse import csr_array  # late: only who counts needs it

    num_rows, *rest = values_PLS.shape
    weight = np.ones(num_rows) if weight_P is None else weight_P
    table = csr_array(
        (weight.astype(values_PLS.dtype), (group_P, np.arange(num_rows))),
        shape=(num_groups, num_rows),
    )
    return np.asarray(table @ values_PLS.reshape(num_rows, -1)).reshape(num_groups, *rest)
