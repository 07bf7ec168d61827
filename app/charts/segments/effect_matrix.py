"""What taking each segment away costs each context, and how selective that is. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.segments.by_context import MOST_PRINTED, row_place
from app.charts.theme import colorbar, error_bars, ink, style
from app.text.escape import escaped
from app.text.palette import (
    context_colour,
    context_symbol,
    segment_colour,
    segment_name,
    segment_symbol,
)
from cpart_core.records.effects import AblationMatrix

LIGHT_SCALE = [[0.0, "#2b6c99"], [0.5, "#f3f5f8"], [1.0, "#b5490f"]]
DARK_SCALE = [[0.0, "#6fb3e0"], [0.5, "#191f29"], [1.0, "#ff9a55"]]
"""Better, no change, worse; apart for every reader, and the number is printed too."""
GREATEST, FAR_RIGHT = 100.0, 15.0
"""Selectivities are drawn up to this; a greater one stands at the edge and is said to be
greater."""
WHY = (
    "Fusion weights say how strongly a segment is used; taking it away says what it is worth."
    " Selectivity compares the loss on the context that a segment matters to most with the mean of"
    " the others: 1 is what chance gives. That context is chosen on half of the documents and the"
    " effect measured on the other half."
)


def effect_heat(matrix: AblationMatrix, layers: Sequence[int], *, dark: bool) -> go.Figure:
    """Rows are contexts, layer under layer; columns are segments; the number is the change of the
    loss when the segment is ablated."""
    num_contexts = len(matrix.contexts)
    rows = [(layer, context) for layer in layers for context in range(num_contexts)]
    names = [escaped(name, 22) for name in matrix.contexts]
    drawn = matrix.change[list(layers)]
    full = float(np.nanmax(np.abs(drawn))) if np.isfinite(drawn).any() else 1.0
    columns = [segment_label(number) for number in matrix.segments]
    shown, places, hover = with_gaps(matrix, rows, names)
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            x=list(range(len(columns))),
            y=places,
            colorscale=DARK_SCALE if dark else LIGHT_SCALE,
            zmin=-(full or 1.0),
            zmax=full or 1.0,
            xgap=2,
            ygap=2,
            texttemplate="%{z:.2f}" if len(columns) <= MOST_PRINTED + 1 else None,
            hoverongaps=False,
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            colorbar=colorbar(dark, "change of the loss, nats"),
        )
    )
    for number, layer in enumerate(layers):
        place = row_place(number * num_contexts, num_contexts) - 0.62
        figure.add_annotation(
            x=0,
            xref="paper",
            y=place,
            text=f"<b>layer {layer}</b>",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
        )
    figure.update_yaxes(
        tickvals=[row_place(index, num_contexts) for index in range(len(rows))],
        ticktext=[names[context] for _, context in rows],
        range=[row_place(len(rows) - 1, num_contexts) + 0.6, -1.7],
        showgrid=False,
    )
    every = max(1, len(columns) // 16)
    figure.update_xaxes(
        title="segment taken away",
        tickvals=list(range(0, len(columns), every)),
        ticktext=columns[::every],
        showgrid=False,
    )
    figure.update_layout(height=110 + 24 * len(rows) + 34 * len(layers))
    return style(figure, dark)


def with_gaps(
    matrix: AblationMatrix, rows: Sequence[tuple[int, int]], names: Sequence[str]
) -> tuple[np.ndarray, list[float], list[list[str]]]:
    """Values, heights and hover texts of the rows, with an empty row between two layers: cells
    reach half-way to their neighbours."""
    num_columns = len(matrix.segments)
    shown: list[np.ndarray] = []
    places: list[float] = []
    hover: list[list[str]] = []
    for index, (layer, context) in enumerate(rows):
        place = row_place(index, len(names))
        if index and context == 0:
            shown.append(np.full(num_columns, np.nan))
            places.append((places[-1] + place) / 2)
            hover.append([""] * num_columns)
        shown.append(matrix.change[layer, :, context])
        places.append(place)
        hover.append(
            [hover_of(matrix, layer, column, context, names) for column in range(num_columns)]
        )
    return np.stack(shown), places, hover


def segment_label(number: Any) -> str:
    return "shared" if number < 0 else str(int(number))


def hover_of(
    matrix: AblationMatrix, layer: int, column: int, context: int, names: Sequence[str]
) -> str:
    low, high = matrix.low[layer, column, context], matrix.high[layer, column, context]
    return (
        f"layer {layer} · {segment_name(int(matrix.segments[column]))} taken"
        f" away<br>{names[context]}<br>change of the sampled loss"
        f" <b>{matrix.change[layer, column, context]:+.4f}</b> nats, 95 % {low:+.4f} to"
        f" {high:+.4f}<br>n = {int(matrix.tokens_by_context[context]):,} tokens of"
        f" {int(matrix.documents_by_context[context])} documents"
    )


def ratio_words(value: float) -> str:
    if not np.isfinite(value):
        return "not known"
    return f"over {GREATEST:.0f}" if value > GREATEST else f"{value:.1f}"


def ratio_bars(value: np.ndarray, low: np.ndarray, high: np.ndarray, dark: bool) -> dict[str, Any]:
    """Bars of an interval around values that are cut off at the scale's ends, as they are."""
    ends = (1 / GREATEST, GREATEST)
    return error_bars(
        value, np.clip(low, *ends), np.clip(high, *ends), colour=ink(dark).faint, thickness=1.5
    )


