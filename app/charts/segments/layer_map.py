"""The map layer x neuron of one snapshot, coloured by segment or by strongest context. Knows no
page and reads no files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import colorbar, drawn, ink
from app.text.escape import escaped
from app.text.palette import context_colour, segment_colour
from cpart_core.analysis.maps.neuron_map import relative_signature, strongest
from cpart_core.records.training import SHARED, Snapshot

MOST_LABELLED_LAYERS = 16
MOST_NAMED_CELLS = 60_000
"""Above this many neurons the hover leaves out the strongest context, so that the page stays
light."""


def short_name(segment: int) -> str:
    """What a block or a colour bar says of a segment: its number, or `shared`."""
    return "shared" if segment == SHARED else str(segment)


def bands(colours: Sequence[str]) -> list[list[float | str]]:
    """A plotly colour scale of equal flat steps. It ends at 1 exactly: of any other scale plotly
    silently makes its own."""
    return [
        [edge / len(colours), colour]
        for index, colour in enumerate(colours)
        for edge in (index, index + 1)
    ]


def strongest_context(snapshot: Snapshot) -> np.ndarray:
    """[L, N] int16: the context in which each neuron's signature is greatest relative to the
    layer's mean; -1 where none was measured."""
    return np.stack([strongest(layer) for layer in relative_signature(snapshot)])


def neuron_order(segment_of: np.ndarray, context_of: np.ndarray, by: str) -> np.ndarray:
    """[L, N] neuron numbers in drawing order: `neuron` by number, `segment` by segment (shared
    first), contexts together inside each."""
    if by == "neuron":
        return np.broadcast_to(np.arange(segment_of.shape[1]), segment_of.shape)
    if by != "segment":
        raise ValueError(f"Neurons can be ordered by neuron or segment; got {by!r}.")
    return np.lexsort((context_of, segment_of), axis=-1)


def segment_map(
    snapshot: Snapshot,
    contexts: Sequence[str],
    *,
    order: str,
    colour: str,
    selected: Collection[tuple[int, int]],
    dark: bool,
) -> go.Figure:
    """The heat map. `colour` is segment or context; neurons that are not in `selected` turn grey
    when anything is selected."""
    context_of = strongest_context(snapshot)
    neurons = neuron_order(snapshot.segment_of, context_of, order)
    segment = np.take_along_axis(snapshot.segment_of, neurons, axis=1)
    context = np.take_along_axis(context_of, neurons, axis=1)
    num_segments = snapshot.fusion_mass.shape[2]
    if colour == "segment":
        first, names = SHARED, [short_name(s) for s in range(SHARED, num_segments)]
        colours = [segment_colour(s, dark) for s in range(SHARED, num_segments)]
    else:
        first, names = -1, ["not measured", *(escaped(name, 24) for name in contexts)]
        colours = [context_colour(c, dark) for c in range(-1, len(contexts))]
    shown = segment if colour == "segment" else context
    if not shown.min() < 0:
        first, names, colours = 0, names[1:], colours[1:]
    rows, last = len(segment), first + len(names) - 1
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "z": first + last - shown,  # a colour bar begins at the bottom, people at the top
            "customdata": np.dstack([neurons, segment]).astype(np.int32),
            "text": context_text(context, contexts),
            "colorscale": bands(colours[::-1]),
            "zmin": first - 0.5,
            "zmax": last + 0.5,
            "ygap": 3,
            "hovertemplate": (
                "layer %{y} · neuron %{customdata[0]}<br>segment"
                " %{customdata[1]}%{text}<extra></extra>"
            ),
            "colorbar": {
                **colorbar(dark),
                "tickvals": list(range(last, first - 1, -1)),
                "ticktext": names,
            },
        }
    ]
    if selected:
        data.append(mask_unselected(neurons, selected, dark))
    layout = {
        "yaxis": {
            "title": {"text": "layer"},
            "range": [rows - 0.5, -0.5],
            "tickvals": list(range(rows)),
            "showgrid": False,
            "zeroline": False,
        },
        "xaxis": {
            "title": {"text": "neuron" if order == "neuron" else "neurons, ordered by segment"},
            "range": [-0.5, segment.shape[1] - 0.5],
            "showgrid": False,
            "zeroline": False,
            "showticklabels": order == "neuron",
        },
        "height": max(240, min(900, 110 + 44 * rows)),
    }
    if order == "segment":
        labels, strips = blocks(segment, dark)
        data.append(labels)
        layout["shapes"] = strips if colour == "context" else []
    return drawn(data, layout, dark)


