"""When segments came to mean what they mean: information, agreement with the end, and churn over the snapshots. Knows no page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from app.charts.segments_change import LAYER_SYMBOLS
from app.charts.theme import ink, style
from cpart_core.analysis.results import Saturation

PANELS = (
    ("context_information", "I(S;C), bits", ".2f", "%{y:.3f} bits"),
    ("agreement", "same choice as last", ".0%", "%{y:.1%} of the last snapshot's choice"),
    ("churn", "neurons moved", ".0%", "%{y:.1%} of its neurons moved"),
)
"""Field of Saturation, title, format, hover."""


def saturation_figure(result: Saturation, *, dark: bool) -> go.Figure:
    """Three panels over one another with the same steps; a line a layer."""
    num_layers = result.agreement.shape[1]
    tones = sample_colorscale("Viridis", np.linspace(0.25 if dark else 0.0, 1.0 if dark else 0.8, num_layers).tolist())
    figure = make_subplots(rows=len(PANELS), shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.42, 0.36, 0.22])
    for row, (field, title, digits, hover) in enumerate(PANELS, start=1):
        values = getattr(result, field)
        for layer in range(num_layers):
            figure.add_scatter(
                x=list(result.steps),
                y=values[:, layer],
                name=f"layer {layer}",
                legendgroup=f"layer {layer}",
                showlegend=row == 1,
                mode="lines+markers",
                line={"color": tones[layer], "width": 2},
                marker={"symbol": LAYER_SYMBOLS[layer % len(LAYER_SYMBOLS)], "size": 7},
                hovertemplate=f"layer {layer}, step %{{x}}<br>{hover}<extra></extra>",
                row=row,
                col=1,
            )
        figure.update_yaxes(title=title, tickformat=digits, rangemode="tozero", row=row, col=1)
    figure.update_yaxes(range=[0, 1.04], row=2, col=1)
    figure.update_xaxes(title="step", row=len(PANELS), col=1)
    figure.update_layout(height=560, legend={"y": -0.1})
    figure.add_hline(y=1.0, line={"width": 1, "dash": "dot", "color": ink(dark).faint}, row=2, col=1)
    return style(figure, dark)


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
    """The first step from which the mean agreement over layers stays at `share` or more; None when only the last one does."""
    below = np.flatnonzero(result.agreement.mean(axis=1) < share)
    first = 0 if not len(below) else int(below[-1]) + 1
    return result.steps[first] if first < len(result.steps) - 1 else None
