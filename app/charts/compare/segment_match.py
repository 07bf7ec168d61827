"""The segments of two runs side by side: which match, how well against chance, and which contexts went
to another one. Knows no page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import PERCENT_AXIS, colorbar, hover_percent, in_percent, ink, style
from app.text.escape import escaped
from app.text.palette import SHARED_COLOUR, WEIGHT_SCALE, segment_colour
from cpart_core.records.comparison import SegmentComparison

MOST_PRINTED = 12
"""Up to this many segments the value is printed in its cell."""
CHANGED = {False: "#ffc199", True: "#8a4318"}
"""Behind a context whose strongest segment changed: the orange of WORSE, weak enough to read on."""


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
