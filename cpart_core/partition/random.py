"""The baseline by chance: looks at nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.partition.base import PartitionMethod

if TYPE_CHECKING:
    import numpy as np

    from cpart_core.partition.evidence import Evidence


@dataclass(frozen=True)
class Random(PartitionMethod):
    """The named baseline: equal segments by chance, from the seed."""

    name: ClassVar[str] = "random"
    help: ClassVar[str] = "chance"

    def assign(
        self,
        evidence: Evidence,
        num_neurons: int,
        num_segments: int,
        num_shared: int,
        previous: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        import numpy as np

        from cpart_core.partition.partition import contiguous_partition

        row = contiguous_partition(1, num_neurons, num_segments, num_shared).segment_of[0]
        return np.random.default_rng(seed).permutation(row)
