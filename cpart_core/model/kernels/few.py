"""Top-k of a few tokens, as in generation: only the rows of the chosen segments are read, where
they lie, and nothing is copied. No gradient."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cpart_core.model.kernels.reference import activate
from cpart_core.model.kernels.work import Work


@torch.no_grad()
def few_tokens(work: Work) -> Tensor:
    """[T, D]"""
    assert work.chosen is not None and work.weight is not None
    x, layout, dtype = work.x, work.layout, work.x.dtype
    if layout.num_shared:
        rows = slice(0, layout.num_shared)
        y = F.linear(activate(work, x, rows), work.w_down[:, rows].to(dtype))
    else:
        y = torch.zeros_like(x)
    tokens_of: dict[int, list[int]] = {}
    for token, segments in enumerate(work.chosen.tolist()):
        for segment in segments:
            tokens_of.setdefault(segment, []).append(token)
    for segment, tokens in tokens_of.items():
        first = layout.first_row(segment)
        rows = slice(first, first + layout.segment_size)
        everyone = len(tokens) == len(x)
        given = x if everyone else x[tokens]
        hidden = activate(work, given, rows)
        weight = work.weight[:, segment] if everyone else work.weight[tokens, segment]
        hidden.mul_(weight.to(dtype)[:, None])
        down = work.w_down[:, rows].to(dtype).T
        if everyone:
            y.addmm_(hidden, down)
        else:
            y[tokens] += torch.mm(hidden, down)
    return y
