"""The baseline by position: looks at nothing."""

from __future__ import annotations

import numpy as np

from cpart_core.partition.evidence import Evidence
from cpart_core.partition.partition import contiguous_partition


class Contiguous:
    """Neighbours in memory: the numbering at initialisation."""

    needs = ""
    reclusters = False

    def assign(
        self,
        evidence: Evidence,
        num_neurons: int,
        num_segments: int,
        num_shared: int,
        previous: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        return contiguous_partition(1, num_neurons, num_segments, num_shared).segment_of[0]
