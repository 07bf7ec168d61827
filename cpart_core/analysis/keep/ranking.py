"""Which segments matter on some text: the visible list of rankings. Each gives a number for every
segment of every layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from cpart_core.analysis.losses.held_out import Rows
from cpart_core.analysis.segments.profiles import segment_norms
from cpart_core.model.capture import capture
from cpart_core.model.decoder import Decoder
from cpart_core.model.next_token import token_losses


def by_contribution(model: Decoder, rows: Rows) -> np.ndarray:
    """[L, S] mean over tokens of the norm of what the segment adds to the residual stream: its
    weight times its output's norm."""
    total = np.zeros((model.settings.num_layers, model.settings.num_segments))
    with torch.no_grad():
        for ids, real, context, _ in rows.batches():
            with capture(model) as layers:
                model(ids[:, :-1], context_BT=context)
                for number, item in enumerate(layers):
                    norms, _ = segment_norms(item, item.hidden, item.weight.float())
                    total[number] += norms[real].sum(dim=0).double().numpy()
    return total / max(rows.tokens, 1)


def by_effect(model: Decoder, rows: Rows) -> np.ndarray:
    """[L, S] mean over tokens of the sum of |a dL/da| over the segment's neurons: the gradient
    signature, first-order effect of removing them."""
    settings = model.settings
    return (
        effects_by_row(model, rows)[:, settings.shared_neurons :]
        .reshape(settings.num_layers, settings.num_segments, -1)
        .sum(axis=2)
    )


def effects_by_row(model: Decoder, rows: Rows) -> np.ndarray:
    """[L, N] mean over tokens of |a dL/da|, in row order."""
    total = np.zeros((model.settings.num_layers, model.settings.num_neurons))
    asked = model.embedding.requires_grad
    # so that there is a backward pass at all; no gradient of a weight is kept
    model.embedding.requires_grad_(True)
    try:
        for ids, real, context, _ in rows.batches():
            with torch.enable_grad(), capture(model, gradients=True) as layers:
                losses = token_losses(model(ids[:, :-1], context_BT=context), ids[:, 1:])
                torch.autograd.grad((losses * real).sum(), [model.embedding])
                for number, item in enumerate(layers):
                    total[number] += item.contribution[real].sum(dim=0).double().numpy()
    finally:
        model.embedding.requires_grad_(asked)
    return total / max(rows.tokens, 1)


RANKINGS: dict[str, Callable[[Decoder, Rows], np.ndarray]] = {
    "contribution": by_contribution,
    "effect": by_effect,
}


def ranking(name: str) -> Callable[[Decoder, Rows], np.ndarray]:
    """The ranking of that name, or ValueError with those there are."""
    if name not in RANKINGS:
        raise ValueError(f"There is no ranking {name!r}; allowed: {', '.join(RANKINGS)}.")
    return RANKINGS[name]