def ratio_axis(figure: go.Figure, title: str, dark: bool) -> None:
    figure.add_vline(x=1, line={"color": ink(dark).faint, "width": 1, "dash": "dot"})
    figure.update_xaxes(
        title=title,
        type="log",
        tickvals=[0.01, 0.1, 1, 3, 10, 100],
        ticktext=["0.01", "0.1", "1", "3", "10", "100 +"],
        range=[-2.1, 2.1],
    )


def selectivity_dots(matrix: AblationMatrix, layer: int, *, dark: bool) -> go.Figure:
    """A segment of one layer a row: selectivity with its interval, on a log scale; the context it
    matters to is written beside it."""
    value = np.clip(matrix.selectivity[layer], 1 / GREATEST, GREATEST)
    owners = [escaped(matrix.contexts[own], 20) if own >= 0 else "" for own in matrix.own[layer]]
    figure = go.Figure(
        go.Scatter(
            x=value,
            y=[f"{segment_label(number)}" for number in matrix.segments],
            mode="markers+text",
            text=owners,
            textposition=["top left" if one > FAR_RIGHT else "top center" for one in value],
            textfont={"size": 11, "color": ink(dark).faint},
            marker={
                "size": 11,
                "color": [segment_colour(int(number), dark) for number in matrix.segments],
                "symbol": [
                    "circle" if number < 0 else segment_symbol(int(number))
                    for number in matrix.segments
                ],
            },
            error_x=ratio_bars(
                value, matrix.selectivity_low[layer], matrix.selectivity_high[layer], dark
            ),
            customdata=[
                [ratio_words(float(v)), ratio_words(float(low)), ratio_words(float(high))]
                for v, low, high in zip(
                    matrix.selectivity[layer],
                    matrix.selectivity_low[layer],
                    matrix.selectivity_high[layer],
                    strict=True,
                )
            ],
            hovertemplate=(
                "segment %{y}, matters most to %{text}<br>selectivity <b>%{customdata[0]}</b>, "
                "95 % %{customdata[1]} to %{customdata[2]}<extra></extra>"
            ),
            showlegend=False,
        )
    )
    ratio_axis(figure, "selectivity: loss on its own context / mean of the others", dark)
    figure.update_yaxes(title="segment", type="category", autorange="reversed")
    figure.update_layout(height=130 + 36 * len(matrix.segments))
    return style(figure, dark)


