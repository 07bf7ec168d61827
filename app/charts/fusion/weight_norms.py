"""What a segment's weight says, beside what the segment really adds: weight and norm, for one token
or a whole text. Knows no page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts.theme import style
from app.text.palette import segment_colour
from cpart_core.records.trace import Trace
from cpart_core.records.training import SHARED

WHY = (
    "A weight alone misleads: it says how far a segment is turned up, not how much comes out. A"
    " segment with a great weight whose neurons stay silent on a token adds little: its norm is"
    " small."
)
ROOM_FOR_NUMBERS = 1.25
"""How far the axis goes, in lengths of the longest bar: its number stands behind it."""


def weight_and_norm(trace: Trace, layer: int, token: int | None, *, dark: bool) -> go.Figure:
    """Two bars a segment, each on its own scale: fusion weight, and norm of the weighted output.
    token None = mean over the text."""
    table = weight_table(trace, layer, token)
    segments = table["segment"].tolist()
    names = ["shared" if segment == SHARED else str(segment) for segment in segments]
    colours = [segment_colour(segment, dark) for segment in segments]
    what = "mean over the text" if token is None else f"token {token}"
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    for column, (name, title, digits) in enumerate(
        (("fusion_weight", "fusion weight", ".2f"), ("norm", "norm of its output", ".2f")), start=1
    ):
        values = table[name].to_numpy()
        figure.add_trace(
            go.Bar(
                x=values,
                y=names,
                orientation="h",
                marker={
                    "color": colours,
                    "pattern": {"shape": ["/" if s == SHARED else "" for s in segments]},
                },
                text=["" if np.isnan(value) else f"{value:{digits}}" for value in values],
                textposition="outside",  # within the hatched bar it could not be read
                cliponaxis=False,
                hovertemplate=f"segment %{{y}}<br>{title} %{{x:.3f}}<br>{what}<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=column,
        )
        room = ROOM_FOR_NUMBERS * max(float(np.nanmax(values)), np.finfo(float).eps)
        figure.update_xaxes(title=title, range=(0.0, room), row=1, col=column)
    figure.update_yaxes(
        title="segment", autorange="reversed", showgrid=False, type="category", col=1
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", col=2)
    figure.update_layout(height=110 + 26 * len(names), bargap=0.25)
    return style(figure, dark)


def weight_table(trace: Trace, layer: int, token: int | None) -> pd.DataFrame:
    """One row a segment: segment (-1 is the shared one), fusion_weight, factor, norm; the mean over
    tokens where token is None."""
    tokens = slice(None) if token is None else slice(token, token + 1)
    table = pd.DataFrame(
        {
            "segment": np.arange(trace.alpha.shape[2]),
            "fusion_weight": trace.alpha[layer, tokens].mean(axis=0),
            "factor": trace.weight[layer, tokens].mean(axis=0),
            "norm": trace.norm[layer, tokens].mean(axis=0),
        }
    )
    if trace.shared_norm[layer].any():
        shared = {
            "segment": SHARED,
            "fusion_weight": np.nan,
            "factor": 1.0,
            "norm": float(trace.shared_norm[layer, tokens].mean()),
        }
        table = pd.concat([table, pd.DataFrame([shared])], ignore_index=True)
    return table
