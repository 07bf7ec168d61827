"""k-means of weights: neurons that look at the same directions lie in the same segment
(MoEfication's first method, arXiv 2110.01786)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.partition.base import PartitionMethod

if TYPE_CHECKING:
    import numpy as np

    from cpart_core.partition.evidence import Evidence


@dataclass(frozen=True)
class Weights(PartitionMethod):
    """Balanced k-means of the rows of W_gate, each scaled to length 1."""

    name: ClassVar[str] = "weights"
    help: ClassVar[str] = "weights"
    source: ClassVar[str] = "weights"
    needs: ClassVar[str] = "weight"
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
        import numpy as np

        from cpart_core.partition.evidence import divide

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