def strongest_dots(matrix: AblationMatrix, *, dark: bool) -> go.Figure:
    """A context a row: how selective the segment is that matters most to it, of all layers."""
    value = np.clip(matrix.strongest_selectivity, 1 / GREATEST, GREATEST)
    figure = go.Figure(
        go.Scatter(
            x=value,
            y=[escaped(name, 26) for name in matrix.contexts],
            mode="markers+text",
            text=[
                f"layer {layer}, {segment_name(int(matrix.segments[column]))}"
                for layer, column in matrix.strongest
            ],
            textposition=["top left" if one > FAR_RIGHT else "top center" for one in value],
            textfont={"size": 11, "color": ink(dark).faint},
            marker={
                "size": 11,
                "color": [context_colour(number, dark) for number in range(len(value))],
                "symbol": [context_symbol(number) for number in range(len(value))],
            },
            error_x=ratio_bars(value, matrix.strongest_low, matrix.strongest_high, dark),
            customdata=[
                [ratio_words(float(v)), ratio_words(float(low)), ratio_words(float(high))]
                for v, low, high in zip(
                    matrix.strongest_selectivity,
                    matrix.strongest_low,
                    matrix.strongest_high,
                    strict=True,
                )
            ],
            hovertemplate=(
                "%{y}: %{text}<br>selectivity <b>%{customdata[0]}</b>, 95 % %{customdata[1]} to"
                " %{customdata[2]}<extra></extra>"
            ),
            showlegend=False,
        )
    )
    ratio_axis(figure, "selectivity: loss on this context / mean of the others", dark)
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(height=130 + 36 * len(value))
    return style(figure, dark)


def matrix_table(matrix: AblationMatrix) -> pd.DataFrame:
    """One row a layer, segment and context."""
    layer, column, context = (index.ravel() for index in np.indices(matrix.change.shape))
    return pd.DataFrame(
        {
            "layer": layer,
            "segment": matrix.segments[column],
            "context": np.array(matrix.contexts, dtype=object)[context],
            "change": matrix.change.ravel(),
            "low_95": matrix.low.ravel(),
            "high_95": matrix.high.ravel(),
            "n_tokens": matrix.tokens_by_context[context],
            "n_documents": matrix.documents_by_context[context],
        }
    )


def selectivity_table(matrix: AblationMatrix) -> pd.DataFrame:
    layer, column = (index.ravel() for index in np.indices(matrix.selectivity.shape))
    own = matrix.own.ravel()
    return pd.DataFrame(
        {
            "layer": layer,
            "segment": matrix.segments[column],
            "own_context": [matrix.contexts[number] if number >= 0 else "" for number in own],
            "selectivity": matrix.selectivity.ravel(),
            "low_95": matrix.selectivity_low.ravel(),
            "high_95": matrix.selectivity_high.ravel(),
        }
    )


def strongest_table(matrix: AblationMatrix) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "context": matrix.contexts,
            "layer": matrix.strongest[:, 0],
            "segment": matrix.segments[matrix.strongest[:, 1]],
            "selectivity": matrix.strongest_selectivity,
            "low_95": matrix.strongest_low,
            "high_95": matrix.strongest_high,
            "n_tokens": matrix.tokens_by_context,
            "n_documents": matrix.documents_by_context,
        }
    )


def matrix_finding(matrix: AblationMatrix) -> str:
    """The greatest change in words."""
    if not np.isfinite(matrix.change).any():
        return "Nothing could be measured."
    layer, column, context = (
        int(part)
        for part in np.unravel_index(int(np.nanargmax(matrix.change)), matrix.change.shape)
    )
    name = segment_name(int(matrix.segments[column]))
    return (
        "Change of the loss when a segment is taken away. The greatest:"
        f" {matrix.change[layer, column, context]:+.2f} nats on {matrix.contexts[context]} without"
        f" {name} of layer {layer}."
    )


def verdict(matrix: AblationMatrix) -> str:
    """How many of the contexts have a segment of their own, in words."""
    known = np.isfinite(matrix.strongest_selectivity)
    clear = int((matrix.strongest_low[known] > 1).sum())
    if not known.any():
        return (
            "No context has enough documents to say whether a segment is its own: at least two are"
            " needed."
        )
    three = int((matrix.strongest_low[known] >= 3).sum())
    return (
        f"{clear} of {int(known.sum())} contexts have a segment that matters more to them than to"
        f" the others (interval above 1), {three} of them at least 3 times as much."
    )
