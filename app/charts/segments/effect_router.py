"""The router audit as a picture: what chance would cost, what hindsight would save, and whether
weight follows benefit. Knows no page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import ink, style
from app.text.palette import SHARED_COLOUR, segment_colour
from cpart_core.records.effects import RouterAudit
from cpart_core.wording.percent import percent

WHY = (
    "For one token in one layer at a time, the segments that fusion chose are replaced: by a random"
    " choice, and by every single swap of one chosen and one other segment at the same weights. A"
    " router that knows what it does is better than chance and has little to regret."
)


def audit_figure(audit: RouterAudit, *, dark: bool) -> go.Figure:
    """Three points a layer, with intervals where they were drawn."""
    layers = [f"layer {number}" for number in range(len(audit.regret))]
    series = (
        (
            "random choice instead: loss rises by",
            audit.random_change,
            audit.random_low,
            audit.random_high,
            "circle",
            segment_colour(0, dark),
        ),
        (
            "best swap in hindsight: loss falls by (regret)",
            audit.regret,
            audit.regret_low,
            audit.regret_high,
            "diamond",
            segment_colour(1, dark),
        ),
        ("regret of the random choice", audit.random_regret, None, None, "x", SHARED_COLOUR),
    )
    figure = go.Figure()
    for place, (title, value, low, high, symbol, colour) in enumerate(series):
        bars = None
        if low is not None and high is not None:
            bars = {
                "type": "data",
                "symmetric": False,
                "array": high - value,
                "arrayminus": value - low,
                "thickness": 1.5,
            }
        figure.add_trace(
            go.Scatter(
                x=value,
                y=[number + 0.18 * (place - 1) for number in range(len(layers))],
                mode="markers",
                name=title,
                marker={"symbol": symbol, "size": 10, "color": colour},
                error_x=bars,
                customdata=layers,
                hovertemplate=f"%{{customdata}}<br>{title} <b>%{{x:.4f}}</b> nats<extra></extra>",
            )
        )
    figure.add_vline(x=0, line={"color": ink(dark).faint, "width": 1, "dash": "dot"})
    figure.update_yaxes(
        tickvals=list(range(len(layers))),
        ticktext=layers,
        range=[len(layers) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_xaxes(title="nats of the token's own loss")
    figure.update_layout(
        height=210 + 52 * len(layers), legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    )
    return style(figure, dark)


def audit_table(audit: RouterAudit) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "layer": np.arange(len(audit.regret)),
            "random_change": audit.random_change,
            "random_low_95": audit.random_low,
            "random_high_95": audit.random_high,
            "regret": audit.regret,
            "regret_low_95": audit.regret_low,
            "regret_high_95": audit.regret_high,
            "random_regret": audit.random_regret,
            "no_swap_is_better": audit.best_share,
            "rank_correlation_all": audit.rank_correlation,
            "rank_correlation_within_token": audit.rank_within,
            "rank_low_95": audit.rank_low,
            "rank_high_95": audit.rank_high,
        }
    )


def finding(audit: RouterAudit) -> str:
    """The layers in which the choice is better than chance, and what is left to regret."""
    better = [str(layer) for layer in np.flatnonzero(audit.random_low > 0)]
    share = (
        float(audit.regret.sum() / audit.random_regret.sum())
        if audit.random_regret.sum() > 0
        else float("nan")
    )
    said = (
        f"Better than a random choice in layer {', '.join(better)}"
        if better
        else "Better than a random choice in no layer"
    )
    left = f"; its regret is {percent(share, 0)} of a random choice's" if np.isfinite(share) else ""
    return f"{said} of {len(audit.regret)}{left}."


def how(audit: RouterAudit) -> str:
    """The sample, in words."""
    tried = (
        f"all {audit.possible} swaps"
        if audit.alternatives == audit.possible
        else f"{audit.alternatives} of {audit.possible} swaps, drawn once"
    )
    chosen = (
        f"the {audit.chosen} chosen"
        if audit.execution == "topk"
        else f"the {audit.chosen} strongest (all are computed)"
    )
    return (
        f"a sample: {audit.tokens:,} tokens of {audit.documents} documents; {tried} of {chosen}"
        f" segments; {audit.draws} random choices a token"
    )
