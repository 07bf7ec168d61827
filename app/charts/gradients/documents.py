"""Gradients of validation documents on a plane, coloured by context or by the segment they use
most. Knows no page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.gradients.signature_map import kind_for, plane
from app.charts.theme import drawn, ink
from app.text.escape import escaped
from app.text.palette import (
    context_colour,
    context_symbol,
    segment_colour,
    segment_name,
    segment_symbol,
)
from cpart_core.records.maps import DocumentMap

COLOURINGS = ("context", "strongest segment")


def document_map(result: DocumentMap, colouring: str, layer: int, *, dark: bool) -> go.Figure:
    """The scatter of documents; `layer` says whose strongest segment is meant. The hover shows
    title, excerpt, loss and n."""
    hover = document_hover(result, layer)
    data: list[dict[str, Any]] = []
    for name, colour, symbol, mask in groups(result, colouring, layer, dark):
        points = np.flatnonzero(mask)
        data.append(
            {
                "type": kind_for(len(result.position)),
                "x": result.position[points, 0],
                "y": result.position[points, 1],
                "mode": "markers",
                "name": name,
                "marker": {
                    "color": colour,
                    "symbol": symbol,
                    "size": 9,
                    "opacity": 0.9,
                    "line": {"width": 0.5, "color": ink(dark).background},
                },
                "customdata": points.tolist(),
                "text": hover[points].tolist(),
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    return drawn(data, plane(result.position) | {"height": 480, "dragmode": "zoom"}, dark)


def groups(
    result: DocumentMap, colouring: str, layer: int, dark: bool
) -> list[tuple[str, str, str, np.ndarray]]:
    """(name, colour, symbol, which documents) of every trace."""
    if colouring == "context":
        names = [escaped(name, 28) for name in result.contexts]
        return [
            (
                names[c] if c >= 0 else "unknown",
                context_colour(c, dark),
                context_symbol(c),
                result.context == c,
            )
            for c in np.unique(result.context).tolist()
        ]
    if colouring == "strongest segment":
        of = result.strongest_segment[layer]
        return [
            (segment_name(s), segment_colour(s, dark), segment_symbol(s), of == s)
            for s in np.unique(of).tolist()
        ]
    raise ValueError(f"Documents can be coloured by {', '.join(COLOURINGS)}; got {colouring!r}.")


def document_hover(result: DocumentMap, layer: int) -> np.ndarray:
    """[M] the card of each document."""
    names = [*(escaped(name, 40) for name in result.contexts), "unknown"]
    return np.array(
        [
            f"<b>{escaped(title, 60)}</b><br>{names[context]} · layer {layer}:"
            f" {segment_name(int(segment))}<br>loss {loss:.2f} nats a token, n = {tokens:,}"
            f" tokens<br><i>{escaped(excerpt, 80)}</i>"
            for title, excerpt, context, segment, loss, tokens in zip(
                result.title,
                result.excerpt,
                result.context,
                result.strongest_segment[layer],
                result.loss,
                result.tokens,
                strict=True,
            )
        ],
        dtype=object,
    )


def document_table(result: DocumentMap) -> pd.DataFrame:
    """One row a document: title, context, x, y, loss, tokens, the strongest segment of each layer,
    excerpt."""
    names = np.array([*result.contexts, ""], dtype=object)
    table = pd.DataFrame(
        {
            "title": list(result.title),
            "context": names[result.context],
            "x": result.position[:, 0],
            "y": result.position[:, 1],
            "loss": result.loss,
            "tokens": result.tokens,
        }
    )
    for layer, segments in enumerate(result.strongest_segment):
        table[f"segment_in_layer_{layer}"] = segments
    return table.assign(excerpt=list(result.excerpt))
