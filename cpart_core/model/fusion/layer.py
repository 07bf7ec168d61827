"""A layer's fusion as a module: it holds the weights that the fusion asks for, under their names,
and gives them to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cpart_core.model.fusion.base import Fusion, FusionInput, PooledSum, Size


class FusionLayer(nn.Module):
    """Knows no fusion by name; all it does follows from the contract (base.py)."""

    def __init__(self, fusion: Fusion, num_segments: int, width: int) -> None:
        super().__init__()
        self.method, self.num_segments = fusion, num_segments
        self.parts = fusion.weights(Size(num_segments, width))
        for weight in self.parts:
            if weight.fill is None:
                drawn = torch.empty(weight.shape)
                self.register_parameter(weight.name, nn.Parameter(drawn, weight.trained))
            else:
                self.register_buffer(weight.name, torch.full(weight.shape, weight.fill))
        self.context_BT: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Its weights by name, as they are now."""
        return {weight.name: getattr(self, weight.name) for weight in self.parts}

    def forward(
        self,
        x_BTD: Tensor,
        start_BT: Tensor | None,
        cache: PooledSum | None = None,
        read: int = 0,
    ) -> Tensor:
        """alpha [B, T, S] float32, rows sum to 1."""
        given = FusionInput(x_BTD, start_BT, self.num_segments, self.context_BT, cache, read)
        return self.method.alpha(self.tensors(), given)

    def one_changed(self, x_BTD: Tensor, given_BTD: Tensor, start_BT: Tensor) -> Tensor:
        """alpha [B, T, S] where each token has its x and all before it theirs of given_BTD."""
        changed = FusionInput(x_BTD, start_BT, self.num_segments, self.context_BT)
        return self.method.alpha_one_changed(self.tensors(), changed, given_BTD)

    def set_context(self, context_BT: Tensor | None) -> None:
        """Contexts of the tokens of the next forward, for a fusion that needs them. Raises
        ValueError without them."""
        if context_BT is None:
            raise ValueError(
                f"This model's fusion is the {self.method.name}: it is told the true context of"
                " every token, which only labelled text of its corpus has. It cannot read or"
                " continue other text; choose a run whose fusion is attention."
            )
        self.context_BT = context_BT

    def take_affinity(self, target_CS: Tensor) -> None:
        """After a new partition: affinity of contexts and segments, for a fusion that takes it."""
        self.method.take_affinities(self.tensors(), target_CS)

    def carved(self, kept: list[int]) -> dict[str, Tensor]:
        """Name -> what is left of each tensor when only the segments `kept` are."""
        return {
            weight.name: self.method.carved(weight, getattr(self, weight.name).detach(), kept)
            for weight in self.parts
        }
