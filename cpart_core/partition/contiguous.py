"""The baseline by position: looks at nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.partition.base import PartitionMethod

if TYPE_CHECKING:
    import numpy as np

    from cpart_core.partition.evidence import Evidence


@dataclass(frozen=True)
class Contiguous(PartitionMethod):
    """Neighbours in memory: the numbering at initialisation."""

    name: ClassVar[str] = "contiguous"
    help: ClassVar[str] = "position"

    def assign(
        self,
        evidence: Evidence,
        num_neurons: int,
        num_segments: int,
        num_shared: int,
        previous: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        from cpart_core.partition.partition import contiguous_partition

        return contiguous_partition(1, num_neurons, num_segments, num_shared).segment_of[0]
