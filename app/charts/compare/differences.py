"""Two runs side by side: how large each difference is, losses by context, matched segments,
contexts that went elsewhere. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import PERCENT_AXIS, colorbar, hover_percent, in_percent, ink, style
from app.text.escape import escaped
from app.text.palette import SHARED_COLOUR, WEIGHT_SCALE, segment_colour
from cpart_core.analysis.compare.differences import TOLD, Difference, difference_rows
from cpart_core.records.comparison import LossComparison, SegmentComparison
from cpart_core.wording.percent import percent

MOST_BARS = 14
MOST_PRINTED = 12
"""Up to this many segments the value is printed in its cell."""
WORSE, BETTER = 1, 0
"""Colours (of the palette of segments) for B predicting worse and better than A: orange and
blue."""
CHANGED = {False: "#ffc199", True: "#8a4318"}
"""Behind a context whose strongest segment changed: the orange of WORSE, weak enough to read on."""


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


def order_of_other(result: SegmentComparison, layer: int) -> list[int]:
    """B's segments so that matched ones lie on the diagonal, those left over last."""
    matched = [int(segment) for segment in result.match[layer] if segment >= 0]
    return matched + [
        segment for segment in range(result.similarity.shape[2]) if segment not in matched
    ]


def swatch(segment: int, name: int, dark: bool) -> str:
    """A tick label: colour and number."""
    return f"<span style='color:{segment_colour(segment, dark)}'>■</span> {name}"


def match_heat(result: SegmentComparison, layer: int, *, dark: bool) -> go.Figure:
    """Segments of A x segments of B, matched ones on the diagonal and framed; the colours are those
    of the running text."""
    columns = order_of_other(result, layer)
    shown = result.similarity[layer][:, columns]
    counted = result.method == "neurons"
    small = max(shown.shape) <= MOST_PRINTED
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            colorscale=WEIGHT_SCALE if counted else "RdBu_r",
            zmin=0 if counted else -1,
            zmax=None if counted else 1,
            xgap=2,
            ygap=2,
            texttemplate=("%{z:.0f}" if counted else "%{z:.2f}") if small else None,
            customdata=[[(row, column) for column in columns] for row in range(len(shown))],
            hovertemplate=(
                "A's segment %{customdata[0]} · B's segment %{customdata[1]}<br><b>%{z:.3~g}</b> "
            )
            + ("neurons in both" if counted else "correlation over contexts")
            + "<extra></extra>",
            colorbar=colorbar(dark, "neurons in both" if counted else "correlation"),
        )
    )
    for row, segment in enumerate(result.match[layer].tolist()):
        if segment >= 0:
            x = columns.index(segment)
            figure.add_shape(
                type="rect",
                x0=x - 0.5,
                x1=x + 0.5,
                y0=row - 0.5,
                y1=row + 0.5,
                line={"color": ink(dark).text, "width": 2},
            )
    inverse = result.of_other[layer]
    rows = list(range(len(shown)))
    figure.update_xaxes(
        title="segment of B",
        tickvals=list(range(len(columns))),
        ticktext=[swatch(int(inverse[segment]), segment, dark) for segment in columns],
        showgrid=False,
    )
    figure.update_yaxes(
        title="segment of A",
        tickvals=rows,
        ticktext=[swatch(row, row, dark) for row in rows],
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_layout(height=110 + max(30 * len(rows), 120))
    return style(figure, dark)


def match_table(result: SegmentComparison) -> pd.DataFrame:
    """One row for each layer and pair of segments."""
    layer, first, second = np.indices(result.similarity.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "layer": layer,
            "segment_a": first,
            "segment_b": second,
            (
                "neurons_in_both" if result.method == "neurons" else "correlation"
            ): result.similarity.ravel(),
            "matched": result.match[layer, first] == second,
        }
    )


