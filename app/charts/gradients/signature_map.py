"""Neuron signatures on a plane at one step, coloured by segment, strongest context or layer. Knows
no page and reads no files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from app.charts.theme import drawn, ink
from app.text.escape import escaped
from app.text.palette import (
    MUTED,
    context_colour,
    context_symbol,
    segment_colour,
    segment_name,
    segment_symbol,
)
from cpart_core.records.maps import NeuronMap

MOST_SVG_POINTS = 2_000
"""More points than this are drawn by WebGL."""
MOST_LARGE_POINTS = 10_000
"""More points than this are drawn smaller: they hide one another less, and a third of the pixels is
to be painted at each drag."""
MOST_TRAILS = 60
HEIGHT = 480
"""Pixels: the whole map is on the first screen of a small laptop, below run and step."""
LAYER_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star", "hexagon", "x")
COLOURINGS = ("segment", "strongest context", "layer")

Neurons = Collection[tuple[int, int]]
"""Neurons as (layer, neuron)."""


def layer_tone(layer: int, num_layers: int, dark: bool) -> str:
    """Layers are in order, so their colours are too: dark to light, always beside a symbol."""
    place = layer / max(1, num_layers - 1)
    return str(sample_colorscale("Viridis", [0.25 + 0.75 * place if dark else 0.85 * place])[0])


def groups(
    result: NeuronMap, at: int, colouring: str, dark: bool
) -> list[tuple[str, str, str, np.ndarray]]:
    """(name, colour, symbol, which points) of every trace, in order."""
    if colouring == "segment":
        of = result.segment[at]
        return [
            (segment_name(s), segment_colour(s, dark), segment_symbol(s), of == s)
            for s in np.unique(of).tolist()
        ]
    if colouring == "strongest context":
        of = result.strongest_context[at]
        names = [escaped(name, 28) for name in result.contexts]
        return [
            (
                names[c] if c >= 0 else "not measured",
                context_colour(c, dark),
                context_symbol(c),
                of == c,
            )
            for c in np.unique(of).tolist()
        ]
    if colouring == "layer":
        layers = np.unique(result.layer).tolist()
        last = max(layers) + 1
        return [
            (
                f"layer {n}",
                layer_tone(n, last, dark),
                LAYER_SYMBOLS[n % len(LAYER_SYMBOLS)],
                result.layer == n,
            )
            for n in layers
        ]
    raise ValueError(f"Neurons can be coloured by {', '.join(COLOURINGS)}; got {colouring!r}.")


def hover_lines(
    result: NeuronMap, at: int, typical: Sequence[Sequence[Sequence[str]]] | None
) -> np.ndarray:
    """[P] what the hover says of each neuron below layer and number: segment, strongest context,
    typical tokens where profiles are known."""
    names = [*(escaped(name, 40) for name in result.contexts), "nothing measured yet"]
    segments, which = np.unique(result.segment[at], return_inverse=True)
    words = [
        [f"{segment_name(number)}<br>strongest in {name}" for name in names]
        for number in segments.tolist()
    ]
    lines = np.array(words, dtype=object)[which, result.strongest_context[at]]
    if typical is not None:
        for place, (layer, neuron) in enumerate(
            zip(result.layer.tolist(), result.neuron.tolist(), strict=True)
        ):
            lines[place] += "<br>typical: " + " ".join(
                f"‘{escaped(token, 16)}’" for token in typical[layer][neuron]
            )
    return lines


def neuron_map(
    result: NeuronMap,
    step: int,
    colouring: str,
    *,
    selected: Neurons = (),
    trails: bool = False,
    typical: Sequence[Sequence[Sequence[str]]] | None = None,
    dark: bool,
) -> go.Figure:
    """The scatter at `step`, one of result.steps. customdata of a point is [layer, neuron]; what is
    not selected turns grey."""
    at = result.steps.index(step)
    position, hover = result.position[at], hover_lines(result, at, typical)
    chosen = is_selected(result, selected)
    size = 4 if len(position) > MOST_LARGE_POINTS else 7
    data: list[dict[str, Any]] = []
    for name, colour, symbol, mask in groups(result, at, colouring, dark):
        points = np.flatnonzero(mask)
        data.append(
            {
                "type": kind_for(len(position)),
                "x": position[points, 0],
                "y": position[points, 1],
                "mode": "markers",
                "name": name,
                "marker": {
                    "color": colour,
                    "symbol": symbol,
                    "size": size,
                    "opacity": 0.85,
                    "line": {"width": 0.5, "color": ink(dark).background},
                },
                # lists would be copied item by item, twice
                "customdata": np.column_stack([result.layer[points], result.neuron[points]]),
                "text": hover[points].tolist(),
                "hovertemplate": (
                    "<b>layer %{customdata[0]} · neuron"
                    " %{customdata[1]}</b><br>%{text}<extra></extra>"
                ),
                "selectedpoints": np.flatnonzero(chosen[points]).tolist() if chosen.any() else None,
                "selected": {"marker": {"opacity": 1.0, "size": size + 2}},
                "unselected": {"marker": {"color": MUTED[dark], "opacity": 0.45}},
            }
        )
    if trails and chosen.any():
        data.append(trail(result, np.flatnonzero(chosen)[:MOST_TRAILS], at, dark))
    layout = plane(result.position)
    if colouring == "segment" and len(np.unique(result.layer)) == 1:
        layout["annotations"] = group_labels(position, result.segment[at], dark)
    return drawn(data, layout, dark)


def kind_for(points: int) -> str:
    """SVG, which is sharp and can be saved as such, or WebGL, which still drags with tens of
    thousands."""
    return "scattergl" if points > MOST_SVG_POINTS else "scatter"


def is_selected(result: NeuronMap, selected: Neurons) -> np.ndarray:
    """[P] bool"""
    wanted = set(selected)
    return np.array(
        [
            pair in wanted
            for pair in zip(result.layer.tolist(), result.neuron.tolist(), strict=True)
        ],
        dtype=bool,
    )


def trail(result: NeuronMap, points: np.ndarray, at: int, dark: bool) -> dict[str, Any]:
    """The way of each selected neuron from the first snapshot to this step."""
    path = result.position[: at + 1, points]
    gap = np.full((1, len(points), 2), np.nan, dtype=path.dtype)
    line = np.concatenate([path, gap]).transpose(1, 0, 2).reshape(-1, 2)
    look = {
        "mode": "lines",
        "line": {"width": 1, "color": ink(dark).faint},
        "opacity": 0.6,
        "hoverinfo": "skip",
        "name": "the way here",
    }
    return {"type": "scatter", "x": line[:, 0], "y": line[:, 1], **look}


def group_labels(position: np.ndarray, segment: np.ndarray, dark: bool) -> list[dict[str, Any]]:
    """Annotations: the segment's number at the median of its neurons."""
    look = {
        "showarrow": False,
        "font": {"size": 14, "color": ink(dark).text},
        "bgcolor": ink(dark).background,
        "opacity": 0.85,
        "borderpad": 2,
    }
    numbers = np.unique(segment).tolist()
    middles = [np.median(position[segment == number], axis=0) for number in numbers]
    return [
        {
            "x": float(x),
            "y": float(y),
            "text": f"<b>{'shared' if number < 0 else number}</b>",
            **look,
        }
        for number, (x, y) in zip(numbers, middles, strict=True)
    ]


