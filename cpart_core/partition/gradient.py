"""Gradient clustering with labels: neurons that matter to the same contexts lie in the same segment
(arXiv 2501.12901, our reading)."""

from __future__ import annotations

import numpy as np

from cpart_core.partition.evidence import Evidence, divide, log_centred, log_importance


class Gradient:
    """Balanced k-means of the log signatures by context, centred over neurons and contexts."""

    needs = "by_context"
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
        assert evidence.by_context is not None
        signature = evidence.by_context
        return divide(
            log_centred(signature),
            log_importance(signature),
            num_segments,
            num_shared,
            previous,
            seed,
        )
