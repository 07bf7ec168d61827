"""One text through two models: tints of matched colours, tints by the difference of the losses,
bars and the list of it. Knows no page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.compare.differences import BETTER, WORSE
from app.charts.fusion import tint as fusion_tint
from app.charts.fusion.tint import Tint
from app.charts.theme import ink, style
from app.text.escape import escaped_token, readable, token_label, visible
from app.text.palette import segment_colour
from cpart_core.records.comparison import TextComparison
from cpart_core.records.trace import Trace

RANKS = "①②③④⑤⑥⑦⑧⑨"
"""Marks of the largest differences, in the text and in the list."""


def matched_tint(
    trace: Trace, layer: int, full: float, inverse_Q: np.ndarray | None, dense: bool
) -> Tint:
    """Tint by strongest segment; B's segments wear the colours of A's that they are matched with
    (`inverse_Q`), grey without a match.

    A dense model has no fusion weights: nothing is tinted.
    """
    if dense:
        count = len(trace.tokens)
        return Tint(
            trace.tokens,
            [-1] * count,
            [0.0] * count,
            [loss_card(trace, token) for token in range(count)],
        )
    tint = fusion_tint.by_segment(trace, layer, full)
    if inverse_Q is None:
        return tint
    strongest = [int(inverse_Q[segment]) for segment in tint.strongest]
    cards = [
        f"B's segment {own}, "
        + (f"matched with A's {there}" if there >= 0 else "without a match")
        + f"\n{card}"
        for own, there, card in zip(tint.strongest, strongest, tint.hover, strict=True)
    ]
    return replace(tint, strongest=strongest, hover=cards)


def loss_card(trace: Trace, token: int) -> str:
    loss = trace.loss[token]
    said = "first token, not predicted" if np.isnan(loss) else f"loss {loss:.2f} nats"
    return f"“{token_label(trace.tokens[token])}”  token {token}\n{said}\ndense: no fusion weights"


def largest(result: TextComparison, count: int) -> list[int]:
    """Pieces with the largest differences, largest first."""
    known = np.nan_to_num(np.abs(result.difference))
    return [int(place) for place in np.argsort(-known, kind="stable")[:count] if known[place] > 0]


def difference_tint(result: TextComparison) -> Tint:
    """Orange where B predicts the piece worse than A, blue where better; the largest are
    numbered."""
    difference = np.nan_to_num(result.difference)
    full = max(float(np.abs(difference).max(initial=0.0)), 1e-9)
    rank = {place: RANKS[number] for number, place in enumerate(largest(result, len(RANKS)))}
    pieces = tuple(
        piece + rank.get(place, "") for place, piece in enumerate(readable(result.pieces))
    )
    cards = []
    for place, piece in enumerate(readable(result.pieces)):
        a, b = result.first_loss[place], result.second_loss[place]
        told = (
            "not predicted by both"
            if np.isnan(a - b)
            else f"A {a:.3f} nats\nB {b:.3f} nats\nB less A {b - a:+.3f}"
        )
        cards.append(f"“{token_label(piece)}”\n{told}")
    strongest = [
        WORSE if value > 0 else BETTER if value < 0 else -1 for value in difference.tolist()
    ]
    return Tint(pieces, strongest, (np.abs(difference) / full).tolist(), cards)


def token_bars(result: TextComparison, *, dark: bool) -> go.Figure:
    """The difference piece by piece along the text."""
    difference = result.difference
    pieces = [escaped_token(piece) for piece in readable(result.pieces)]
    figure = go.Figure(
        go.Bar(
            x=list(range(len(pieces))),
            y=difference,
            marker={
                "color": [
                    segment_colour(WORSE if value > 0 else BETTER, dark)
                    for value in np.nan_to_num(difference)
                ],
                "line": {"width": 0},
            },
            customdata=[
                [piece, a, b]
                for piece, a, b in zip(pieces, result.first_loss, result.second_loss, strict=True)
            ],
            hovertemplate=(
                "“%{customdata[0]}”<br>A %{customdata[1]:.3f}, B %{customdata[2]:.3f}<br>B less A"
                " <b>%{y:+.3f}</b><extra></extra>"
            ),
        )
    )
    figure.add_hline(y=0, line={"color": ink(dark).faint, "width": 1})
    figure.update_xaxes(
        title="token of the text" if result.same_tokens else "piece of the text", showgrid=False
    )
    figure.update_yaxes(title="nats, B less A")
    figure.update_layout(height=280, bargap=0.1, showlegend=False)
    return style(figure, dark)


def token_table(result: TextComparison, layer: int, by_size: bool = False) -> pd.DataFrame:
    """One row a piece; by_size: largest difference first, those that nobody predicted left out."""
    starts = [np.concatenate([[0], end[:-1]]) for end in (result.first_end, result.second_end)]
    table = pd.DataFrame(
        {
            "place": range(len(result.pieces)),
            "text": [
                visible(piece).replace("\n", "").replace(" ", "␣")
                for piece in readable(result.pieces)
            ],
            "loss_a": result.first_loss,
            "loss_b": result.second_loss,
            "b_less_a": result.difference,
            "tokens_a": result.first_end - starts[0],
            "tokens_b": result.second_end - starts[1],
            "segment_a": strongest_at(result.first, layer, result.first_end),
            "segment_b": strongest_at(result.second, layer, result.second_end),
        }
    )
    return table.iloc[largest(result, len(table))].reset_index(drop=True) if by_size else table


def strongest_at(trace: Trace, layer: int, end_P: np.ndarray) -> pd.arrays.IntegerArray:
    """[P] the strongest segment at the last token of each piece, by the run's own numbers; nothing
    where all weigh alike (a dense model)."""
    last = np.asarray(end_P, dtype=np.int64) - 1
    if layer >= len(trace.alpha):
        return pd.array([None] * len(last), dtype="Int64")
    alpha = trace.alpha[layer][last]
    apart = np.ptp(alpha, axis=1) > 1e-6
    return pd.array(np.where(apart, alpha.argmax(axis=1), None), dtype="Int64")
