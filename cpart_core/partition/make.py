"""Dividing every layer anew by a partition method."""

from __future__ import annotations

import numpy as np

from cpart_core.partition.base import PartitionMethod
from cpart_core.partition.evidence import Evidence
from cpart_core.partition.partition import Partition, match_ids


def make_partition(
    method: PartitionMethod,
    evidence: list[Evidence],
    old: Partition,
    num_shared: int,
    first: bool,
    seed: int,
) -> Partition:
    """Divide every layer anew; segment ids are matched to the old partition's. first: the old one
    is a mere numbering, no warm start."""
    L, N = old.segment_of.shape
    rows = []
    for number in range(L):
        before = old.segment_of[number]
        segment = method.assign(
            evidence[number],
            N,
            old.num_segments,
            num_shared,
            None if first else before,
            seed * L + number,
        )
        rows.append(match_ids(segment, before, old.num_segments))
    return Partition(np.stack(rows), old.num_segments).check(num_shared)
