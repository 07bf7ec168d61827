"""What the live view of a training draws: boards of small panels as plain data, made small enough
to send every second.

No streamlit here. A board is what `live.js` lays out: panels side by side, as many in a row as the
width allows, with linked axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.charts.theme import ink, layout
from app.text.escape import escaped
from app.text.palette import WEIGHT_SCALE, discrete_scale, segment_colour, segment_symbol
from cpart_core.records.training import Snapshot
from cpart_core.runs.tables import EvaluationTable, RecordTable

MOST_NEURONS = 768
"""Columns of the live segment map; of wider layers every k-th neuron is drawn, which the caption
says."""

MOST_LAYERS = 8
"""Layers of the live fusion board, taken evenly."""


@dataclass(frozen=True)
class Board:
    """Panels for the browser. All plain JSON values."""

    panels: list[dict[str, Any]]
    """{"title": str, "traces": [plotly traces]}"""
    layout: dict[str, Any]
    xaxis: dict[str, Any]
    yaxis: dict[str, Any]
    panel_height: int
    """Pixels, without the title."""
    min_width: int
    """Pixels; a row holds as many panels as fit."""
    left: int
    """Pixels for the labels of the first column."""
    right: int = 10
    legend: bool = True

    def to_data(self) -> dict[str, Any]:
        return {**self.__dict__}


def numbers(values: np.ndarray, digits: int = 4) -> list[float | None]:
    """JSON numbers, rounded; NaN and infinity become gaps."""
    return [round(float(value), digits) if math.isfinite(value) else None for value in values]


def axes(
    dark: bool, x_title: str = "", y_title: str = ""
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(layout without axes, x axis, y axis)."""
    shared = layout(dark)
    x, y = shared.pop("xaxis"), shared.pop("yaxis")
    x = {**x, "automargin": False, "title": {**x["title"], "text": x_title}}
    y = {**y, "automargin": False, "title": {**y["title"], "text": y_title}}
    return shared, x, y


def loss_board(
    contexts: Sequence[str],
    records: RecordTable,
    evaluations: EvaluationTable,
    twins: Sequence[tuple[str, EvaluationTable]],
    steps: int,
    dark: bool,
) -> Board:
    """Loss of every context: training as a faint line, validation solid, twins (label, evaluations)
    dashed; the mean over contexts first."""
    shared, x, y = axes(dark)
    x = {**x, "range": [0, steps], "nticks": 4}
    panels = [
        panel(
            "mean over contexts",
            records.step,
            records.loss,
            evaluations.step,
            evaluations.loss,
            [(n, t.step, t.loss) for n, t in twins],
            dark,
        )
    ]
    if len(contexts) == records.loss_by_context.shape[1] == evaluations.loss_by_context.shape[1]:
        for place, context in enumerate(contexts):
            others = [
                (name, table.step, table.loss_by_context[:, place])
                for name, table in twins
                if table.loss_by_context.shape[1] > place
            ]
            train, held_out = (
                records.loss_by_context[:, place],
                evaluations.loss_by_context[:, place],
            )
            if not (np.isfinite(train).any() or np.isfinite(held_out).any()):
                continue  # a context that is still to be found
            panels.append(
                panel(
                    escaped(context, 40),
                    records.step,
                    train,
                    evaluations.step,
                    held_out,
                    others,
                    dark,
                )
            )
    for trace in panels[0]["traces"]:
        trace["showlegend"] = True
    seen = np.concatenate(
        [
            records.loss_by_context.reshape(-1),
            evaluations.loss_by_context.reshape(-1),
            evaluations.loss,
            records.loss,
        ]
    )
    seen = seen[np.isfinite(seen)]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    pad = 0.04 * (high - low) + 1e-3
    y = {**y, "nticks": 5, "range": [round(low - pad, 3), round(high + pad, 3)]}
    return Board(panels, shared, x, y, panel_height=112, min_width=140, left=34)


def panel(
    title: str,
    train_step: np.ndarray,
    train: np.ndarray,
    step: np.ndarray,
    held_out: np.ndarray,
    twins: Sequence[tuple[str, np.ndarray, np.ndarray]],
    dark: bool,
) -> dict[str, Any]:
    """One context's curves."""
    colours = ink(dark)
    main = segment_colour(6, dark)
    seen = np.isfinite(train)
    hover = "step %{x}: %{y:.3f} nats per token"
    traces: list[dict[str, Any]] = [
        line(
            "training batches",
            train_step[seen],
            train[seen],
            {"color": colours.faint, "width": 1},
            hover,
            opacity=0.45,
        ),
    ]
    for number, (name, twin_step, twin_loss) in enumerate(twins):
        dash = ("dash", "dot", "dashdot", "longdash")[number % 4]
        traces.append(
            line(
                f"{name} twin, sampled validation",
                twin_step,
                twin_loss,
                {"color": segment_colour(1, dark), "width": 1.8, "dash": dash},
                hover,
            )
        )
    traces.append(
        line(
            "sampled validation",
            step,
            held_out,
            {"color": main, "width": 2.4},
            hover,
            mode="lines+markers" if len(step) < 40 else "lines",
        )
    )
    return {"title": title, "traces": traces}


