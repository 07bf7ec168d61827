"""How partitions came about over the snapshots of a run. Plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Flow:
    """Neurons that moved between two snapshots."""

    from_step: int
    to_step: int
    moved: np.ndarray
    """[L, S, S] neurons in segment i at the first and in segment j at the second."""
    churn: np.ndarray
    """[L] share off the diagonal."""


@dataclass(frozen=True)
class Saturation:
    """How early segments came to mean what they mean in the end: from snapshots alone, so from
    means over contexts, not over tokens."""

    steps: tuple[int, ...]
    """K snapshots with a partition."""
    context_information: np.ndarray
    """[K, L] bits, I(S;C) of the mean fusion mass; no null: snapshots know no documents."""
    agreement: np.ndarray
    """[K, L] mean over contexts of what the choice has in common with the last step's: 1 = the
    same, 0 = no segment in common."""
    churn: np.ndarray
    """[K, L] share of neurons in another segment than at the snapshot before; NaN at the first."""
