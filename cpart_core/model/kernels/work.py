"""What every execution is given, and what they share.

Legend: T tokens, D width, N neurons, S segments, k chosen segments a token, n neurons of a segment,
P slots (one for each chosen pair).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

Contribution = Callable[[int, Tensor, Tensor | None], None]
"""Told in backward, for a block of rows from first_row on: |a dL/da| [tokens, rows], and which
tokens (None = all, in order)."""


@dataclass(frozen=True)
class Layout:
    """Which rows are whose: first those of the shared segment, then num_segments blocks of
    segment_size."""

    num_shared: int
    num_segments: int
    segment_size: int

    def first_row(self, segment: int) -> int:
        return self.num_shared + segment * self.segment_size


@dataclass(frozen=True)
class Work:
    """One call of a layer. x [T, D] in the number format of the products; w_gate, w_up [N, D] and
    w_down [D, N] as they are kept."""

    x: Tensor
    weight: Tensor | None
    """[T, S] at which the segments are summed; None: every neuron counts fully."""
    chosen: Tensor | None
    """[T, k] the segments to compute; None: all."""
    w_gate: Tensor
    w_up: Tensor
    w_down: Tensor
    layout: Layout
    contribution: Contribution | None = None


def gather_sum(rows: Tensor, slot_Tk: Tensor) -> Tensor:
    """[T, D] sum of each token's k rows: one pass, without an index_add of pieces."""
    return F.embedding_bag(slot_Tk, rows, mode="sum")


def stacked(work: Work) -> Tensor:
    """[S, 2n, D] gate and up of each segment side by side, in the number format of the products."""
    S, n, D = work.layout.num_segments, work.layout.segment_size, work.x.shape[1]
    both = work.x.new_empty(S, 2 * n, D)
    for half, weight in zip(both.chunk(2, dim=1), (work.w_gate, work.w_up), strict=True):
        half.copy_(weight[work.layout.num_shared :].view(S, n, D))
    return both


def divided_down(work: Work) -> Tensor:
    """[S, D, n] the columns of each segment: a view in fp32, one cast copy otherwise."""
    S, n, D = work.layout.num_segments, work.layout.segment_size, work.x.shape[1]
    columns = work.w_down[:, work.layout.num_shared :].unflatten(1, (S, n)).transpose(0, 1)
    return (
        columns if work.x.dtype == work.w_down.dtype else work.x.new_empty(S, D, n).copy_(columns)
    )
