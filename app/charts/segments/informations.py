"""Whether segments mean anything: the three informations beside chance and published figures, and
agreement over seeds. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import ink, style
from app.text.palette import MUTED
from cpart_core.analysis.segments.verdict import ANCHORS, rows, stability_rows
from cpart_core.records.specialization import Information, SegmentUse, Specialization, Stability

KINDS = (
    ("I(S;C)", "about the context", "circle", "#0b7f6d", "#3fc1ae"),
    ("I(S;T)", "about the token", "square", "#95600a", "#e0a33a"),
    ("I(S;C given T)", "about the context, the token known", "diamond", "#6a3d9a", "#b794f4"),
)
"""Name, meaning, symbol, colour on light and on dark of the three informations."""
APART = 0.24
"""Distance of the three points of one layer, in layers."""
CHANCE_WIDTH = 0.16


def informations_figure(result: Specialization, use: SegmentUse, *, dark: bool) -> go.Figure:
    """Bits of every layer and of their mean with 95 % interval, on grey bars that reach as far as
    97.5 % of the shuffles; then the anchors."""
    found = (use.context, use.token, use.context_given_token)
    names = [*place_names(len(use.load)), *(anchor.name for anchor in ANCHORS)]
    figure = go.Figure()
    for number, ((name, meaning, symbol, light, night), information) in enumerate(
        zip(KINDS, found, strict=True)
    ):
        shift = APART * (number - 1)
        chance_bars(
            figure, information.null_mean, information.null_high, shift, dark, named=number == 0
        )
        add_points(
            figure, information, f"{name}: {meaning}", symbol, night if dark else light, shift
        )
        add_anchors(figure, number, name, len(information.value), symbol, night if dark else light)
    figure.add_vline(
        x=len(use.load) + 0.5, line={"width": 1, "dash": "dot", "color": ink(dark).faint}
    )
    name_places(figure, names)
    figure.update_yaxes(title="bits", rangemode="tozero")
    figure.update_layout(height=430, barmode="overlay", legend={"y": -0.2})
    return style(figure, dark)


def place_names(num_layers: int) -> list[str]:
    """Of the layers and their mean, short where there are many."""
    return [
        *(f"layer {layer}" if num_layers <= 8 else str(layer) for layer in range(num_layers)),
        "mean",
    ]


def name_places(figure: go.Figure, names: Sequence[str]) -> None:
    figure.update_xaxes(
        tickvals=list(range(len(names))),
        ticktext=list(names),
        range=[-0.6, len(names) - 0.4],
        showgrid=False,
    )


def chance_bars(
    figure: go.Figure, mean: np.ndarray, high: np.ndarray, shift: float, dark: bool, *, named: bool
) -> None:
    """Grey from 0 to what 97.5 % of the shuffles stay below, with a tick at their mean."""
    place = np.arange(len(high)) + shift
    figure.add_bar(
        x=place,
        y=high,
        width=CHANCE_WIDTH,
        marker={"color": MUTED[dark], "line": {"width": 0}},
        name="chance (97.5 % of the shuffles)",
        legendgroup="chance",
        showlegend=named,
        customdata=mean,
        hovertemplate=(
            "chance: mean %{customdata:.3f}, 97.5 % of the shuffles below %{y:.3f}<extra></extra>"
        ),
    )
    figure.add_scatter(
        x=place,
        y=mean,
        mode="markers",
        marker={
            "symbol": "line-ew-open",
            "size": 9,
            "color": ink(dark).faint,
            "line": {"width": 1.5},
        },
        legendgroup="chance",
        showlegend=False,
        hoverinfo="skip",
    )


def add_points(
    figure: go.Figure, found: Information, name: str, symbol: str, colour: str, shift: float
) -> None:
    figure.add_scatter(
        x=np.arange(len(found.value)) + shift,
        y=found.value,
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 9, "color": colour},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": found.high - found.value,
            "arrayminus": found.value - found.low,
            "width": 4,
            "thickness": 1.6,
            "color": colour,
        },
        customdata=np.stack([found.low, found.high, found.above_chance], axis=1),
        hovertemplate=(
            f"{name}<br><b>%{{y:.3f}}</b> bits, 95 % interval %{{customdata[0]:.3f}} to"
            " %{customdata[1]:.3f}<br>%{customdata[2]:.3f} with chance taken"
            " off<extra></extra>"
        ),
    )


def add_anchors(
    figure: go.Figure, number: int, name: str, first: int, symbol: str, colour: str
) -> None:
    """The published figure of each anchor: hollow, since it was not measured here."""
    values = [
        (anchor.context, anchor.token, anchor.context_given_token)[number] for anchor in ANCHORS
    ]
    figure.add_scatter(
        x=np.arange(first, first + len(ANCHORS)) + APART * (number - 1),
        y=values,
        mode="markers",
        cliponaxis=False,
        marker={"symbol": f"{symbol}-open", "size": 9, "color": colour, "line": {"width": 2}},
        showlegend=False,
        customdata=[(anchor.name, anchor.most) for anchor in ANCHORS],
        hovertemplate=(
            f"%{{customdata[0]}}, last layer, as published<br>{name} <b>%{{y}}</b> bits; H(C)"
            " there: %{customdata[1]}<extra></extra>"
        ),
    )


def informations_table(result: Specialization) -> pd.DataFrame:
    """One row a layer (and their mean), way of dividing and information; the anchors last."""
    table = pd.DataFrame(rows(result))
    table["h_context"] = result.context_entropy
    published = [
        {
            "by": anchor.name,
            "information": kind[0],
            "layer": "last",
            "bits": value,
            "h_context": anchor.most,
        }
        for anchor in ANCHORS
        for kind, value in zip(
            KINDS, (anchor.context, anchor.token, anchor.context_given_token), strict=True
        )
    ]
    return pd.concat([table, pd.DataFrame(published)], ignore_index=True)


def stability_figure(result: Stability, *, dark: bool) -> go.Figure:
    """Mean correlation of matched segments, with the least and most agreeing pair of runs, on bars
    of chance."""
    figure = go.Figure()
    chance_bars(figure, result.null_mean, result.null_high, 0.0, dark, named=True)
    colour = KINDS[0][4 if dark else 3]
    figure.add_scatter(
        x=np.arange(len(result.agreement)),
        y=result.agreement,
        mode="markers",
        name="mean over pairs of runs, least to most alike",
        marker={"size": 9, "color": colour},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": result.highest - result.agreement,
            "arrayminus": result.agreement - result.lowest,
            "width": 4,
            "color": colour,
        },
        hovertemplate="correlation <b>%{y:.3f}</b><extra></extra>",
    )
    name_places(figure, place_names(len(result.agreement) - 1))
    figure.update_yaxes(
        title="correlation of matched segments",
        range=[min(0.0, float(result.lowest.min())) - 0.02, 1.04],
    )
    figure.update_layout(height=320, barmode="overlay", legend={"y": -0.2})
    return style(figure, dark)


def stability_table(result: Stability) -> pd.DataFrame:
    return pd.DataFrame(stability_rows(result))
