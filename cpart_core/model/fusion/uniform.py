"""The named baseline of fusion: looks at nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.model.fusion.base import Fusion, FusionInput, Tensors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Uniform(Fusion):
    """alpha = 1 / S for every input: the baseline, with which the partitioned layer IS the dense
    layer."""

    name: ClassVar[str] = "uniform"
    help: ClassVar[str] = "the same for all"
    differs_by_token: ClassVar[bool] = False

    def alpha(self, weights: Tensors, given: FusionInput) -> Tensor:
        import torch

        return given.x_BTD.new_full(
            (*given.x_BTD.shape[:2], given.num_segments),
            1.0 / given.num_segments,
            dtype=torch.float32,
        )
