"""Neurons that moved between two snapshots. numpy only, cheap enough for a page to call itself."""

from __future__ import annotations

import numpy as np

from cpart_core.records.change import Flow
from cpart_core.records.training import SHARED, Snapshot


def flow(first: Snapshot, second: Snapshot) -> Flow:
    """Count neurons by segment before and after. Those of the shared segment are in no row; moves
    to or from it count as churn.

    `churn` is the share of a layer's neurons whose segment number differs. Snapshots of different
    runs raise ValueError.
    """
    before, after = first.segment_of.astype(np.int64), second.segment_of.astype(np.int64)
    if before.shape != after.shape or first.fusion_mass.shape != second.fusion_mass.shape:
        raise ValueError(
            f"Snapshots to compare must be of one model; got {before.shape[0]} layers x"
            f" {before.shape[1]} neurons and {after.shape[0]} layers x {after.shape[1]} neurons."
        )
    num_layers, num_segments = before.shape[0], first.fusion_mass.shape[2]
    moved = np.zeros((num_layers, num_segments, num_segments), dtype=np.int64)
    inside = (before != SHARED) & (after != SHARED)
    layer = np.broadcast_to(np.arange(num_layers)[:, None], before.shape)
    np.add.at(moved, (layer[inside], before[inside], after[inside]), 1)
    return Flow(int(first.step), int(second.step), moved, (before != after).mean(axis=1))
