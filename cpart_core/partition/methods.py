"""The visible list of partition methods. Adding one = one file and one line here."""

from __future__ import annotations

from cpart_core.partition.base import PartitionMethod
from cpart_core.partition.coactivation import CoActivation
from cpart_core.partition.cocluster import CoCluster
from cpart_core.partition.contiguous import Contiguous
from cpart_core.partition.gradient import Gradient
from cpart_core.partition.random import Random
from cpart_core.partition.weights import Weights

METHODS: dict[str, type[PartitionMethod]] = {
    kind.name: kind
    for kind in (
        Gradient,
        CoCluster,
        CoActivation,
        Weights,
        Random,
        Contiguous,
    )
}