def line(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    style: dict[str, Any],
    hover: str,
    mode: str = "lines",
    opacity: float = 1.0,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "legendgroup": name,
        "showlegend": False,
        "x": [int(value) for value in x],
        "y": numbers(y),
        "line": style,
        "marker": {"size": 4, "color": style["color"]},
        "opacity": opacity,
        "hovertemplate": f"{name}<br>{hover}<extra></extra>",
        "connectgaps": False,
    }


def segment_board(snapshot: Snapshot, num_segments: int, dark: bool) -> Board:
    """Layer x neuron, coloured by segment, in the order of the neurons' own numbers."""
    layers, neurons = snapshot.segment_of.shape
    stride = math.ceil(neurons / MOST_NEURONS)
    shared_segment = bool((snapshot.segment_of < 0).any())
    heat = {
        "type": "heatmap",
        "z": snapshot.segment_of[:, ::stride].tolist(),
        "x": list(range(0, neurons, stride)),
        "y": [f"layer {layer}" for layer in range(layers)],
        "colorscale": discrete_scale(num_segments, dark, shared_segment),
        "zmin": -1.5 if shared_segment else -0.5,
        "zmax": num_segments - 0.5,
        "showscale": False,
        "ygap": 3,
        "hovertemplate": "%{y}, neuron %{x}<br>segment %{z}<extra></extra>",
        "opacity": 1.0 if snapshot.partitioned else 0.35,
    }
    key = [
        legend_entry(segment, dark)
        for segment in range(-1 if shared_segment else 0, min(num_segments, 24))
    ]
    shared, x, y = axes(dark, "neuron, by its own number")
    y = {**y, "autorange": "reversed", "type": "category", "showgrid": False, "ticks": ""}
    return Board(
        [{"title": "", "traces": [heat, *key]}],
        shared,
        {**x, "showgrid": False},
        y,
        panel_height=max(120, 34 * layers),
        min_width=10_000,
        left=58,
    )


def legend_entry(segment: int, dark: bool) -> dict[str, Any]:
    """A point nowhere, for the legend: colour and symbol of a segment."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [None],
        "y": [None],
        "name": "shared" if segment < 0 else str(segment),
        "marker": {
            "color": segment_colour(segment, dark),
            "symbol": segment_symbol(segment),
            "size": 10,
        },
        "showlegend": True,
        "hoverinfo": "skip",
    }


def shown_layers(num_layers: int) -> list[int]:
    """At most MOST_LAYERS of them, evenly, the first and the last included."""
    if num_layers <= MOST_LAYERS:
        return list(range(num_layers))
    return sorted(
        {round(place * (num_layers - 1) / (MOST_LAYERS - 1)) for place in range(MOST_LAYERS)}
    )


def fusion_board(snapshot: Snapshot, contexts: Sequence[str], dark: bool) -> Board:
    """Mean fusion weight of each segment on the validation text of each context, a panel a layer,
    one scale for all."""
    mass = snapshot.fusion_mass
    highest = float(np.nanmax(mass)) if np.isfinite(mass).any() else 1.0
    names = [escaped(context, 18) for context in contexts]
    panels = []
    layers = shown_layers(mass.shape[0])
    for layer in layers:
        heat = {
            "type": "heatmap",
            "z": [numbers(row, 3) for row in mass[layer]],
            "x": [str(segment) for segment in range(mass.shape[2])],
            "y": names,
            "zmin": 0,
            "zmax": highest,
            "colorscale": WEIGHT_SCALE,
            "showscale": layer == layers[-1],
            "colorbar": {
                "thickness": 8,
                "outlinewidth": 0,
                "len": 1,
                "x": 1.005,
                "tickfont": {"size": 10, "color": ink(dark).faint},
            },
            "xgap": 1,
            "ygap": 1,
            "hovertemplate": (
                f"layer {layer}, segment %{{x}}<br>%{{y}}: mean weight %{{z:.3f}}<extra></extra>"
            ),
        }
        panels.append({"title": f"layer {layer}", "traces": [heat]})
    shared, x, y = axes(dark)
    plain = {"showgrid": False, "ticks": "", "type": "category"}
    left = 22 + 6 * max((min(18, len(context)) for context in contexts), default=0)
    return Board(
        panels,
        shared,
        {**x, **plain},
        {**y, **plain, "autorange": "reversed"},
        22 * max(3, len(names)),
        132,
        left,
        right=44,
        legend=False,
    )
