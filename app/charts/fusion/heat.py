"""One text through the model: layer x token x segment heat map, and the entropy of every token's
fusion. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import colorbar, ink, style
from app.text.escape import escaped_token
from app.text.palette import WEIGHT_SCALE
from cpart_core.records.trace import Trace

MOST_TOKEN_LABELS = 64
"""Up to this many tokens the axis shows their text; above, their number."""
MOST_ROWS = 96
"""Rows (layers times segments) of one heat map."""
GAP = 0.8
"""Empty rows between two layers."""


def token_label(token: str) -> str:
    """A token on an axis or in a hover."""
    return escaped_token(token, 16)


def token_axis(figure: go.Figure, trace: Trace, dark: bool) -> None:
    """Tokens along x, and a line where the given text ends and the generated begins."""
    count = len(trace.tokens)
    if count <= MOST_TOKEN_LABELS:
        figure.update_xaxes(
            tickvals=list(range(count)),
            ticktext=[token_label(token) for token in trace.tokens],
            tickangle=-60,
            tickfont={"size": 11},
        )
    else:
        figure.update_xaxes(title="token")
    figure.update_xaxes(showgrid=False, zeroline=False)
    if 0 < trace.prompt_tokens < count:
        figure.add_vline(
            x=trace.prompt_tokens - 0.5, line={"width": 2, "color": ink(dark).text, "dash": "dot"}
        )


def fusion_heat(
    trace: Trace, layers: Sequence[int], *, full: float | None = None, dark: bool
) -> go.Figure:
    """alpha: segments of each layer as rows, layer under layer; tokens as columns. The hover also
    gives the factor and the norm.

    full: the weight at the top of the colour scale, so that two texts can share one; None = the
    greatest here.
    """
    _, num_tokens, num_segments = trace.alpha.shape
    rows = [(layer, segment) for layer in layers for segment in range(num_segments)]
    place = [row_place(index, num_segments) for index in range(len(rows))]
    words = np.array(
        [f"“{token_label(token)}” · token {number}" for number, token in enumerate(trace.tokens)],
        dtype=object,
    )
    figure = go.Figure(
        go.Heatmap(
            z=stacked(trace.alpha, layers),
            y=place,
            customdata=np.dstack(
                [
                    stacked(trace.weight, layers),
                    stacked(trace.norm, layers),
                    np.broadcast_to(np.array(rows)[:, :1], (len(rows), num_tokens)),
                    np.broadcast_to(np.array(rows)[:, 1:], (len(rows), num_tokens)),
                ]
            ),
            text=np.broadcast_to(words, (len(rows), num_tokens)),
            colorscale=WEIGHT_SCALE,
            zmin=0,
            zmax=greatest(trace, layers) if full is None else full,
            colorbar=colorbar(dark, "fusion weight"),
            hovertemplate=(
                "%{text}<br>layer %{customdata[2]:.0f} · segment %{customdata[3]:.0f}<br>fusion"
                " weight <b>%{z:.3f}</b><br>factor of its output %{customdata[0]:.2f}<br>norm of"
                " its output %{customdata[1]:.3f}<extra></extra>"
            ),
        )
    )
    name_rows(figure, rows, place, num_segments)
    token_axis(figure, trace, dark)
    figure.update_layout(
        height=int(140 + max(7, 16 - 0.1 * len(rows)) * (len(rows) + 1.6 * len(layers)))
    )
    return style(figure, dark)


def layers_to_draw(shape: tuple[int, ...], chosen: int) -> list[int]:
    """Layers of a trace [L, T, S] for one figure: all, or as many as fit, evenly, the chosen one
    among them."""
    most = max(1, MOST_ROWS // shape[2])
    if shape[0] <= most:
        return list(range(shape[0]))
    return sorted({chosen, *np.linspace(0, shape[0] - 1, most).round().astype(int).tolist()})


def greatest(trace: Trace, layers: Sequence[int]) -> float:
    """The greatest fusion weight in some layers."""
    return float(trace.alpha[list(layers)].max())


def most_bits(trace: Trace) -> float:
    """Entropy when all segments are alike."""
    return float(np.log2(trace.alpha.shape[2]))


def stacked(values: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """[L, T, S] -> [layers * S, T]"""
    return values[list(layers)].transpose(0, 2, 1).reshape(-1, values.shape[1]).astype(np.float32)


def row_place(index: int, num_segments: int) -> float:
    return index + GAP * (index // num_segments)


def name_rows(
    figure: go.Figure, rows: Sequence[tuple[int, int]], place: Sequence[float], num_segments: int
) -> None:
    """Segment numbers where there is room; always the layer's."""
    sparse = max(1, num_segments // 8) if len(rows) <= 80 else num_segments
    ticks = [
        (at, layer, segment)
        for at, (layer, segment) in zip(place, rows, strict=True)
        if segment % sparse == 0
    ]
    figure.update_yaxes(
        tickvals=[at for at, _, _ in ticks],
        ticktext=[
            f"layer {layer} · {segment}" if segment == 0 else str(segment)
            for _, layer, segment in ticks
        ],
        tickfont={"size": 11},
        range=[place[-1] + 0.6, -0.6],
        showgrid=False,
        zeroline=False,
    )


def entropy_heat(trace: Trace, *, dark: bool) -> go.Figure:
    """Bits of every token's fusion weights in every layer: 0 when one segment takes all, log2 S
    when all are alike."""
    num_layers, num_tokens = trace.entropy.shape
    words = np.array([token_label(token) for token in trace.tokens], dtype=object)
    figure = go.Figure(
        go.Heatmap(
            z=trace.entropy.astype(np.float32),
            text=np.broadcast_to(words, (num_layers, num_tokens)),
            colorscale=WEIGHT_SCALE,
            zmin=0,
            zmax=most_bits(trace) or 1.0,
            ygap=2,
            colorbar=colorbar(dark, "bits"),
            hovertemplate=(
                "“%{text}” · token %{x}<br>layer %{y}: <b>%{z:.2f}</b> bits<extra></extra>"
            ),
        )
    )
    figure.update_yaxes(
        title="layer", tickvals=list(range(num_layers)), autorange="reversed", showgrid=False
    )
    token_axis(figure, trace, dark)
    figure.update_layout(height=150 + 26 * num_layers)
    return style(figure, dark)


def trace_table(trace: Trace) -> pd.DataFrame:
    """One row a token, layer and segment: token, text, generated, layer, segment, fusion_weight,
    factor, norm, entropy_bits, loss_nats."""
    layer, token, segment = np.indices(trace.alpha.shape)
    return pd.DataFrame(
        {
            "token": token.ravel(),
            "text": np.array(trace.tokens, dtype=object)[token.ravel()],
            "generated": token.ravel() >= trace.prompt_tokens,
            "layer": layer.ravel(),
            "segment": segment.ravel(),
            "fusion_weight": trace.alpha.ravel(),
            "factor": trace.weight.ravel(),
            "norm": trace.norm.ravel(),
            "entropy_bits": np.repeat(trace.entropy.ravel(), trace.alpha.shape[2]),
            "loss_nats": trace.loss[token.ravel()],
        }
    )


def entropy_table(trace: Trace) -> pd.DataFrame:
    """One row a token and layer: token, text, layer, entropy_bits."""
    layer, token = np.indices(trace.entropy.shape)
    return pd.DataFrame(
        {
            "token": token.ravel(),
            "text": np.array(trace.tokens, dtype=object)[token.ravel()],
            "layer": layer.ravel(),
            "entropy_bits": trace.entropy.ravel(),
        }
    )
