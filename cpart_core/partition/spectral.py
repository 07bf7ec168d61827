"""Neurons and documents in the leading singular vectors of their signatures, and contexts found
there (Kluger et al. 2003; partition/cocluster.py)."""

from __future__ import annotations

import warnings

import numpy as np

from cpart_core.partition.evidence import log_centred


def singular_coordinates(matrix: np.ndarray, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows [N, r], columns [M, r]) scaled by the singular values."""
    from sklearn.utils.extmath import randomized_svd  # late: see balanced.py

    rank = min(rank, *matrix.shape)
    left, values, right = randomized_svd(matrix, n_components=rank, random_state=seed)
    return left * values, right.T * values


def discover_contexts(by_document: np.ndarray, num_contexts: int, seed: int) -> np.ndarray:
    """Contexts of documents from their signatures over all layers.

    by_document [L, N, M] -> context [M] int16, numbered from the largest to the smallest. Raises
    ValueError with fewer documents than contexts.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    M = by_document.shape[2]
    if num_contexts > M:
        raise ValueError(
            f"{M} documents cannot be divided into {num_contexts} contexts; give more documents or"
            " fewer discovered_contexts."
        )
    layers = [log_centred(layer) for layer in by_document]
    _, documents = singular_coordinates(np.concatenate(layers), num_contexts, seed)
    # A document's length says how noisy its signature is, not what it is about: only the direction
    # counts.
    documents /= np.linalg.norm(documents, axis=1, keepdims=True) + 1e-12
    with warnings.catch_warnings():
        # Documents with fewer distinct signatures than contexts leave some contexts empty; that is
        # an answer, not a fault.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(num_contexts, n_init=10, random_state=seed).fit_predict(documents)
    order = np.argsort(-np.bincount(found, minlength=num_contexts), kind="stable")
    rank = np.empty(num_contexts, dtype=np.int16)
    rank[order] = np.arange(num_contexts)
    return rank[found]
