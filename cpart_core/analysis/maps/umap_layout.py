"""UMAP of points with many numbers each: exact neighbours, a PCA start, few epochs, and earlier
stages placed beside the last.

umap-learn on the CPU; cuml where it is installed and finds its GPU. Knows nothing of neurons,
documents or runs.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np

from cpart_core.analysis.progress import Progress, silent

MIN_DIST = 0.1
EPOCHS = ((1_000, 500), (4_000, 200), (10_000, 100))
"""(up to so many points, so many epochs)."""
FEWEST_EPOCHS = 50
"""Above the last of them."""
FEWEST_GPU_EPOCHS = 200
MOST_LANDMARKS = 4_000
"""Points of the last stage among which an earlier stage's points look for their neighbours."""
PLACED_BY = 5
"""Neighbours whose mean position a point of an earlier stage takes."""


def umap_positions(
    stages: Sequence[np.ndarray],
    start_Px2: np.ndarray,
    most_neighbours: int,
    seed: int,
    parameters: dict[str, float | int | str],
    progress: Progress = silent,
) -> np.ndarray:
    """UMAP of the last stage from a PCA start; earlier stages of the same points are placed beside
    it. -> [K, P, 2] float32

    Neighbours are found exactly, by scikit-learn's threaded brute force: at 20,000 points of 20
    numbers 1.2 s of CPU time over all cores, where its k-d tree takes 14. The epochs are the rest
    (0.04 s each there), so they fall with the points; what that costs in faithfulness is in
    docs/experiments.md. A seed gives the same picture each time and allows one thread only; the
    first call in a process compiles for some seconds more (the worker does that ahead of time).
    """
    last = np.ascontiguousarray(stages[-1], dtype=np.float32)
    points = len(last)
    neighbours = min(most_neighbours, points - 1)
    epochs = next((count for most, count in EPOCHS if points <= most), FEWEST_EPOCHS)
    parameters.update(n_neighbors=neighbours, min_dist=MIN_DIST, n_epochs=epochs, points=points)
    progress(0.05, f"Laying out {points:,} points with UMAP")
    newest = (
        umap_on_gpu(last, neighbours, epochs, seed) if importlib.util.find_spec("cuml") else None
    )
    parameters["library"] = "umap-learn" if newest is None else "cuml"
    if newest is not None:
        parameters["n_epochs"] = max(epochs, FEWEST_GPU_EPOCHS)
    else:
        newest = umap_on_cpu(last, start_Px2, neighbours, epochs, seed)
    landmarks = np.unique(
        np.linspace(0, points - 1, min(points, MOST_LANDMARKS)).round().astype(int)
    )
    positions, now = (
        [],
        place(last, last[landmarks], newest[landmarks]) if len(stages) > 1 else newest,
    )
    for number, features in enumerate(stages[:-1]):
        progress(
            0.7 + 0.3 * number / len(stages),
            f"Placing step {number + 1} of {len(stages)} into the layout",
        )
        # By how far it is placed from where the last stage's is: what has not changed stays exactly
        # where it is.
        positions.append(newest + place(features, last[landmarks], newest[landmarks]) - now)
    return np.stack([*positions, newest])


def umap_on_cpu(
    features: np.ndarray, start_Px2: np.ndarray, neighbours: int, epochs: int, seed: int
) -> np.ndarray:
    """[P, 2] float32"""
    near, apart = closest(features, features, neighbours)
    with warnings.catch_warnings():
        # It remarks on TensorFlow being absent, on one thread with a seed, and on given neighbours:
        # all are meant.
        warnings.simplefilter("ignore")
        from umap import UMAP

        fitted = UMAP(
            n_neighbors=neighbours,
            min_dist=MIN_DIST,
            n_epochs=epochs,
            init=spread_start(start_Px2, seed),
            precomputed_knn=(near, apart, None),
            # below 4,096 points it would pass over the given neighbours
            force_approximation_algorithm=True,
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(fitted.fit_transform(features), dtype=np.float32)


def umap_on_gpu(features: np.ndarray, neighbours: int, epochs: int, seed: int) -> np.ndarray | None:
    """[P, 2] float32 by cuml, or None where it is installed and cannot work (no GPU, another
    driver). Not measured: no GPU was at hand."""
    try:
        from cuml.manifold import UMAP

        fitted = UMAP(
            n_neighbors=neighbours,
            min_dist=MIN_DIST,
            n_epochs=max(epochs, FEWEST_GPU_EPOCHS),
            random_state=seed,
            output_type="numpy",
        )
        return np.asarray(fitted.fit_transform(features), dtype=np.float32)
    except (ImportError, RuntimeError, ValueError, MemoryError):
        return None


def closest(
    asked_QxF: np.ndarray, among_PxF: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(which [Q, count], how far away [Q, count]) of the nearest points, nearest first; exact, a
    point itself included."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(among_PxF)
    apart, near = found.kneighbors(np.ascontiguousarray(asked_QxF, dtype=np.float32))
    return near, apart.astype(np.float32)


def place(
    features_QxF: np.ndarray, landmarks_MxF: np.ndarray, position_Mx2: np.ndarray
) -> np.ndarray:
    """[Q, 2] float32: the mean position of each point's nearest landmarks, nearer ones counting
    more."""
    near, apart = closest(features_QxF, landmarks_MxF, min(PLACED_BY, len(landmarks_MxF)))
    beyond = apart - apart[:, :1]
    weight = np.exp(-beyond / np.maximum(beyond.mean(axis=1, keepdims=True), 1e-9))
    weight /= weight.sum(axis=1, keepdims=True)
    return np.einsum("qk,qkd->qd", weight, position_Mx2[near]).astype(np.float32)


def spread_start(start_Px2: np.ndarray, seed: int) -> np.ndarray:
    """A PCA layout as UMAP likes it: 10 wide, and no two points at one place (equal points could
    never part)."""
    widest = float(np.abs(start_Px2).max())
    scaled = start_Px2 * (10.0 / widest) if widest > 0 else start_Px2
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=start_Px2.shape)
    return (scaled + noise).astype(np.float32)
