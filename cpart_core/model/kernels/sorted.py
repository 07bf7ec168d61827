"""Top-k on a CPU: tokens sorted by segment, one set of products a segment, and only gate and up of
the chosen segments kept for backward.

A segment's block is gathered, multiplied and opened while it is in the cache; each token then sums
its k output rows in one pass. oneDNN compiles a bf16 product for every new number of rows, so there
they are rounded up.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cpart_core.model.kernels.sort_tokens import laid_out, weight_gradient
from cpart_core.model.kernels.weighted_swiglu import (
    Backward,
    contribution_of,
    hidden_backward,
    hidden_of,
)
from cpart_core.model.kernels.work import Work, divided_down, gather_sum, stacked

LEAST_ROUNDING = 32
"""Products of rows in other numbers are no quicker for it."""
NUMBERS_OF_ROWS = 64
"""So many different ones a segment may have, and none: oneDNN keeps about a thousand compiled
products, and a layer has five kinds of them."""


def rounding(tokens: int, dtype: torch.dtype) -> int:
    """The rows of a segment are rounded up to a multiple of this: 1 where nothing is compiled for a
    new number of rows."""
    if dtype != torch.bfloat16:
        return 1
    return LEAST_ROUNDING * math.ceil(tokens / NUMBERS_OF_ROWS / LEAST_ROUNDING)


def sorted_segments(work: Work) -> Tensor:
    """[T, D]"""
    y: Tensor = Sorted.apply(work.x, work.weight, work.w_gate, work.w_up, work.w_down, work)
    return y


class Sorted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        w_gate: Tensor,
        w_up: Tensor,
        w_down: Tensor,
        work: Work,
    ) -> Tensor:
        assert work.chosen is not None
        layout = work.layout
        order, slot_weight = laid_out(work.chosen, weight, rounding(len(x), x.dtype), x.dtype)
        sizes = order.size.tolist()
        gate_up_weight, down_weight = stacked(work), divided_down(work)
        gate_up = x.new_empty(len(order.tokens), 2 * layout.segment_size)
        rows = x.new_empty(len(order.tokens), x.shape[1])
        # of one segment after the other
        x_s, hidden = (
            x.new_empty(max(sizes), x.shape[1]),
            x.new_empty(max(sizes), layout.segment_size),
        )
        blocks = (order.tokens, slot_weight, gate_up, rows)
        for tokens, scale, both, out, into, down in zip(
            *(t.split(sizes) for t in blocks), gate_up_weight, down_weight, strict=True
        ):
            size = len(tokens)
            torch.mm(torch.index_select(x, 0, tokens, out=x_s[:size]), into.T, out=both)
            torch.mm(hidden_of(both, scale, layout.segment_size, hidden[:size]), down.T, out=out)
        y = gather_sum(rows, order.slot)
        shared = add_shared(work, y)
        ctx.work, ctx.order, ctx.sizes = work, order, sizes
        ctx.save_for_backward(x, slot_weight, gate_up_weight, down_weight, gate_up, shared)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, slot_weight, gate_up_weight, down_weight, gate_up, shared = ctx.saved_tensors
        work, order, layout = ctx.work, ctx.order, ctx.work.layout
        assert work.chosen is not None and work.weight is not None
        n, most = layout.segment_size, max(ctx.sizes)
        moves = any(ctx.needs_input_grad[2:5])  # otherwise another part of the model is trained
        rows, d_slot = x.new_empty(len(order.tokens), x.shape[1]), torch.empty_like(slot_weight)
        # of one segment after the other
        one, d_hidden, hidden, d_both = (
            x.new_empty(most, width) for width in (x.shape[1], n, n, 2 * n)
        )
        d_into, d_down = torch.empty_like(gate_up_weight), empty_gradient(work, down_weight)
        blocks = (order.tokens, slot_weight, gate_up, rows, d_slot)
        weights = (gate_up_weight, down_weight, d_into, divided(work, d_down))
        for number, (
            tokens,
            scale,
            both,
            out,
            d_scale,
            into,
            down,
            d_into_s,
            d_down_s,
        ) in enumerate(zip(*(t.split(ctx.sizes) for t in blocks), *weights, strict=True)):
            part = slice(len(tokens))
            dy_s = torch.index_select(dy, 0, tokens, out=one[part])
            torch.mm(dy_s, down, out=d_hidden[part])
            found = hidden_backward(
                both, d_hidden[part], scale, n, Backward(hidden[part], d_both[part], d_scale)
            )
            if moves:
                torch.mm(dy_s.T, found.hidden, out=d_down_s)
                x_s = torch.index_select(x, 0, tokens, out=one[part])
                torch.mm(found.d_gate_up.T, x_s, out=d_into_s)
            torch.mm(found.d_gate_up, into, out=out)
            if work.contribution is not None:
                work.contribution(
                    layout.first_row(number), contribution_of(found.hidden, d_hidden[part]), tokens
                )
        dx = gather_sum(rows, order.slot)
        d_weight = weight_gradient(d_slot[:, 0], order, work.chosen, work.weight)
        gradients = whole_gradients(work, d_into, d_down) if moves else None
        if shared is not None:
            shared_backward(work, dy, shared, dx, gradients)
        return dx, d_weight, *(gradients or (None, None, None)), None


def empty_gradient(work: Work, down_weight: Tensor) -> Tensor:
    """Where the segments' gradients of w_down are written: [D, N] itself in fp32, else [S, D, n] to
    be cast once."""
    return (
        torch.empty_like(work.w_down)
        if work.x.dtype == work.w_down.dtype
        else torch.empty_like(down_weight)
    )


def divided(work: Work, d_down: Tensor) -> Tensor:
    """[S, D, n] of it."""
    if d_down.dim() == 3:
        return d_down
    return (
        d_down[:, work.layout.num_shared :]
        .unflatten(1, (work.layout.num_segments, work.layout.segment_size))
        .transpose(0, 1)
    )


def whole_gradients(
    work: Work, d_into_SnD: Tensor, d_down: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of w_gate, w_up, w_down as they are kept; rows of the shared segment are still to
    be filled."""
    layout, D = work.layout, work.x.shape[1]
    wholes = []
    for half, weight in zip(d_into_SnD.chunk(2, dim=1), (work.w_gate, work.w_up), strict=True):
        whole = torch.empty_like(weight)
        whole[layout.num_shared :].view(layout.num_segments, layout.segment_size, D).copy_(half)
        wholes.append(whole)
    if d_down.dim() == 3:
        whole = torch.empty_like(work.w_down)
        whole[:, layout.num_shared :].unflatten(
            1, (layout.num_segments, layout.segment_size)
        ).copy_(d_down.transpose(0, 1))
        d_down = whole
    return wholes[0], wholes[1], d_down