def plane(position: np.ndarray) -> dict[str, Any]:
    """The layout with the axes of a map: no numbers, since they mean nothing; one frame for all
    positions [..., 2], so that steps can be compared."""
    points = position.reshape(-1, 2)
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    room = 0.05 * np.maximum(high - low, 1e-6)
    bare = {
        "showticklabels": False,
        "ticks": "",
        "showgrid": False,
        "zeroline": False,
        "showline": True,
        "mirror": True,
        "linewidth": 1,
    }
    across, up = (
        [float(low[side] - room[side]), float(high[side] + room[side])] for side in (0, 1)
    )
    return {
        "xaxis": {"range": across, **bare},
        "yaxis": {"range": up, **bare},
        "height": HEIGHT,
        "dragmode": "lasso",
        "hovermode": "closest",
        "legend": {"itemsizing": "constant", "y": -0.02},
        "margin": {"t": 8},
    }


def neuron_table(result: NeuronMap, step: int) -> pd.DataFrame:
    """One row a point: layer, neuron, x, y, segment, strongest_context."""
    at = result.steps.index(step)
    names = np.array([*result.contexts, ""], dtype=object)
    return pd.DataFrame(
        {
            "layer": result.layer,
            "neuron": result.neuron,
            "x": result.position[at, :, 0],
            "y": result.position[at, :, 1],
            "segment": result.segment[at],
            "strongest_context": names[result.strongest_context[at]],
        }
    )
