"""Tokens sorted by the segments they chose: where each chosen (token, segment) pair lies. Works on
any device without asking it anything."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cpart_core.model.kernels.cpu.use import uses_cpu_kernels


class Order(NamedTuple):
    """P slots, segment after segment; those left over by rounding belong to token 0 and no pair,
    and weigh nothing."""

    tokens: Tensor
    """[P] token of each slot."""
    slot: Tensor
    """[T, k] slot of each pair."""
    size: Tensor
    """[S] slots of each segment, a multiple of `multiple`."""


def sort_by_segment(chosen_Tk: Tensor, num_segments: int, multiple: int, exact: bool) -> Order:
    """exact: P is just what is needed, for which the device is asked once; otherwise P is what can
    be needed at most."""
    T, k = chosen_Tk.shape
    flat = chosen_Tk.reshape(-1)
    order = flat.argsort(stable=True)
    pairs = torch.arange(T * k, device=flat.device)
    # bincount would wait for a GPU
    count = (flat == torch.arange(num_segments, device=flat.device)[:, None]).sum(dim=1)
    size = (count + (multiple - 1)).div(multiple, rounding_mode="floor").mul_(multiple)
    place = pairs
    if multiple > 1:
        before = (size - count).cumsum(0) - (size - count)  # slots left over in the segments before
        place = pairs + before[flat[order]]
    slots = (
        int(size.sum())
        if exact
        else -(-(T * k + num_segments * (multiple - 1)) // multiple) * multiple
    )
    tokens = torch.zeros(slots, dtype=torch.long, device=flat.device)
    tokens[place] = order.div(k, rounding_mode="floor")
    slot = torch.empty_like(flat)
    slot[order] = place
    return Order(tokens, slot.view(T, k), size)


def weight_of_slots(
    weight_TS: Tensor, chosen_Tk: Tensor, order: Order, dtype: torch.dtype
) -> Tensor:
    """[P] the weight at which each slot counts; 0 where no pair lies."""
    weight = torch.zeros(len(order.tokens), dtype=dtype, device=weight_TS.device)
    weight[order.slot] = weight_TS.gather(1, chosen_Tk).to(dtype)
    return weight


def laid_out(
    chosen_Tk: Tensor, weight_TS: Tensor, multiple: int, dtype: torch.dtype
) -> tuple[Order, Tensor]:
    """The exact order and the weight of its slots [P, 1], as `sort_by_segment` and
    `weight_of_slots` have them."""
    T, S = weight_TS.shape
    if not uses_cpu_kernels(weight_TS):
        order = sort_by_segment(chosen_Tk, S, multiple, exact=True)
        return order, weight_of_slots(weight_TS, chosen_Tk, order, dtype)[:, None]
    from cpart_core.model.kernels.cpu import numbers  # late: numba takes a moment to import
    from cpart_core.model.kernels.cpu import order as kernels

    chosen_Tk, size = chosen_Tk.contiguous(), chosen_Tk.new_empty(S)
    numbers.run(kernels.count, chosen_Tk, multiple, size)
    tokens, slot = size.new_empty(int(size.sum())), torch.empty_like(chosen_Tk)
    slot_weight = weight_TS.new_empty(len(tokens), 1, dtype=dtype)
    numbers.run(kernels.place, chosen_Tk, weight_TS.contiguous(), size, tokens, slot, slot_weight)
    return Order(tokens, slot, size), slot_weight


def weight_gradient(d_slot: Tensor, order: Order, chosen_Tk: Tensor, weight_TS: Tensor) -> Tensor:
    """[T, S] from the gradients of the slots' weights [P]."""
    if uses_cpu_kernels(weight_TS):
        from cpart_core.model.kernels.cpu import numbers
        from cpart_core.model.kernels.cpu import order as kernels

        d_weight = torch.empty_like(weight_TS, memory_format=torch.contiguous_format)
        numbers.run(
            kernels.weight_gradient,
            d_slot.contiguous(),
            order.slot,
            chosen_Tk.contiguous(),
            d_weight,
        )
        return d_weight
    return torch.zeros_like(weight_TS).scatter_(
        1, chosen_Tk, d_slot[order.slot].to(weight_TS.dtype)
    )
