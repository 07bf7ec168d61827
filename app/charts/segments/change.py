"""How neurons move between segments over training: churn by layer, and the flow from partition to
partition. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from app.charts.theme import PERCENT_AXIS, colorbar, drawn, hover_percent, in_percent, ink, style
from app.text.palette import WEIGHT_SCALE, rgba, segment_colour
from cpart_core.records.change import Flow

MOST_BANDS = 16
"""More segments than this are drawn as a matrix: a river of hundreds of bands cannot be read."""
LAYER_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star", "hexagon", "x")


def churn_figure(flows: Sequence[Flow], *, dark: bool) -> go.Figure:
    """A line a layer: the share of neurons in another segment than at the snapshot before."""
    steps = [flow.to_step for flow in flows]
    churn = np.array([flow.churn for flow in flows])
    num_layers = churn.shape[1]
    tones = sample_colorscale(
        "Viridis", np.linspace(0.25 if dark else 0.0, 1.0 if dark else 0.8, num_layers).tolist()
    )
    lines = [
        {
            "type": "scatter",
            "x": steps,
            "y": in_percent(churn[:, layer]),
            "name": f"layer {layer}",
            "mode": "lines+markers",
            "line": {"color": tones[layer], "width": 2},
            "marker": {"symbol": LAYER_SYMBOLS[layer % len(LAYER_SYMBOLS)], "size": 8},
            "customdata": [flow.from_step for flow in flows],
            "hovertemplate": (
                f"layer {layer}<br>step %{{customdata}} → %{{x}}<br>{hover_percent('y')} of its"
                " neurons moved<extra></extra>"
            ),
        }
        for layer in range(num_layers)
    ]
    upright = {"title": {"text": "neurons that moved"}, "rangemode": "tozero", **PERCENT_AXIS}
    return drawn(
        lines, {"xaxis": {"title": {"text": "step"}}, "yaxis": upright, "height": 320}, dark
    )


def flow_river(flows: Sequence[Flow], layer: int, *, dark: bool) -> go.Figure:
    """Consecutive flows of one layer as one river: a column a snapshot, a band for every group of
    neurons that stays together."""
    num_segments = flows[0].moved.shape[1]
    steps = [flows[0].from_step, *(flow.to_step for flow in flows)]
    columns = len(steps)
    sources, targets, values, colours, words = [], [], [], [], []
    for column, flow in enumerate(flows):
        for start, end in zip(*np.nonzero(flow.moved[layer]), strict=True):
            count = int(flow.moved[layer, start, end])
            sources.append(column * num_segments + int(start))
            targets.append((column + 1) * num_segments + int(end))
            values.append(count)
            colours.append(rgba(segment_colour(int(start), dark), 0.30 if start == end else 0.62))
            words.append(
                f"{count} neurons: segment {start} at step {flow.from_step} → segment {end} at step"
                f" {flow.to_step}"
            )
    nodes = [(column, segment) for column in range(columns) for segment in range(num_segments)]
    middles = [node_middles(flows, column, layer) for column in range(columns)]
    river = {
        "type": "sankey",
        "arrangement": "fixed",
        "textfont": {"color": ink(dark).text, "size": 12, "shadow": "none"},
        "node": {
            "label": [
                str(segment) if column in (0, columns - 1) or columns <= 6 else ""
                for column, segment in nodes
            ],
            "color": [segment_colour(segment, dark) for _, segment in nodes],
            "x": [0.001 + 0.998 * column / (columns - 1) for column, _ in nodes],
            "y": [float(middles[column][segment]) for column, segment in nodes],
            "customdata": [
                f"segment {segment} at step {steps[column]}" for column, segment in nodes
            ],
            "hovertemplate": "%{customdata}: %{value} neurons<extra></extra>",
            "pad": 6,
            "thickness": 10,
            "line": {"width": 0},
        },
        "link": {
            "source": sources,
            "target": targets,
            "value": values,
            "color": colours,
            "customdata": words,
            "hovertemplate": "%{customdata}<extra></extra>",
        },
    }
    look = {"y": 1.02, "xref": "paper", "yref": "paper", "yanchor": "bottom", "showarrow": False}
    names = [
        {"x": column / (columns - 1), "text": f"{step:,}", **look}
        for column, step in enumerate(steps)
    ]
    return drawn(
        [river],
        {"height": 420, "margin": {"l": 16, "r": 16, "t": 44, "b": 16}, "annotations": names},
        dark,
    )


def joined(flows: Sequence[Flow]) -> list[Flow]:
    """Flows that follow each other, when intervals without any move were left out: each begins
    where the one before ended."""
    starts = [flows[0].from_step, *(flow.to_step for flow in flows[:-1])]
    return [replace(flow, from_step=start) for start, flow in zip(starts, flows, strict=True)]


def node_middles(flows: Sequence[Flow], column: int, layer: int) -> np.ndarray:
    """[S] height (0..1, from above) of the middle of each segment's node in one column."""
    sizes = (
        flows[0].moved[layer].sum(axis=1)
        if column == 0
        else flows[column - 1].moved[layer].sum(axis=0)
    )
    share = sizes / max(1, sizes.sum())
    return np.clip(np.cumsum(share) - share / 2, 0.001, 0.999)


def flow_matrix(flow: Flow, layer: int, *, dark: bool) -> go.Figure:
    """Segment before x segment after, for one layer: neurons off the diagonal are those that
    moved."""
    moved = flow.moved[layer]
    num_segments = len(moved)
    figure = go.Figure(
        go.Heatmap(
            z=moved,
            colorscale=WEIGHT_SCALE,
            zmin=0,
            xgap=1,
            ygap=1,
            texttemplate="%{z}" if num_segments <= MOST_BANDS else None,
            colorbar=colorbar(dark, "neurons"),
            hovertemplate=(
                f"segment %{{y}} at {flow.from_step} → segment %{{x}} at {flow.to_step}<br>%{{z}}"
                " neurons<extra></extra>"
            ),
        )
    )
    figure.update_yaxes(
        title=f"segment at step {flow.from_step}",
        autorange="reversed",
        dtick=max(1, num_segments // 16),
        showgrid=False,
    )
    figure.update_xaxes(
        title=f"segment at step {flow.to_step}", dtick=max(1, num_segments // 16), showgrid=False
    )
    figure.update_layout(height=min(620, 170 + 30 * num_segments))
    return style(figure, dark)


def flow_table(flows: Sequence[Flow]) -> pd.DataFrame:
    """One row for every non-empty flow: from_step, to_step, layer, from_segment, to_segment,
    neurons."""
    rows = [
        (
            flow.from_step,
            flow.to_step,
            int(layer),
            int(start),
            int(end),
            int(flow.moved[layer, start, end]),
        )
        for flow in flows
        for layer, start, end in zip(*np.nonzero(flow.moved), strict=True)
    ]
    return pd.DataFrame(
        rows, columns=["from_step", "to_step", "layer", "from_segment", "to_segment", "neurons"]
    )


def churn_table(flows: Sequence[Flow]) -> pd.DataFrame:
    """One row a pair of snapshots and layer: from_step, to_step, layer, churn."""
    rows = [
        (flow.from_step, flow.to_step, layer, float(churn))
        for flow in flows
        for layer, churn in enumerate(flow.churn)
    ]
    return pd.DataFrame(rows, columns=["from_step", "to_step", "layer", "churn"])
