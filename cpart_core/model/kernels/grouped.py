"""Top-k by torch's grouped product: three launches forward and five backward for all segments, and
the host never waits for the device.

Counts and offsets stay on the device, so the number of slots is what can be needed at most; slots
that belong to no pair are rows of token 0 at weight 0, or lie behind the last segment, where the
products neither read nor write. Segments begin at multiples of 16 bytes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cpart_core.model.kernels.sort_tokens import sort_by_segment, weight_gradient, weight_of_slots
from cpart_core.model.kernels.sorted import add_shared, shared_backward, whole_gradients
from cpart_core.model.kernels.weighted_swiglu import hidden_backward, hidden_of
from cpart_core.model.kernels.work import Work, divided_down, gather_sum, stacked

ALIGNED_ROWS = 8


def grouped_segments(work: Work) -> Tensor:
    """[T, D]"""
    assert work.contribution is None, "where a segment's rows begin is known to the device alone"
    y: Tensor = Grouped.apply(work.x, work.weight, work.w_gate, work.w_up, work.w_down, work)
    return y


class Grouped(torch.autograd.Function):
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
        order = sort_by_segment(work.chosen, work.layout.num_segments, ALIGNED_ROWS, exact=False)
        ends = order.size.cumsum(0).to(torch.int32)
        slot_weight = weight_of_slots(weight, work.chosen, order, x.dtype)[:, None]
        into, down = stacked(work), divided_down(work).contiguous()
        gate_up = F.grouped_mm(x.index_select(0, order.tokens), into.transpose(1, 2), offs=ends)
        rows = F.grouped_mm(
            hidden_of(gate_up, slot_weight, work.layout.segment_size),
            down.transpose(1, 2),
            offs=ends,
        )
        y = gather_sum(rows, order.slot)
        shared = add_shared(work, y)
        ctx.work, ctx.order = work, order
        ctx.save_for_backward(x, slot_weight, into, down, gate_up, ends, shared)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, slot_weight, into, down, gate_up, ends, shared = ctx.saved_tensors
        work, order = ctx.work, ctx.order
        assert work.chosen is not None and work.weight is not None
        dy_slots = dy.index_select(0, order.tokens)
        d_hidden = F.grouped_mm(dy_slots, down, offs=ends)
        hidden, d_gate_up, d_slot = hidden_backward(
            gate_up, d_hidden, slot_weight, work.layout.segment_size
        )
        d_weight = weight_gradient(d_slot[:, 0], order, work.chosen, work.weight)
        gradients = None
        if any(ctx.needs_input_grad[2:5]):  # otherwise another part of the model is trained
            d_down = F.grouped_mm(dy_slots.T, hidden, offs=ends)
            d_into = F.grouped_mm(d_gate_up.T, x.index_select(0, order.tokens), offs=ends)
            gradients = whole_gradients(work, d_into, d_down)
        dx = gather_sum(F.grouped_mm(d_gate_up, into, offs=ends), order.slot)
        if shared is not None:
            shared_backward(work, dy, shared, dx, gradients)
        return dx, d_weight, *(gradients or (None, None, None)), None
