"""The contract of a partition method: everything the rest of the project may ask one, stated once.

A method is a frozen dataclass whose fields are its own settings. Its file loads the standard
library only, so that pages may ask it; it imports what it computes with where it computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cpart_core.settings.fields.method import Method

if TYPE_CHECKING:
    import numpy as np

    from cpart_core.partition.evidence import Evidence


class PartitionMethod(Method):
    """One way to divide the neurons of a layer. Subclasses are frozen dataclasses."""

    needs: ClassVar[str] = ""
    """The field of Evidence it looks at; "" for none."""
    reclusters: ClassVar[bool] = False
    """False: the same at every repartition, so one is enough."""
    source: ClassVar[str] = ""
    """What segments come from, in a phrase, of a method that reclusters."""

    def assign(
        self,
        evidence: Evidence,
        num_neurons: int,
        num_segments: int,
        num_shared: int,
        previous: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        """segment [N] int16, SHARED for num_shared of them, equal sizes; previous [N] is the
        partition so far, for a warm start."""
        raise NotImplementedError
