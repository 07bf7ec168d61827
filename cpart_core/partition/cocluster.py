"""Co-clustering without labels: document signatures give segments and contexts at once.

Spectral biclustering (Kluger et al. 2003, Genome Research 13): the log of the neurons x documents
matrix with both means taken out, its leading singular vectors; neurons are divided in one half of
that space, documents in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.partition.base import PartitionMethod

if TYPE_CHECKING:
    import numpy as np

    from cpart_core.partition.evidence import Evidence


@dataclass(frozen=True)
class CoCluster(PartitionMethod):
    """Balanced k-means of the neurons' coordinates in the leading singular vectors of the
    signatures by document."""

    name: ClassVar[str] = "cocluster"
    help: ClassVar[str] = "the same by document without labels"
    source: ClassVar[str] = "gradients by document, without labels"
    needs: ClassVar[str] = "by_document"
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
        from cpart_core.partition.spectral import singular_coordinates

        assert evidence.by_document is not None
        signature = evidence.by_document
        neurons, _ = singular_coordinates(log_centred(signature), num_segments, seed)
        return divide(neurons, log_importance(signature), num_segments, num_shared, previous, seed)
