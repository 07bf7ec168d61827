"""How running text is tinted: the segment of each token, how strongly, and the card shown at it.
Makes no HTML."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.text.escape import token_label
from cpart_core.records.trace import Trace

MOST_LISTED = 16
"""Segments listed in a token's card; the strongest where there are more."""


@dataclass(frozen=True)
class Tint:
    """What texts.running_text_html needs, for T tokens."""

    tokens: tuple[str, ...]
    strongest: list[int]
    strength: list[float]
    """0..1: opacity."""
    hover: list[str]


def by_segment(trace: Trace, layer: int, full: float) -> Tint:
    """Colour = the segment with the greatest fusion weight in the layer, opacity = that weight /
    `full` (which has full tint)."""
    alpha = trace.alpha[layer]
    return Tint(
        trace.tokens,
        alpha.argmax(axis=1).tolist(),
        (alpha.max(axis=1) / full).tolist(),
        [card(trace, layer, token) for token in range(len(trace.tokens))],
    )


def by_loss(trace: Trace, layer: int) -> Tint:
    """One colour (grey, the shared one), opacity = loss / the greatest loss in the text: where the
    model was surprised."""
    loss = np.nan_to_num(trace.loss, nan=0.0)
    strength = loss / max(float(loss.max(initial=0.0)), 1e-9)
    hover = [card(trace, layer, token) for token in range(len(trace.tokens))]
    return Tint(trace.tokens, [-1] * len(trace.tokens), strength.tolist(), hover)


def card(trace: Trace, layer: int, token: int) -> str:
    """All weights of one token in one layer, strongest first, and its loss and entropy: plain text,
    a line each."""
    alpha, factor, norm = (
        trace.alpha[layer, token],
        trace.weight[layer, token],
        trace.norm[layer, token],
    )
    loss = trace.loss[token]
    lines = [f"“{token_label(trace.tokens[token])}”  token {token}, layer {layer}"]
    lines.append(
        "loss: first token, not predicted"
        if np.isnan(loss)
        else f"loss {loss:.2f} nats · entropy {trace.entropy[layer, token]:.2f} bits"
    )
    lines.append("segment  fusion weight  factor   norm")
    order = np.argsort(-alpha, kind="stable")[:MOST_LISTED]
    lines += [
        f"{segment:>7}  {alpha[segment]:13.3f}  {factor[segment]:6.2f}  {norm[segment]:5.2f}"
        for segment in order
    ]
    if len(alpha) > MOST_LISTED:
        lines.append(f"and {len(alpha) - MOST_LISTED} more")
    return "\n".join(lines)
