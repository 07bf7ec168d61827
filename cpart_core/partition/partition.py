"""A partition: neuron -> segment, for every layer; how two of them are matched and compared. Numpy
only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cpart_core.records.training import SHARED


@dataclass(frozen=True)
class Partition:
    """segment_of [L, N] int16: segment of each neuron by the neuron's own number; SHARED = -1 for
    the shared segment."""

    segment_of: np.ndarray
    num_segments: int

    def sizes(self) -> np.ndarray:
        """[L, S] neurons in each segment, the shared one not counted."""
        return np.stack(
            [np.bincount(row[row >= 0], minlength=self.num_segments) for row in self.segment_of]
        )

    def check(self, num_shared: int) -> Partition:
        """Return self; every neuron in one segment, all segments of one size."""
        L, N = self.segment_of.shape
        size, rest = divmod(N - num_shared, self.num_segments)
        assert rest == 0 and (self.sizes() == size).all(), "segments must have the same size"
        assert ((self.segment_of == SHARED).sum(axis=1) == num_shared).all(), (
            "the shared segment has the wrong size"
        )
        return self


def contiguous_partition(
    num_layers: int, num_neurons: int, num_segments: int, num_shared: int
) -> Partition:
    """The numbering at initialisation: shared neurons first, then equal blocks."""
    row = np.arange(num_neurons) - num_shared
    segment = np.where(row < 0, SHARED, row // ((num_neurons - num_shared) // num_segments)).astype(
        np.int16
    )
    return Partition(np.tile(segment, (num_layers, 1)), num_segments)


def match_ids(new: np.ndarray, old: np.ndarray, num_segments: int) -> np.ndarray:
    """new [N] with its segments renumbered so that as few neurons as possible change (Hungarian
    assignment on the overlaps)."""
    both = (new >= 0) & (old >= 0)
    overlap = np.zeros((num_segments, num_segments), dtype=np.int64)
    np.add.at(overlap, (new[both], old[both]), 1)
    name = assign(overlap)
    return np.where(new >= 0, name[np.maximum(new, 0)], SHARED).astype(np.int16)


def assign(similarity_SxQ: np.ndarray) -> np.ndarray:
    """[S] the column of each row that makes the sum greatest, -1 for rows left over (Hungarian
    assignment)."""
    from scipy.optimize import linear_sum_assignment  # late: half a second that only a match needs

    match = np.full(similarity_SxQ.shape[0], -1, dtype=np.int64)
    rows, columns = linear_sum_assignment(-similarity_SxQ)
    match[rows] = columns
    return match


def churn(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """[L] share of neurons whose segment differs between two partitions [L, N]; match ids first."""
    return (new != old).mean(axis=1)