def agreement_dots(result: SegmentComparison, *, dark: bool) -> go.Figure:
    """A point a layer against what chance gives (bar: from its mean to 97.5 % of the shuffles)."""
    layers = len(result.agreement) - 1
    names = [*(f"layer {layer}" for layer in range(layers)), "mean"]
    neurons = result.method == "neurons"
    value, mean, high = (
        in_percent(part) if neurons else part
        for part in (result.agreement, result.null_mean, result.null_high)
    )
    shown = [
        hover_percent(field) if neurons else f"%{{{field}:.3f}}"
        for field in ("y", "customdata[0]", "customdata[1]")
    ]
    figure = go.Figure()
    for place in range(layers + 1):
        figure.add_scatter(
            x=[place, place],
            y=[mean[place], high[place]],
            mode="lines",
            line={"color": SHARED_COLOUR, "width": 10},
            name="by chance, mean to 97.5 %",
            showlegend=place == 0,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=list(range(layers + 1)),
        y=value,
        mode="markers",
        name="matched",
        marker={"color": segment_colour(0, dark), "size": 11, "symbol": "diamond"},
        customdata=np.stack([mean, high], axis=1),
        hovertemplate=f"{shown[0]}<br>by chance {shown[1]}, 97.5 % below {shown[2]}<extra></extra>",
    )
    figure.update_xaxes(tickvals=list(range(layers + 1)), ticktext=names, showgrid=False)
    figure.update_yaxes(
        title="neurons in matched segments" if neurons else "mean correlation",
        range=[0, 105] if neurons else [min(-0.05, float(value.min()) - 0.05), 1.05],
        **(PERCENT_AXIS if neurons else {"tickformat": ".1f"}),
    )
    figure.update_layout(height=320)
    return style(figure, dark)


def agreement_table(result: SegmentComparison) -> pd.DataFrame:
    names = [*(str(layer) for layer in range(len(result.agreement) - 1)), "mean"]
    return pd.DataFrame(
        {
            "layer": names,
            "agreement": result.agreement,
            "null_mean": result.null_mean,
            "null_high": result.null_high,
            "neurons_moved": result.moved,
            "method": result.method,
        }
    )


def context_grid(result: SegmentComparison, *, dark: bool) -> go.Figure:
    """Layers x contexts: the strongest segment in A, and in B by A's numbers; filled where it is
    another one."""
    told = np.where(result.compared, result.changed.astype(float), np.nan)
    inverse = result.of_other
    layers, contexts = told.shape
    words = [
        [
            pair(
                int(result.strongest[layer, c]),
                int(result.other_strongest[layer, c]),
                inverse[layer],
            )
            for c in range(contexts)
        ]
        for layer in range(layers)
    ]
    names = [escaped(name, 22) for name in result.contexts]
    figure = go.Figure(
        go.Heatmap(
            z=told.T,
            text=np.array(words, dtype=object).reshape(layers, contexts).T,
            texttemplate="%{text}" if layers <= MOST_PRINTED else None,
            colorscale=[[0, ink(dark).panel], [1, CHANGED[dark]]],
            textfont={"color": ink(dark).text},
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            showscale=False,
            hovertemplate=(
                "layer %{x}<br>%{y}<br>A → B (by A's numbers): <b>%{text}</b><extra></extra>"
            ),
        )
    )
    figure.update_xaxes(title="layer", tickvals=list(range(layers)), showgrid=False)
    figure.update_yaxes(
        tickvals=list(range(contexts)), ticktext=names, range=[contexts - 0.5, -0.5], showgrid=False
    )
    figure.update_layout(height=100 + 28 * contexts)
    return style(figure, dark)


def pair(first: int, second: int, inverse_Q: np.ndarray) -> str:
    """'3' where it stays, '3 → 5' where it changes; '?' for a segment of B without a match."""
    if first < 0 or second < 0:
        return "–"
    there = int(inverse_Q[second])
    return str(first) if there == first else f"{first} → {there if there >= 0 else '?'}"


def context_table(result: SegmentComparison) -> pd.DataFrame:
    """One row for each layer and context."""
    layer, context = np.indices(result.strongest.shape).reshape(2, -1)
    return pd.DataFrame(
        {
            "layer": layer,
            "context": [result.contexts[number] for number in context],
            "strongest_a": result.strongest.ravel(),
            "strongest_b": result.other_strongest.ravel(),
            "compared": result.compared.ravel(),
            "changed": result.changed.ravel(),
        }
    )
