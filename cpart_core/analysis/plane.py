"""Points with many numbers each -> positions on a plane (PCA or UMAP), and how faithful the plane is. numpy; umap only when asked for.

Several stages of the same points can share one layout: it is fitted on the last stage and the others are placed into it.
Knows nothing of neurons, documents or runs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cpart_core.analysis.progress import Progress, silent

NEIGHBOURS = 15
"""Neighbours that UMAP keeps together and that faithfulness looks at."""
FEWEST_FOR_UMAP = 10
MIN_DIST = 0.1
FLOOR = 1e-2
"""Added to a signature (in units of its column's mean) before the logarithm, so that small numbers do not become far points."""
METHODS = ("pca", "umap")


@dataclass(frozen=True)
class Plane:
    """Where the points lie, and how that was found."""

    method: str
    """The method really used: pca where there were too few points for umap."""
    position: np.ndarray
    """[K stages, P, 2] float32"""
    parameters: dict[str, float | int | str]
    faithfulness: float
    """See `neighbour_overlap`, last stage."""


@dataclass(frozen=True)
class Axes:
    """The two directions in which the points differ most."""

    mean: np.ndarray
    """[F]"""
    directions: np.ndarray
    """[2, F]; a row of zeros where the points have no second (or first) direction."""
    explained: float
    """Share of the variance that the two keep; 1 where there is none."""

    def place(self, features_PxF: np.ndarray) -> np.ndarray:
        """-> [P, 2] float32"""
        return ((features_PxF - self.mean) @ self.directions.T).astype(np.float32)


def log_features(values_PxF: np.ndarray) -> np.ndarray:
    """Signatures in units of their column's mean -> log, each row centred: what a point is *relatively* good for, not how important it is.

    NaN, infinite and negative values count as 0. One column alone is not centred (nothing would be left). -> [P, F] float32
    """
    values = np.nan_to_num(np.asarray(values_PxF, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    logs = np.log(FLOOR + np.maximum(values, 0.0))
    return logs - logs.mean(axis=1, keepdims=True) if logs.shape[1] > 1 else logs


def principal_axes(features_PxF: np.ndarray) -> Axes:
    """PCA to two axes, signs fixed (the greatest loading is positive), so that the same data give the same picture."""
    mean = features_PxF.mean(axis=0)
    centred = (features_PxF - mean).astype(np.float64)
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    values, vectors = np.linalg.eigh(gram)
    directions = np.zeros((2, centred.shape[1]))
    for row, index in enumerate(range(len(values) - 1, max(len(values) - 3, -1), -1)):
        if values[index] <= 1e-10 * max(values[-1], 1e-12):
            break
        direction = vectors[:, index] @ centred / np.sqrt(values[index]) if wide else vectors[:, index]
        directions[row] = direction * (1.0 if direction[np.abs(direction).argmax()] > 0 else -1.0)
    total = float(np.square(centred).sum())
    kept = float(np.square(centred @ directions.T).sum())
    return Axes(mean, directions, kept / total if total > 0 else 1.0)


def distances(left_AxF: np.ndarray, right_BxF: np.ndarray) -> np.ndarray:
    """Euclidean distances [A, B] float32, never NaN."""
    left, right = left_AxF.astype(np.float64), right_BxF.astype(np.float64)
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None] - 2.0 * left @ right.T
    return np.sqrt(np.maximum(squares, 0.0)).astype(np.float32)


def neighbour_overlap(features_PxF: np.ndarray, position_Px2: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Mean share of each point's nearest neighbours among the features that are nearest on the plane too; NaN for fewer than 3 points.

    Chance gives neighbours / (P - 1).
    """
    points = len(features_PxF)
    if points < 3:
        return float("nan")
    count = min(neighbours, points - 2)
    marked = []
    for space in (features_PxF, position_Px2):
        apart = distances(space, space)
        np.fill_diagonal(apart, np.inf)
        nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
        mark = np.zeros((points, points), dtype=bool)
        mark[np.arange(points)[:, None], nearest] = True
        marked.append(mark)
    return float((marked[0] & marked[1]).sum() / (points * count))


def lay_out(stages: Sequence[np.ndarray], method: str, seed: int, progress: Progress = silent) -> Plane:
    """Positions of K stages of the same P points ([P, F] each): fitted on the last, the others placed into it.

    PCA is laid out at once. UMAP starts from it. Fewer than 10 points get PCA whatever was asked; `parameters["note"]` says so.
    """
    if method not in METHODS:
        raise ValueError(f"The map method is {method!r}; allowed: {', '.join(METHODS)}.")
    began = time.perf_counter()
    last = stages[-1]
    axes = principal_axes(last)
    parameters: dict[str, float | int | str] = {"metric": "euclidean", "explained_variance": round(axes.explained, 4)}
    if method == "umap" and len(last) < FEWEST_FOR_UMAP:
        parameters["note"] = f"{len(last)} points are too few for UMAP (it needs {FEWEST_FOR_UMAP}): PCA is shown"
        method = "pca"
    if method == "pca":
        position = np.stack([axes.place(features) for features in stages])
    else:
        position = umap_positions(stages, axes.place(last), seed, parameters, progress)
    parameters["seconds"] = round(time.perf_counter() - began, 2)
    return Plane(method, position, parameters, neighbour_overlap(last, position[-1]))


def umap_positions(
    stages: Sequence[np.ndarray], start_Px2: np.ndarray, seed: int, parameters: dict[str, float | int | str], progress: Progress = silent
) -> np.ndarray:
    """UMAP of the last stage from a PCA start; earlier stages by `transform` into the same layout. -> [K, P, 2] float32

    Distances are computed here and handed over as precomputed: umap's own path calls a Python metric per pair, which took 2.5 s of a fit
    and 4 s of every transform at 2,000 points. Measured on one CPU core, signatures of 6 contexts: 500 points 0.5 s with 500 epochs;
    2,000 points 0.6 / 1.0 / 2.1 s with 50 / 200 / 500 epochs, neighbours kept 0.31 / 0.35 / 0.36, and 0.4 s for each earlier stage.
    So: 500 epochs up to 1,000 points, 200 above. `random_state` gives the same picture each time and allows one thread only; the first
    call in a process compiles for about 8 s more (the worker does that ahead of time).
    """
    last = stages[-1]
    points = len(last)
    neighbours, epochs = min(NEIGHBOURS, points - 1), 500 if points <= 1000 else 200
    parameters.update(n_neighbors=neighbours, min_dist=MIN_DIST, n_epochs=epochs, points=points)
    positions = []
    with warnings.catch_warnings():
        # It remarks on TensorFlow being absent, on one thread with a seed, and on precomputed distances: all are meant.
        warnings.simplefilter("ignore")
        from umap import UMAP

        fitted = UMAP(
            n_neighbors=neighbours,
            min_dist=MIN_DIST,
            n_epochs=epochs,
            metric="precomputed",
            init=spread_start(start_Px2, seed),
            random_state=seed,
            transform_seed=seed,
            n_jobs=1,
        )
        progress(0.05, f"Laying out {points:,} points with UMAP")
        apart = distances(last, last)
        np.fill_diagonal(apart, 0.0)
        newest = np.asarray(fitted.fit_transform(apart), dtype=np.float32)
        for number, features in enumerate(stages[:-1]):
            progress(0.4 + 0.6 * number / len(stages), f"Placing step {number + 1} of {len(stages)} into the layout")
            positions.append(np.asarray(fitted.transform(distances(features, last)), dtype=np.float32))
    return np.stack([*positions, newest])


def spread_start(start_Px2: np.ndarray, seed: int) -> np.ndarray:
    """A PCA layout as UMAP likes it: 10 wide, and no two points at one place (equal points could never part)."""
    widest = float(np.abs(start_Px2).max())
    scaled = start_Px2 * (10.0 / widest) if widest > 0 else start_Px2
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=start_Px2.shape)
    return (scaled + noise).astype(np.float32)
