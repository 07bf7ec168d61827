"""k-means of weights: neurons that look at the same directions lie in the same segment
(MoEfication's first method, arXiv 2110.01786)."""

from __future__ import annotations

import numpy as np

from cpart_core.partition.evidence import Evidence, divide


class Weights:
    """Balanced k-means of the rows of W_gate, each scaled to length 1."""

    needs = "weight"
    reclusters = True

    def assign(
        self,
        evidence: Evidence,
        num_neurons: int,
        num_segments: int,
        num_shared: int,
        previous: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        assert evidence.weight is not None
        norm = np.linalg.norm(evidence.weight, axis=1)
        return divide(
            evidence.weight / (norm[:, None] + 1e-12),
            norm,
            num_segments,
            num_shared,
            previous,
            seed,
        )
