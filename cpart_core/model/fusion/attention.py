"""Fusion by attention over one learned key a segment.

The paper (arXiv 2501.12901) names a "task-relevance function" and gives none. Ours:

alpha = softmax(q(c) . K / (tau sqrt(F)))

where c is the token's hidden state or its causal mean over the document so far (pooling over the
document gives contexts, token routing gives syntax: arXiv 2605.06663), and F is fusion_width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cpart_core.model.fusion.base import Fusion, FusionInput, Size, Tensors, Weight
from cpart_core.settings.fields.setting import setting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Attention(Fusion):
    """One query per token (or causal mean), one learned key per segment.

    The query is linear in the hidden state, so the mean of queries is the query of the mean:
    pooling works on F numbers, not on D. It is then scaled to norm sqrt(F), so that the mean of
    many different tokens does not come out weak.
    """

    name: ClassVar[str] = "attention"
    help: ClassVar[str] = "attention over learned keys"
    learns: ClassVar[bool] = True

    pooling: str = setting(
        "document",
        "What fusion looks at: the token's hidden state, or its causal mean over the document"
        " so far",
        choices=("token", "document"),
        advanced=False,
    )
    fusion_temperature: float = setting(
        1.0, "Temperature tau of the fusion softmax", low=0.01, high=100.0
    )
    fusion_width: int = setting(
        32, "Width of the fusion's queries and keys", low=1, high=1024, unit="numbers"
    )

    @property
    def scale(self) -> float:
        return 1.0 / (self.fusion_temperature * math.sqrt(self.fusion_width))

    def weights(self, size: Size) -> tuple[Weight, ...]:
        return (
            Weight("w_query", (self.fusion_width, size.width), trained=self.learns),
            Weight(
                "keys",
                (size.num_segments, self.fusion_width),
                segment_axis=0,
                std=0.5,
                trained=self.learns,
            ),
        )

    def alpha(self, weights: Tensors, given: FusionInput) -> Tensor:
        import torch

        from cpart_core.model.fusion.pooling import causal_mean, query_of
        from cpart_core.model.kernels.routing import compare

        with torch.autocast(given.x_BTD.device.type, enabled=False):
            query = query_of(given.x_BTD, weights["w_query"])
            if self.pooling == "document":
                query = causal_mean(query, given.start_BT, given.cache, given.read)
            return compare(query, weights["keys"], self.scale)

    def alpha_one_changed(
        self, weights: Tensors, changed: FusionInput, given_BTD: Tensor
    ) -> Tensor:
        """A pooled query is the mean of the given ones before the token and its own."""
        import torch
        from torch.nn import functional as F

        from cpart_core.model.fusion.pooling import causal_mean
        from cpart_core.model.kernels.routing import compare

        x_BTD, start_BT, w_query = changed.x_BTD, changed.start_BT, weights["w_query"]
        query = F.linear(x_BTD.float(), w_query)
        if self.pooling == "document":
            assert start_BT is not None, "a changed token is told where its document begins"
            given = F.linear(given_BTD.float(), w_query)
            count = torch.arange(x_BTD.shape[1], device=x_BTD.device) - start_BT + 1
            query = causal_mean(given, start_BT) + (query - given) / count[..., None]
        return compare(query, weights["keys"], self.scale)
