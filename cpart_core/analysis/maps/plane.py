"""Points with many numbers each -> positions on a plane (PCA or UMAP), and how faithful the plane
is. numpy; umap only when asked for.

Several stages of the same points can share one layout: it is fitted on the last stage and the
others are placed into it. Knows nothing of neurons, documents or runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cpart_core.analysis.progress import Progress, silent

NEIGHBOURS = 15
"""Neighbours that UMAP keeps together and that faithfulness looks at."""
FEWEST_FOR_UMAP = 10
MOST_POINTS_ASKED = 2_000
ASKED_OF_MORE = 400
"""Points of which faithfulness asks for the neighbours, where there are more than
MOST_POINTS_ASKED."""
FLOOR = 1e-2
"""Added to a signature (in units of its column's mean) before the logarithm, so that small numbers
do not become far points."""
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
    """Signatures in units of their column's mean -> log, each row centred: what a point is
    *relatively* good for, not how important it is.

    NaN, infinite and negative values count as 0. One column alone is not centred (nothing would be
    left). -> [P, F] float32
    """
    values = np.nan_to_num(
        np.asarray(values_PxF, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0
    )
    logs = np.log(FLOOR + np.maximum(values, 0.0))
    return logs - logs.mean(axis=1, keepdims=True) if logs.shape[1] > 1 else logs


def principal_axes(features_PxF: np.ndarray) -> Axes:
    """PCA to two axes, signs fixed (the greatest loading is positive), so that the same data give
    the same picture."""
    mean = features_PxF.mean(axis=0)
    centred = (features_PxF - mean).astype(np.float64)
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    values, vectors = np.linalg.eigh(gram)
    directions = np.zeros((2, centred.shape[1]))
    for row, index in enumerate(range(len(values) - 1, max(len(values) - 3, -1), -1)):
        if values[index] <= 1e-10 * max(values[-1], 1e-12):
            break
        direction = (
            vectors[:, index] @ centred / np.sqrt(values[index]) if wide else vectors[:, index]
        )
        directions[row] = direction * (1.0 if direction[np.abs(direction).argmax()] > 0 else -1.0)
    total = float(np.square(centred).sum())
    kept = float(np.square(centred @ directions.T).sum())
    return Axes(mean, directions, kept / total if total > 0 else 1.0)


def nearest(features_PxF: np.ndarray, asked: np.ndarray, count: int) -> np.ndarray:
    """[Q, count] the points nearest to each of the asked ones (their numbers), themselves left out,
    in no order; exact."""
    points = np.ascontiguousarray(features_PxF, dtype=np.float32)
    # the small distances of far points would drown in float32
    points = points - points.mean(axis=0)
    apart = np.square(points).sum(axis=1)[None] - 2.0 * points[asked] @ points.T
    apart[np.arange(len(asked)), asked] = np.inf
    return np.argpartition(apart, count - 1, axis=1)[:, :count]


def neighbour_overlap(
    features_PxF: np.ndarray, position_Px2: np.ndarray, neighbours: int = NEIGHBOURS
) -> float:
    """Mean share of a point's nearest neighbours among the features that are nearest on the plane
    too; NaN for fewer than 3 points.

    Of more than MOST_POINTS_ASKED points some are asked, evenly chosen; neighbours are always
    sought among all. Chance gives neighbours / (P - 1).
    """
    points = len(features_PxF)
    if points < 3:
        return float("nan")
    count = min(neighbours, points - 2)
    asked = np.unique(
        np.linspace(0, points - 1, points if points <= MOST_POINTS_ASKED else ASKED_OF_MORE)
        .round()
        .astype(int)
    )
    known, shown = (
        np.sort(nearest(space, asked, count), axis=1) for space in (features_PxF, position_Px2)
    )
    # Of each row, numbers that stand in both: they stand twice in the two sorted together.
    both = np.sort(np.concatenate([known, shown], axis=1), axis=1)
    return float((both[:, 1:] == both[:, :-1]).sum() / (len(asked) * count))


def lay_out(
    stages: Sequence[np.ndarray], method: str, seed: int, progress: Progress = silent
) -> Plane:
    """Positions of K stages of the same P points ([P, F] each): fitted on the last, the others
    placed into it.

    PCA is laid out at once. UMAP (umap_layout.py) starts from it. Fewer than 10 points get PCA
    whatever was asked; `parameters["note"]` says so.
    """
    if method not in METHODS:
        raise ValueError(f"The map method is {method!r}; allowed: {', '.join(METHODS)}.")
    began = time.perf_counter()
    last = stages[-1]
    axes = principal_axes(last)
    parameters: dict[str, float | int | str] = {
        "metric": "euclidean",
        "explained_variance": round(axes.explained, 4),
    }
    if method == "umap" and len(last) < FEWEST_FOR_UMAP:
        parameters["note"] = (
            f"{len(last)} points are too few for UMAP (it needs {FEWEST_FOR_UMAP}): PCA is shown"
        )
        method = "pca"
    if method == "pca":
        position = np.stack([axes.place(features) for features in stages])
    else:
        # late: scikit-learn and numba take seconds to import
        from cpart_core.analysis.maps.umap_layout import umap_positions

        position = umap_positions(stages, axes.place(last), NEIGHBOURS, seed, parameters, progress)
    parameters["seconds"] = round(time.perf_counter() - began, 2)
    if len(last) > MOST_POINTS_ASKED:
        parameters["faithfulness_points"] = ASKED_OF_MORE
    return Plane(method, position, parameters, neighbour_overlap(last, position[-1]))