def add_shared(work: Work, y: Tensor) -> Tensor | None:
    """The shared segment's output, added to y. Returns its gate_up for backward, None where there
    is no shared segment."""
    if not work.layout.num_shared:
        return None
    first, x = slice(0, work.layout.num_shared), work.x
    gate_up = torch.mm(x, torch.cat([work.w_gate[first], work.w_up[first]]).to(x.dtype).T)
    y.addmm_(hidden_of(gate_up, None, 0), work.w_down[:, first].to(x.dtype).T)
    return gate_up


def shared_backward(
    work: Work,
    dy: Tensor,
    gate_up: Tensor,
    dx: Tensor,
    gradients: tuple[Tensor, Tensor, Tensor] | None,
) -> None:
    """The shared segment's part, added to dx and written into its rows of the gradients; None:
    nobody asks for those."""
    first = slice(0, work.layout.num_shared)
    d_hidden = torch.mm(dy, work.w_down[:, first].to(dy.dtype))
    hidden, d_both, _ = hidden_backward(gate_up, d_hidden, None, 0)
    if work.contribution is not None:
        work.contribution(0, contribution_of(hidden, d_hidden), None)
    if gradients is not None:
        d_gate, d_up, d_down = gradients
        d_down[:, first] = torch.mm(dy.T, hidden)
        d_gate[first], d_up[first] = torch.mm(d_both.T, work.x).chunk(2)
    dx.addmm_(d_both, torch.cat([work.w_gate[first], work.w_up[first]]).to(dy.dtype))