def context_text(context: np.ndarray, contexts: Sequence[str]) -> np.ndarray | None:
    """[L, N] the line of the hover that names the strongest context, or None for very large
    models."""
    if context.size > MOST_NAMED_CELLS:
        return None
    lines = np.array(
        [f"<br>strongest in {escaped(name, 40)}" for name in contexts]
        + ["<br>no signature measured yet"]
    )
    return lines[context]  # not of objects: plotly copies every one of those by itself


def mask_unselected(
    neurons: np.ndarray, selected: Collection[tuple[int, int]], dark: bool
) -> dict[str, Any]:
    """A nearly opaque sheet over every neuron that is not selected."""
    covered = np.ones(neurons.shape, dtype=np.float32)
    place = np.argsort(neurons, axis=1)
    for layer, neuron in selected:
        if 0 <= layer < neurons.shape[0] and 0 <= neuron < neurons.shape[1]:
            covered[layer, place[layer, neuron]] = np.nan
    sheet = ink(dark).panel
    look = {
        "colorscale": [[0, sheet], [1, sheet]],
        "opacity": 0.86,
        "showscale": False,
        "hoverinfo": "skip",
        "ygap": 3,
    }
    return {"type": "heatmap", "z": covered, **look}


def blocks(segment: np.ndarray, dark: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The segment's number in the middle of each block of at least 1/40 of the layer, the second
    cue beside colour, as one trace: annotations take the browser four times as long. And a line
    above each block, for the map whose cells are coloured by context: in no colour, since a
    segment's beside those of contexts would be taken for one of them.
    """
    strips, middles = [], []
    for layer, row in enumerate(segment[:MOST_LABELLED_LAYERS]):
        edges = np.flatnonzero(np.diff(row)) + 1
        for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(row)], strict=True):
            if end - start < len(row) / 40:
                continue
            number = int(row[start])
            edge = {"x0": start - 0.4, "x1": end - 0.6, "y0": layer - 0.46, "y1": layer - 0.41}
            strips.append(
                {"type": "rect", **edge, "fillcolor": ink(dark).faint, "line": {"width": 0}}
            )
            middles.append(((start + end - 1) / 2, layer, short_name(number)))
    x, y, names = zip(*middles, strict=True) if middles else ((), (), ())
    labels = {
        "type": "scatter",
        "x": list(x),
        "y": list(y),
        "text": list(names),
        "mode": "markers+text",
        # A thick line under each number; it is 1.4 times as long as its size says.
        "marker": {
            "symbol": "line-ew",
            "size": [(7 * len(name) + 5) / 1.4 for name in names],
            "line": {"width": 19, "color": "rgba(0,0,0,0.45)"},
        },
        "textfont": {"size": 12, "color": "white"},
        "showlegend": False,
        "hoverinfo": "skip",
    }
    return labels, strips


def segment_map_table(snapshot: Snapshot, contexts: Sequence[str]) -> pd.DataFrame:
    """One row a neuron: layer, neuron, segment (-1 is the shared one), strongest_context."""
    num_layers, num_neurons = snapshot.segment_of.shape
    names = np.array([*contexts, ""], dtype=object)
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(num_layers), num_neurons),
            "neuron": np.tile(np.arange(num_neurons), num_layers),
            "segment": snapshot.segment_of.ravel(),
            "strongest_context": names[strongest_context(snapshot).ravel()],
        }
    )
