"""Fusion: the attention weights alpha with which the segments' outputs of one layer are summed
(arXiv 2501.12901: y = sum_i alpha_i y_i).

The paper names a "task-relevance function" and gives none. Ours: alpha = softmax(q(c) . K / (tau
sqrt(d))), where c is the token's hidden state or its causal mean over the document so far (pooling
over the document gives contexts, token routing gives syntax: arXiv 2605.06663).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cpart_core.model.cache import LayerCache
from cpart_core.model.kernels.cpu.use import uses_cpu_kernels
from cpart_core.model.kernels.routing import compare, mean_so_far
from cpart_core.settings.model import ModelSettings


def causal_mean(
    x_BTF: Tensor, start_BT: Tensor | None, cache: LayerCache | None = None, read: int = 0
) -> Tensor:
    """Mean of x over the positions of the same document up to and including each one. Never looks
    ahead.

    start_BT is the position at which each token's document begins; None means one document that
    began `read` tokens before this input, whose sum so far is in the cache.
    """
    if start_BT is not None and uses_cpu_kernels(x_BTF):
        return mean_so_far(x_BTF.float(), start_BT)
    total = x_BTF.float().cumsum(dim=1)
    position = torch.arange(x_BTF.shape[1], device=x_BTF.device)
    if start_BT is None:
        if cache is not None:
            if cache.query_sum is not None:
                total = total + cache.query_sum
            cache.query_sum = total[:, -1:]
        return total / (position + 1 + read)[:, None]
    before = F.pad(total, (0, 0, 1, 0)).gather(
        1, start_BT[:, :, None].expand(-1, -1, x_BTF.shape[2])
    )
    return (total - before) / (position - start_BT + 1)[:, :, None]


def query_of(x_BTD: Tensor, w_query: Tensor) -> Tensor:
    """[B, T, F] in fp32, whatever number format x comes in."""
    if x_BTD.dtype == torch.float32:
        return F.linear(x_BTD, w_query)
    query: Tensor = Query.apply(x_BTD, w_query)
    return query


class Query(torch.autograd.Function):
    """The fp32 product of an x in fewer bits, which decides what is chosen; its gradients are
    products in the number format of x, as all others.

    Autograd would keep the fp32 copy of x, the greatest thing that fusion keeps; this keeps x as it
    came, which the feed-forward layer keeps anyway.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w_query: Tensor) -> Tensor:
        ctx.save_for_backward(x, w_query)
        return F.linear(x.float(), w_query)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_query: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, w_query = ctx.saved_tensors
        d_query = d_query.to(x.dtype)
        dx = d_query @ w_query.to(x.dtype) if ctx.needs_input_grad[0] else None
        d_weight = (
            (d_query.flatten(0, -2).T @ x.flatten(0, -2)).to(w_query.dtype)
            if ctx.needs_input_grad[1]
            else None
        )
        return dx, d_weight


class UniformFusion(nn.Module):
    """alpha = 1 / S for every input: the baseline, with which the partitioned layer IS the dense
    layer."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.num_segments = settings.num_segments

    def forward(
        self, x_BTD: Tensor, start_BT: Tensor | None, cache: LayerCache | None = None, read: int = 0
    ) -> Tensor:
        return x_BTD.new_full(
            (*x_BTD.shape[:2], self.num_segments), 1.0 / self.num_segments, dtype=torch.float32
        )


class AttentionFusion(nn.Module):
    """One query per token (or causal mean), one learned key per segment.

    The query is linear in the hidden state, so the mean of queries is the query of the mean:
    pooling works on d numbers, not on D. It is then scaled to norm sqrt(d), so that the mean of
    many different tokens does not come out weak.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.pooled = settings.pooling == "document"
        self.scale = 1.0 / (settings.fusion_temperature * math.sqrt(settings.fusion_width))
        self.w_query = nn.Parameter(torch.empty(settings.fusion_width, settings.width))
        self.keys = nn.Parameter(torch.empty(settings.num_segments, settings.fusion_width))

    def forward(
        self, x_BTD: Tensor, start_BT: Tensor | None, cache: LayerCache | None = None, read: int = 0
    ) -> Tensor:
        """alpha [B, T, S] float32, rows sum to 1."""
        with torch.autocast(x_BTD.device.type, enabled=False):
            query = query_of(x_BTD, self.w_query)
            if self.pooled:
                query = causal_mean(query, start_BT, cache, read)
            return self.compare(query)

    def compare(self, query_BTF: Tensor) -> Tensor:
        """Queries (pooled where fusion pools) with the keys: alpha [B, T, S]."""
        return compare(query_BTF, self.keys, self.scale)


class RandomFusion(AttentionFusion):
    """A frozen random router: the control that says how much of an effect needs learned fusion
    weights at all."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.requires_grad_(False)


MOST_CONTEXTS = 256
"""Rows of the oracle's table; as many contexts as a corpus may have."""


class OracleFusion(nn.Module):
    """The true context chooses: the control that says what perfect routing by context would be
    worth.

    alpha is the row of the token's context in a table that training makes of the gradient
    affinities of contexts and segments; a token of unknown context (-1) weighs all alike. The label
    is that of the whole document, so this is no model for text of unknown context.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.register_buffer(
            "table",
            torch.full((MOST_CONTEXTS + 1, settings.num_segments), 1.0 / settings.num_segments),
        )
        self.table: Tensor
        self.context_BT: Tensor | None = None

    def tell(self, context_BT: Tensor | None) -> None:
        """Contexts of the tokens of the next forward. Raises ValueError without them."""
        if context_BT is None:
            raise ValueError(
                "This model's fusion is the oracle: it is told the true context of every token,"
                " which only labelled text of its corpus has. It cannot read or continue other"
                " text; choose a run whose fusion is attention."
            )
        self.context_BT = context_BT

    def take_affinity(self, target_CS: Tensor) -> None:
        """Fill the table: a row of fusion weights for each context; one that was not measured yet
        (all 0) weighs all alike."""
        measured = target_CS.sum(dim=-1, keepdim=True) > 0
        self.table[: len(target_CS)] = torch.where(measured, target_CS, 1.0 / target_CS.shape[-1])

    def forward(
        self, x_BTD: Tensor, start_BT: Tensor | None, cache: LayerCache | None = None, read: int = 0
    ) -> Tensor:
        assert self.context_BT is not None, "Decoder.forward tells the context first"
        return self.table[torch.where(self.context_BT < 0, MOST_CONTEXTS, self.context_BT)]


FUSIONS: dict[str, type[nn.Module]] = {
    "uniform": UniformFusion,
    "attention": AttentionFusion,
    "random": RandomFusion,
    "oracle": OracleFusion,
}
