"""The layer written plainly, by autograd: what every other execution is tested against, and what
runs where somebody looks at or changes the hidden activations themselves (capture.py,
intervention.py).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cpart_core.model.kernels.work import Work

Seen = Callable[[Tensor, int, Tensor | None], Tensor]
"""(hidden activations [tokens, rows], first row, which tokens or None for all) -> the activations
as they count."""


def unseen(hidden: Tensor, first_row: int, tokens: Tensor | None) -> Tensor:
    """Nobody looks."""
    return hidden


def reference(work: Work, seen: Seen = unseen) -> Tensor:
    """[T, D]. With chosen segments each is computed on the tokens that chose it, and on no
    others."""
    if work.chosen is not None:
        return chosen_only(work, seen)
    hidden = activate(work, work.x, slice(None), None, seen)
    if work.weight is not None:
        layout = work.layout
        divided = hidden[:, layout.num_shared :].unflatten(
            1, (layout.num_segments, layout.segment_size)
        )
        scaled = (divided * work.weight.to(hidden.dtype)[..., None]).flatten(1)
        hidden = (
            torch.cat([hidden[:, : layout.num_shared], scaled], dim=1)
            if layout.num_shared
            else scaled
        )
    return F.linear(hidden, work.w_down.to(work.x.dtype))


def activate(
    work: Work, x: Tensor, rows: slice, tokens: Tensor | None = None, seen: Seen = unseen
) -> Tensor:
    """Hidden activations [tokens, rows] of x [tokens, D]."""
    hidden = F.silu(F.linear(x, work.w_gate[rows].to(x.dtype))) * F.linear(
        x, work.w_up[rows].to(x.dtype)
    )
    return seen(hidden, rows.start or 0, tokens)


def chosen_only(work: Work, seen: Seen) -> Tensor:
    assert work.chosen is not None and work.weight is not None
    layout, k = work.layout, work.chosen.shape[1]
    shared = slice(0, layout.num_shared)
    y = (
        F.linear(
            activate(work, work.x, shared, None, seen), work.w_down[:, shared].to(work.x.dtype)
        )
        if layout.num_shared
        else None
    )
    order = work.chosen.reshape(-1).argsort(stable=True)
    counts = torch.bincount(work.chosen.reshape(-1), minlength=layout.num_segments).tolist()
    for segment, tokens in enumerate((order // k).split(counts)):
        rows = slice(layout.first_row(segment), layout.first_row(segment) + layout.segment_size)
        hidden = activate(work, work.x.index_select(0, tokens), rows, tokens, seen)
        scale = work.weight[:, segment].index_select(0, tokens)[:, None].to(hidden.dtype)
        output = F.linear(hidden * scale, work.w_down[:, rows].to(work.x.dtype))
        y = output.new_zeros(len(work.x), output.shape[1]) if y is None else y
        y = y.index_add(0, tokens, output)
    assert y is not None
    return y
