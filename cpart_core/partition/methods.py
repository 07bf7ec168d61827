"""The visible list of partition methods. Adding one = one file and one line here (and its name in
settings/run.py)."""

from __future__ import annotations

import numpy as np

from cpart_core.partition.coactivation import CoActivation
from cpart_core.partition.cocluster import CoCluster
from cpart_core.partition.contiguous import Contiguous
from cpart_core.partition.evidence import Evidence, Method
from cpart_core.partition.gradient import Gradient
from cpart_core.partition.partition import Partition, match_ids
from cpart_core.partition.random import Random
from cpart_core.partition.weights import Weights

METHODS: dict[str, Method] = {
    "gradient": Gradient(),
    "cocluster": CoCluster(),
    "coactivation": CoActivation(),
    "weights": Weights(),
    "random": Random(),
    "contiguous": Contiguous(),
}


def make_partition(
    method: Method,
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
