"""Two runs side by side: how large each difference is, and losses by context. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import PERCENT_AXIS, in_percent, ink, style
from app.text.escape import escaped
from app.text.palette import SHARED_COLOUR, segment_colour
from cpart_core.analysis.compare.differences import TOLD, Difference, difference_rows
from cpart_core.records.comparison import LossComparison
from cpart_core.wording.percent import percent

MOST_BARS = 14
WORSE, BETTER = 1, 0
"""Colours (of the palette of segments) for B predicting worse and better than A: orange and
blue."""


def difference_bars(found: Sequence[Difference], *, dark: bool) -> go.Figure:
    """The largest differences, each as a share of what it could be; open bars: chance alone can do
    it."""
    shown = list(found[:MOST_BARS])
    colour = segment_colour(0, dark)
    doubted = [one.beyond == "no" for one in shown]
    figure = go.Figure(
        go.Bar(
            x=in_percent([one.size for one in shown]).tolist(),
            y=list(range(len(shown))),
            orientation="h",
            marker={
                "color": ["rgba(0,0,0,0)" if doubt else colour for doubt in doubted],
                "line": {
                    "color": [SHARED_COLOUR if doubt else colour for doubt in doubted],
                    "width": 1.5,
                },
            },
            customdata=[
                [escaped(one.words, 300), TOLD[one.beyond], percent(one.size)] for one in shown
            ],
            hovertemplate="%{customdata[0]}<br>%{customdata[2]} · %{customdata[1]}<extra></extra>",
        )
    )
    figure.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=[escaped(one.what, 44) for one in shown],
        autorange="reversed",
        showgrid=False,
    )
    figure.update_xaxes(
        title="size of the difference", rangemode="tozero", nticks=3, tickangle=0, **PERCENT_AXIS
    )
    figure.update_layout(height=90 + 26 * len(shown), bargap=0.35, showlegend=False)
    return style(figure, dark)


def difference_table(found: Sequence[Difference]) -> pd.DataFrame:
    return pd.DataFrame(difference_rows(found))


def loss_dots(losses: LossComparison, *, dark: bool) -> go.Figure:
    """B less A by context, with intervals; above 0 B predicts worse."""
    names = [*losses.contexts, "mean over contexts"]
    value = losses.difference
    read = np.flatnonzero(np.isfinite(value[:-1]))
    order = [len(names) - 1, *read[np.argsort(-np.abs(value[read]), kind="stable")].tolist()]
    if len(losses.contexts) == 1:
        order = order[:1]
    worse, better = segment_colour(WORSE, dark), segment_colour(BETTER, dark)
    colours = [worse if value[place] > 0 else better for place in order]
    told = [bool(losses.low[place] > 0 or losses.high[place] < 0) for place in order]
    figure = go.Figure()
    for row, place in enumerate(order):
        if np.isfinite(losses.low[place]):
            limits = [losses.low[place], losses.high[place]]
            figure.add_scatter(
                x=limits,
                y=[row, row],
                mode="lines",
                line={"color": colours[row], "width": 3},
                hoverinfo="skip",
            )
    documents = [*losses.documents_by_context.tolist(), int(losses.documents_by_context.sum())]
    figure.add_scatter(
        x=value[order],
        y=list(range(len(order))),
        mode="markers",
        marker={
            "symbol": ["circle" if known else "circle-open" for known in told],
            "size": 10,
            "color": colours,
            "line": {"width": 2, "color": colours},
        },
        customdata=[
            [
                escaped(names[p], 40),
                losses.loss_by_context[p],
                losses.other_by_context[p],
                losses.low[p],
                losses.high[p],
                documents[p],
            ]
            for p in order
        ],
        hovertemplate=(
            "%{customdata[0]}<br>A %{customdata[1]:.4f}, B %{customdata[2]:.4f}<br>B less A"
            " <b>%{x:+.4f}</b> (%{customdata[3]:+.4f} to %{customdata[4]:+.4f})<br>n ="
            " %{customdata[5]} documents<extra></extra>"
        ),
    )
    figure.add_vline(x=0, line={"color": ink(dark).faint, "width": 1})
    figure.update_yaxes(
        tickvals=list(range(len(order))),
        ticktext=[escaped(names[p], 26) for p in order],
        range=[len(order) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_xaxes(title=f"B less A, {losses.unit}", range=whole_intervals(losses, order))
    figure.update_layout(height=100 + 28 * len(order), showlegend=False)
    return style(figure, dark)


def whole_intervals(losses: LossComparison, order: list[int]) -> tuple[float, float]:
    """From where to where the axis goes so that the ends of all intervals are seen: plotly would
    end it at the end of the longest, as if that were cut off."""
    ends = np.concatenate([[0.0], losses.difference[order], losses.low[order], losses.high[order]])
    first, last = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 0.04 * (last - first) or 0.01
    return first - room, last + room


def loss_table(losses: LossComparison) -> pd.DataFrame:
    """One row a context, and the mean over them."""
    return pd.DataFrame(
        {
            "context": [*losses.contexts, "mean over contexts"],
            "loss_a": losses.loss_by_context,
            "loss_b": losses.other_by_context,
            "b_less_a": losses.difference,
            "low": losses.low,
            "high": losses.high,
            "documents": [
                *losses.documents_by_context.tolist(),
                int(losses.documents_by_context.sum()),
            ],
            "unit": losses.unit,
        }
    )
