"""Co-activation: neurons that are active on the same tokens lie in the same segment (MoEfication's
second method, arXiv 2110.01786)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.partition.base import PartitionMethod

if TYPE_CHECKING:
    import numpy as np

    from cpart_core.partition.evidence import Evidence


@dataclass(frozen=True)
class CoActivation(PartitionMethod):
    """Balanced k-means of |a| over sampled tokens, each neuron scaled to length 1, in at most 64
    leading directions."""

    name: ClassVar[str] = "coactivation"
    help: ClassVar[str] = "activations"
    source: ClassVar[str] = "activations"
    needs: ClassVar[str] = "activation"
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
        from cpart_core.partition.spectral import singular_coordinates

        assert evidence.activation is not None
        strength = np.abs(evidence.activation.astype(np.float64))
        scaled = strength / (np.linalg.norm(strength, axis=1, keepdims=True) + 1e-12)
        neurons, _ = singular_coordinates(scaled - scaled.mean(axis=0), 64, seed)
        return divide(neurons, strength.mean(axis=1), num_segments, num_shared, previous, seed)
