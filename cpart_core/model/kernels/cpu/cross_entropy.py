"""Cross-entropy of rows of logits with the next token, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from cpart_core.model.kernels.cpu.numbers import (
    compiled,
    exponential,
    greatest,
    prange,
    put,
    widened,
)


@compiled
def forward(logits: Any, target: Any, total: Any, loss: Any) -> None:
    """Fills total [P], the log of the summed exp of logits [P, V], and loss [P] in nats of target
    [P]."""
    P, V = logits.shape
    for row in prange(P):
        given = logits[row]
        most = greatest(given)
        summed = np.float32(0)
        for i in range(V):
            summed += exponential(widened(given[i]) - most)
        total[row] = most + np.log(summed)
        loss[row] = total[row] - widened(given[target[row]])


@compiled
def backward(logits: Any, target: Any, total: Any, d_loss: Any) -> None:
    """Logits [P, V] become their gradient, from d_loss [P]."""
    P, V = logits.shape
    for row in prange(P):
        given, d, log = logits[row], d_loss[row], total[row]
        of_target = (exponential(widened(given[target[row]]) - log) - np.float32(1)) * d
        for i in range(V):
            put(given, i, exponential(widened(given[i]) - log) * d)
        put(given, target[row], of_target)
