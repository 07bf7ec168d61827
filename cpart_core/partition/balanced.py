"""Balanced k-means: segments of one exact size.

Assignment is greedy (nearest pairs first), then improved by exchanging pairs between every two
segments until no exchange helps. That is within a fraction of a per cent of the exact transport
solution on our shapes and takes O(N S log N) instead of O(N^3). Large problems first find their
centroids on a sample and without exchanges; only the last steps see every neuron and every
exchange.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST_GAIN = 1e-9
SMALL = 1 << 18
"""Neurons times segments up to which every step of k-means sees every neuron and improves its
assignment by exchanges."""
SAMPLED_PER_SEGMENT = 256
"""Neurons a segment in the sample on which a large problem finds its first centroids."""
SETTLED = 1e-4
"""A large problem's steps end when they lower the cost by a smaller share than this."""

STARTS = 3
"""Tries of k-means++ on the sample, of which the best is kept: one alone can end 2 % above the
others."""


class Settled(NamedTuple):
    """Where Lloyd's steps ended."""

    centroids: np.ndarray
    """[S, F]"""
    cost: float
    """Sum of squared distances before the last move of the centroids."""


def balanced_assignment(cost: np.ndarray, rounds: int = 10) -> np.ndarray:
    """cost [N, S] -> segment [N] with N / S neurons in each segment and small total cost. N must be
    a multiple of S."""
    N, S = cost.shape
    assert N % S == 0, "balanced segments need N to be a multiple of S"
    segment = greedy(cost, N // S)
    members = np.argsort(segment, kind="stable").reshape(S, N // S)
    for _ in range(rounds):
        if not exchange_all(cost, members):
            break
    segment[members] = np.arange(S)[:, None]
    return segment


def greedy(cost: np.ndarray, capacity: int) -> np.ndarray:
    """Every neuron to its best segment; a segment that is too full keeps those who would lose most
    elsewhere."""
    N, S = cost.shape
    segment = np.full(N, -1, dtype=np.int64)
    room = np.full(S, capacity)
    left = np.arange(N)
    costs = cost
    while len(left):
        open_segments = np.flatnonzero(room)
        costs = cost if len(left) == N else cost[np.ix_(left, open_segments)]
        best = costs.argmin(axis=1)
        lowest = np.take_along_axis(costs, best[:, None], axis=1)[:, 0]
        regret = second_lowest(costs, best) - lowest
        order = np.lexsort((-regret, best))  # segment by segment, those who would lose most first
        first = np.searchsorted(best[order], np.arange(len(open_segments)))
        rank = np.arange(len(order)) - first[best[order]]
        taken = order[rank < room[open_segments][best[order]]]
        segment[left[taken]] = open_segments[best[taken]]
        room -= np.bincount(segment[left[taken]], minlength=S)
        left = left[segment[left] < 0]
    return segment


def second_lowest(costs_NxS: np.ndarray, best_N: np.ndarray) -> np.ndarray:
    """[N] the lowest cost beside the best one's; the best one's where there is one column only."""
    if costs_NxS.shape[1] == 1:
        return costs_NxS[:, 0]
    others = costs_NxS.copy()
    np.put_along_axis(others, best_N[:, None], np.inf, axis=1)
    return others.min(axis=1)


def exchange_all(cost: np.ndarray, members: np.ndarray) -> bool:
    """Swap neurons between every two segments as long as it lowers the cost; members [S, N / S] in
    place. Returns whether any moved."""
    S = len(members)
    own = cost[members]  # [S, N / S, S]: what each member costs in each segment
    most = np.stack([most_gained(own[i], i) for i in range(S)])
    changed = False
    for i in range(S):
        for j in range(i + 1, S):
            if most[i, j] + most[j, i] <= LEAST_GAIN:
                continue
            gain_i, gain_j = own[i][:, i] - own[i][:, j], own[j][:, j] - own[j][:, i]
            # Only who gains more than the other side's best can lose is worth sorting.
            order_i, order_j = (
                sorted_above(gain_i, LEAST_GAIN - most[j, i]),
                sorted_above(gain_j, LEAST_GAIN - most[i, j]),
            )
            shorter = min(len(order_i), len(order_j))
            count = int((gain_i[order_i[:shorter]] + gain_j[order_j[:shorter]] > LEAST_GAIN).sum())
            leaving_i, leaving_j = order_i[:count], order_j[:count]
            members[i, leaving_i], members[j, leaving_j] = (
                members[j, leaving_j],
                members[i, leaving_i],
            )
            own[i, leaving_i], own[j, leaving_j] = own[j, leaving_j], own[i, leaving_i]
            most[i], most[j] = most_gained(own[i], i), most_gained(own[j], j)
            changed = True
    return changed


def most_gained(own_CxS: np.ndarray, segment: int) -> np.ndarray:
    """[S] the most that one member of the segment gains by going to each other one."""
    return (own_CxS[:, segment, None] - own_CxS).max(axis=0)


def sorted_above(gain: np.ndarray, bound: float) -> np.ndarray:
    """Places of the gains above the bound, greatest first."""
    above = np.flatnonzero(gain > bound)
    return above[np.argsort(-gain[above], kind="stable")]


def balanced_kmeans(
    features: np.ndarray,
    num_segments: int,
    seed: int,
    previous: np.ndarray | None = None,
    iterations: int = 30,
) -> np.ndarray:
    """features [N, F] -> segment [N], all of size N / S, by Lloyd's steps with balanced assignment.

    previous [N] (a segment for each neuron, or negative where it had none) warm-starts the
    centroids, so that segments move as little as the signatures ask; without it k-means++ from the
    seed.
    """
    features = np.ascontiguousarray(features, dtype=np.float64)
    if num_segments == 1:
        return np.zeros(len(features), dtype=np.int64)
    large = len(features) * num_segments > SMALL
    if previous is not None and len(np.unique(previous[previous >= 0])) == num_segments:
        centroids = np.stack([features[previous == s].mean(axis=0) for s in range(num_segments)])
    else:
        centroids = first_centroids(features, num_segments, seed, large)
    if large:
        centroids = settle(features, centroids, iterations).centroids
    segment = np.full(len(features), -1)
    for iteration in range(2 if large else iterations):
        new = balanced_assignment(
            distance_costs(features, centroids),
            rounds=1 if not large and iteration < iterations // 2 else 10,
        )
        if (new == segment).all():
            break
        segment = new
        centroids = means(features, segment, num_segments)
    return segment


def first_centroids(features: np.ndarray, num_segments: int, seed: int, large: bool) -> np.ndarray:
    """k-means++ from the seed; of a large problem the best of some starts, each settled on a
    sample. -> [S, F]"""
    # late: a second of import that a trainer's first steps need not wait for
    from sklearn.cluster import kmeans_plusplus

    if not large:
        return kmeans_plusplus(features, num_segments, random_state=seed)[0]
    wanted = min(SAMPLED_PER_SEGMENT, len(features) // num_segments) * num_segments
    sample = features[np.random.default_rng(seed).permutation(len(features))[:wanted]]
    tries = [
        settle(sample, kmeans_plusplus(sample, num_segments, random_state=seed + start)[0], 30)
        for start in range(STARTS)
    ]
    return min(tries, key=lambda found: found.cost).centroids


def settle(features: np.ndarray, centroids: np.ndarray, iterations: int) -> Settled:
    """Lloyd's steps with the greedy assignment alone, until the cost has settled."""
    cost, squares = np.inf, float(np.vdot(features, features))
    for _ in range(iterations):
        costs = distance_costs(features, centroids)
        segment = greedy(costs, len(features) // len(centroids))
        now = squares + float(np.take_along_axis(costs, segment[:, None], axis=1).sum())
        if now > cost * (1 - SETTLED):
            break
        cost, centroids = now, means(features, segment, len(centroids))
    return Settled(centroids, cost)


def distance_costs(features: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """[N, S] squared distances, less the square of each neuron: that is the same for all segments,
    so it moves no neuron."""
    cost = features @ (-2.0 * centroids.T)
    cost += (centroids**2).sum(axis=1)
    return cost


def means(features: np.ndarray, segment: np.ndarray, num_segments: int) -> np.ndarray:
    """[S, F] of equal segments."""
    return features[np.argsort(segment, kind="stable").reshape(num_segments, -1)].mean(axis=1)
