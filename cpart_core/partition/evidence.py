"""What a partition method may look at, and what all methods have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cpart_core.partition.balanced import balanced_kmeans
from cpart_core.records.training import SHARED


@dataclass(frozen=True)
class Evidence:
    """One layer, rows by neuron number. Fields a method does not need are None.

    by_context [N, C], by_document [N, M]: signatures, nats per token. activation [N, K]: a of K
    tokens. weight [N, D]: rows of W_gate.
    """

    by_context: np.ndarray | None = None
    by_document: np.ndarray | None = None
    activation: np.ndarray | None = None
    weight: np.ndarray | None = None


def divide(
    features: np.ndarray,
    importance: np.ndarray,
    num_segments: int,
    num_shared: int,
    previous: np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """The num_shared most important neurons into the shared segment, the rest by balanced k-means
    of their features [N, F]."""
    segment = np.full(len(features), SHARED, dtype=np.int16)
    rest = np.sort(np.argsort(-importance, kind="stable")[num_shared:])
    segment[rest] = balanced_kmeans(
        features[rest], num_segments, seed, None if previous is None else previous[rest]
    )
    return segment


def log_centred(signature: np.ndarray) -> np.ndarray:
    """log of a signature [N, C], each neuron's mean and each column's mean taken out: what a neuron
    prefers, not how important it is.

    Both means are removed as in the log-interactions normalisation of spectral biclustering (Kluger
    et al. 2003): a context in which the model is simply worse (greater gradients everywhere) tells
    nothing of a neuron.
    """
    floor = 1e-3 * max(float(signature.mean()), 1e-30)
    logs = np.log(signature.astype(np.float64) + floor)
    return logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0, keepdims=True) + logs.mean()


def log_importance(signature: np.ndarray) -> np.ndarray:
    """[N] mean log signature: great only for a neuron that every context needs."""
    return np.log(signature.astype(np.float64) + 1e-3 * max(float(signature.mean()), 1e-30)).mean(
        axis=1
    )
