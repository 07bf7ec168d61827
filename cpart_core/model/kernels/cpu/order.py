"""Tokens laid out by the segments they chose: counted, then placed, in the order of the tokens."""

from __future__ import annotations

from typing import Any

from cpart_core.model.kernels.cpu.numbers import compiled, kept, prange, put, widened


@kept
def count(chosen: Any, multiple: int, size: Any) -> None:
    """Fills size [S]: how many of chosen [T, k] are each segment, rounded up to a multiple."""
    T, k = chosen.shape
    size[:] = 0
    for token in range(T):
        for i in range(k):
            size[chosen[token, i]] += 1
    for segment in range(len(size)):
        size[segment] = -(-size[segment] // multiple) * multiple


@kept
def place(chosen: Any, weight: Any, size: Any, tokens: Any, slot: Any, slot_weight: Any) -> None:
    """Fills tokens [P], slot [T, k] and slot_weight [P, 1] from weight [T, S]; slots left over are
    token 0's and weigh nothing."""
    T, k = chosen.shape
    ends = size.copy()
    for segment in range(1, len(size)):
        ends[segment] += ends[segment - 1]
    ends -= size
    tokens[:] = 0
    slot_weight[:] = 0
    for token in range(T):
        for i in range(k):
            segment = chosen[token, i]
            at = ends[segment]
            ends[segment] += 1
            slot[token, i] = at
            tokens[at] = token
            put(slot_weight[at], 0, weight[token, segment])


@compiled
def weight_gradient(d_slot: Any, slot: Any, chosen: Any, d_weight: Any) -> None:
    """Fills d_weight [T, S] from d_slot [P]."""
    T, k = chosen.shape
    for token in prange(T):
        d_weight[token, :] = 0
        for i in range(k):
            d_weight[token, chosen[token, i]] = widened(d_slot[slot[token, i]])
