"""When segments came to mean what they mean: information, agreement with the end, and churn over
the snapshots. Knows no page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from app.charts.segments.change import LAYER_SYMBOLS
from app.charts.theme import PERCENT_AXIS, drawn, hover_percent, in_percent, ink
from cpart_core.records.change import Saturation

PANELS = (
    ("context_information", "I(S;C), bits", False, "%{y:.3f} bits"),
    (
        "agreement",
        "same choice as last",
        True,
        f"{hover_percent('y')} of the last snapshot's choice",
    ),
    ("churn", "neurons moved", True, f"{hover_percent('y')} of its neurons moved"),
)
"""Field of Saturation, title, whether it is a share, hover."""
HEIGHTS = ((0.622, 1.0), (0.248, 0.572), (0.0, 0.198))
"""Where each panel begins and ends, from below."""


def saturation_figure(result: Saturation, *, dark: bool) -> go.Figure:
    """Three panels over one another with the same steps; a line a layer."""
    num_layers = result.agreement.shape[1]
    tones = sample_colorscale(
        "Viridis", np.linspace(0.25 if dark else 0.0, 1.0 if dark else 0.8, num_layers).tolist()
    )
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"height": 560, "legend": {"y": -0.1}}
    for row, (field, title, share, hover) in enumerate(PANELS, start=1):
        values, number = getattr(result, field), "" if row == 1 else str(row)
        values = in_percent(values) if share else values
        for layer in range(num_layers):
            data.append(
                {
                    "type": "scatter",
                    "x": list(result.steps),
                    "y": values[:, layer],
                    "xaxis": f"x{number}",
                    "yaxis": f"y{number}",
                    "name": f"layer {layer}",
                    "legendgroup": f"layer {layer}",
                    "showlegend": row == 1,
                    "mode": "lines+markers",
                    "line": {"color": tones[layer], "width": 2},
                    "marker": {"symbol": LAYER_SYMBOLS[layer % len(LAYER_SYMBOLS)], "size": 7},
                    "hovertemplate": f"layer {layer}, step %{{x}}<br>{hover}<extra></extra>",
                }
            )
        upright = {
            "title": {"text": title},
            "rangemode": "tozero",
            "domain": list(HEIGHTS[row - 1]),
        }
        layout[f"yaxis{number}"] = {
            **upright,
            **(PERCENT_AXIS if share else {"tickformat": ".2f"}),
            "anchor": f"x{number}",
        }
        # One axis of steps: the lowest panel's, which the others follow without numbers of their
        # own.
        own = (
            {"title": {"text": "step"}}
            if row == len(PANELS)
            else {"matches": f"x{len(PANELS)}", "showticklabels": False}
        )
        layout[f"xaxis{number}"] = {"anchor": f"y{number}", **own}
    layout["yaxis2"]["range"] = [0, 104]
    line = {"width": 1, "dash": "dot", "color": ink(dark).faint}
    layout["shapes"] = [
        {
            "type": "line",
            "x0": 0,
            "x1": 1,
            "xref": "x2 domain",
            "y0": 100,
            "y1": 100,
            "yref": "y2",
            "line": line,
        }
    ]
    return drawn(data, layout, dark)


def saturation_table(result: Saturation) -> pd.DataFrame:
    """One row a snapshot and layer."""
    place, layer = np.indices(result.agreement.shape)
    return pd.DataFrame(
        {
            "step": np.array(result.steps)[place.ravel()],
            "layer": layer.ravel(),
            "context_information_bits": result.context_information.ravel(),
            "agreement_with_last": result.agreement.ravel(),
            "churn": result.churn.ravel(),
        }
    )


def settled_step(result: Saturation, share: float = 0.9) -> int | None:
    """The first step from which the mean agreement over layers stays at `share` or more; None when
    only the last one does."""
    below = np.flatnonzero(result.agreement.mean(axis=1) < share)
    first = 0 if not len(below) else int(below[-1]) + 1
    return result.steps[first] if first < len(result.steps) - 1 else None
