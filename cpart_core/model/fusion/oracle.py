"""The control of routing itself: the true context chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.model.fusion.base import Fusion, FusionInput, Size, Tensors, Weight

if TYPE_CHECKING:
    from torch import Tensor

MOST_CONTEXTS = 256
"""Rows of the table; as many contexts as a corpus may have."""


@dataclass(frozen=True)
class Oracle(Fusion):
    """What perfect routing by context would be worth.

    alpha is the row of the token's context in a table that training makes of the gradient
    affinities of contexts and segments; a token of unknown context (-1) weighs all alike. The label
    is that of the whole document, so this is no model for text of unknown context.
    """

    name: ClassVar[str] = "oracle"
    help: ClassVar[str] = (
        "the true context (oracle: a control that reads the labels and cannot generate)"
    )
    needs_context: ClassVar[bool] = True
    takes_affinities: ClassVar[bool] = True

    def weights(self, size: Size) -> tuple[Weight, ...]:
        S = size.num_segments
        return (Weight("table", (MOST_CONTEXTS + 1, S), segment_axis=1, fill=1.0 / S),)

    def alpha(self, weights: Tensors, given: FusionInput) -> Tensor:
        import torch

        context_BT = given.context_BT
        assert context_BT is not None, "Decoder.forward tells the context first"
        return weights["table"][torch.where(context_BT < 0, MOST_CONTEXTS, context_BT)]

    def take_affinities(self, weights: Tensors, target_CS: Tensor) -> None:
        """Fill the table; a context that was not measured yet (all 0) weighs all alike."""
        import torch

        measured = target_CS.sum(dim=-1, keepdim=True) > 0
        weights["table"][: len(target_CS)] = torch.where(
            measured, target_CS, 1.0 / target_CS.shape[-1]
        )

    def carved(self, weight: Weight, tensor: Tensor, kept: list[int]) -> Tensor:
        """Rows are weights, not logits, so what is left must sum to 1 again; even where nothing
        is left."""
        import torch

        left = super().carved(weight, tensor, kept)
        total = left.sum(dim=-1, keepdim=True)
        return torch.where(
            total > 0, left / total.clamp_min(torch.finfo(left.dtype).tiny), 1.0 / left.shape[-1]
        )
