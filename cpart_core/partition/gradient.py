"""Gradient clustering with labels: neurons that matter to the same contexts lie in the same segment
(arXiv 2501.12901, our reading)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.partition.base import PartitionMethod

if TYPE_CHECKING:
    import numpy as np

    from cpart_core.partition.evidence import Evidence


@dataclass(frozen=True)
class Gradient(PartitionMethod):
    """Balanced k-means of the log signatures by context, centred over neurons and contexts."""

    name: ClassVar[str] = "gradient"
    help: ClassVar[str] = "gradient signatures by context"
    source: ClassVar[str] = "gradients by context"
    needs: ClassVar[str] = "by_context"
    reclusters: ClassVar[bool] = True

    def assign(
        self,
        evidence: Evidence,
        num_neurons: int,
        num_segments: int,
        num_shared: int,
        previous: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        from cpart_core.partition.evidence import divide, log_centred, log_importance

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
