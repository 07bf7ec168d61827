"""Context x segment x layer: how much of the fusion each segment gets on each context. Knows no
page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import colorbar, drawn, ink
from app.text.escape import escaped
from app.text.palette import WEIGHT_SCALE

MOST_PRINTED = 12
"""Up to this many segments the value is printed in its cell, so that nothing is said by colour
alone."""


@dataclass(frozen=True)
class Measure:
    """One quantity of the context x segment heat map."""

    name: str
    label: str
    """On the button that chooses it: three of them fit a narrow screen."""
    title: str
    meaning: str


MASS = Measure(
    "mass",
    "mean weight",
    "mean fusion weight",
    "mean fusion weight (alpha) on the context's validation tokens; a context's weights sum to 1",
)
CHOSEN = Measure(
    "chosen",
    "share of tokens",
    "share of tokens that use it",
    "share of the context's validation tokens for which the segment is computed",
)
CONTRIBUTION = Measure(
    "contribution",
    "output norm",
    "norm of its output",
    "mean norm of the segment's weighted output on the context's validation tokens",
)
MEASURES = (MASS, CHOSEN, CONTRIBUTION)


def context_heat(
    values: np.ndarray,
    tokens: np.ndarray,
    contexts: Sequence[str],
    layers: Sequence[int],
    measure: Measure,
    *,
    dark: bool,
    marked: int | None = None,
) -> go.Figure:
    """values [L, C, S], tokens [C] (the n of each number): rows are contexts, layer under layer;
    columns are segments."""
    num_contexts, num_segments = values.shape[1:]
    rows = [(layer, context) for layer in layers for context in range(num_contexts)]
    names = [escaped(name, 22) for name in contexts]
    shown = values[list(layers)].reshape(len(rows), num_segments).astype(np.float64)
    places = [row_place(index, num_contexts) for index in range(len(rows))]
    heat = {
        "type": "heatmap",
        "z": shown,
        "y": places,
        "x": list(range(num_segments)),
        "colorscale": WEIGHT_SCALE,
        "zmin": 0,
        "zmax": 1 if measure is CHOSEN else None,
        "xgap": 2,
        "ygap": 2,
        "texttemplate": "%{z:.2f}" if num_segments <= MOST_PRINTED else None,
        "customdata": [
            [(layer, names[context], int(tokens[context])) for _ in range(num_segments)]
            for layer, context in rows
        ],
        "hovertemplate": (
            "layer %{customdata[0]} · segment %{x}<br>%{customdata[1]}<br>"
            + measure.title
            + " <b>%{z:.3f}</b><br>n = %{customdata[2]:,} tokens<extra></extra>"
        ),
        "colorbar": colorbar(dark, measure.title),
    }
    layout: dict[str, Any] = {
        "yaxis": {
            "tickvals": places,
            "ticktext": [names[context] for _, context in rows],
            "range": [places[-1] + 0.6, -1.7],
            "showgrid": False,
            "zeroline": False,
        },
        "xaxis": {
            "title": {"text": "segment"},
            "dtick": max(1, num_segments // 16),
            "showgrid": False,
            "zeroline": False,
        },
        "height": 110 + 24 * len(rows) + 34 * len(layers),
        "annotations": layer_names(layers, num_contexts),
    }
    if marked is not None and 0 <= marked < num_segments:
        frame = {"line": {"color": ink(dark).text, "width": 2}, "fillcolor": "rgba(0,0,0,0)"}
        layout["shapes"] = [
            {
                "type": "rect",
                "x0": marked - 0.5,
                "x1": marked + 0.5,
                "y0": 0,
                "y1": 1,
                "xref": "x",
                "yref": "y domain",
                **frame,
            }
        ]
    return drawn([heat], layout, dark)


def layer_names(layers: Sequence[int], num_contexts: int) -> list[dict[str, Any]]:
    """A name above each layer's rows, as annotations."""
    look = {"x": 0, "xref": "paper", "showarrow": False, "xanchor": "left", "yanchor": "bottom"}
    places = [
        row_place(number * num_contexts, num_contexts) - 0.62 for number in range(len(layers))
    ]
    return [
        {"y": place, "text": f"<b>layer {layer}</b>", **look}
        for place, layer in zip(places, layers, strict=True)
    ]


def row_place(index: int, num_contexts: int) -> float:
    """Height of a row, in rows: a gap of 1.4 rows above each layer holds its name."""
    return index + 1.4 * (index // num_contexts)


def remarkable(mass: np.ndarray, top_k: int) -> tuple[np.ndarray, np.ndarray]:
    """(dead, ever present), both [L, S] bool, of mass [L, C, S] by the rules of SegmentProfiles. A
    context without text has no say."""
    num_segments = mass.shape[2]
    count = min(top_k, num_segments)
    measured = np.isfinite(mass).all(axis=(0, 2))
    known = mass[:, measured]
    rank = np.argsort(np.argsort(-known, axis=2, kind="stable"), axis=2)
    dead = (known < 0.1 / num_segments).all(axis=1)
    present = (rank < count).all(axis=1) & (count < num_segments)
    return dead & measured.any(), present & measured.any()


def context_table(
    values: np.ndarray, tokens: np.ndarray, contexts: Sequence[str], measure: Measure
) -> pd.DataFrame:
    """values [L, C, S] as rows: layer, context, segment, the measure, n (tokens)."""
    layer, context, segment = np.indices(values.shape)
    return pd.DataFrame(
        {
            "layer": layer.ravel(),
            "context": np.array(contexts, dtype=object)[context.ravel()],
            "segment": segment.ravel(),
            measure.name: values.ravel(),
            "n": np.asarray(tokens)[context.ravel()],
        }
    )
