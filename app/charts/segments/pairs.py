"""Which segments of a layer are chosen together, against what chance would give. Knows no page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import colorbar, hover_percent, in_percent, style
from cpart_core.records.specialization import Specialization

MOST_PRINTED = 12
FARTHEST = 3.0
"""Colours end at 8 times and at an eighth of chance."""


def pairs_figure(result: Specialization, layer: int, *, dark: bool) -> go.Figure:
    """Segment x segment: share of tokens that choose both / the same by chance, coloured by its
    log2; 1 is chance."""
    ratio = pair_ratio(result)[layer]
    with np.errstate(divide="ignore"):
        shade = np.clip(np.log2(ratio), -FARTHEST, FARTHEST)
    num_segments = len(ratio)
    ticks = np.arange(-FARTHEST, FARTHEST + 1)
    figure = go.Figure(
        go.Heatmap(
            z=shade,
            x=list(range(num_segments)),
            y=list(range(num_segments)),
            text=[["" if np.isnan(value) else f"{value:.1f}" for value in row] for row in ratio],
            texttemplate="%{text}" if num_segments <= MOST_PRINTED else None,
            customdata=np.dstack(
                [in_percent(result.pairs[layer]), in_percent(result.pairs_by_chance[layer]), ratio]
            ),
            colorscale="RdBu",
            reversescale=True,
            zmin=-FARTHEST,
            zmax=FARTHEST,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate=(
                f"layer {layer}: segments %{{x}} and %{{y}}<br>together on"
                f" <b>{hover_percent('customdata[0]')}</b> of the tokens; by chance"
                f" {hover_percent('customdata[1]')}<br>%{{customdata[2]:.2f}} times"
                " chance<extra></extra>"
            ),
            colorbar={
                **colorbar(dark, "times chance"),
                "tickvals": ticks.tolist(),
                "ticktext": ["⅛ or less", "¼", "½", "1", "2", "4", "8 or more"],
            },
        )
    )
    figure.update_xaxes(title="segment", dtick=max(1, num_segments // 16), showgrid=False)
    figure.update_yaxes(
        title="segment", dtick=max(1, num_segments // 16), autorange="reversed", showgrid=False
    )
    figure.update_layout(height=min(720, 150 + 36 * min(num_segments, MOST_PRINTED + 4)))
    return style(figure, dark)


def pair_ratio(result: Specialization) -> np.ndarray:
    """[L, S, S] share / chance; NaN where there is no pair, and for segments that are never
    chosen."""
    chance = result.pairs_by_chance
    return np.divide(
        result.pairs, chance, out=np.full_like(chance, np.nan), where=np.nan_to_num(chance) > 0
    )


def pairs_table(result: Specialization) -> pd.DataFrame:
    """One row a layer and pair."""
    layer, first, second = np.indices(result.pairs.shape)
    kept = (first < second).ravel()
    return pd.DataFrame(
        {
            "layer": layer.ravel()[kept],
            "segment": first.ravel()[kept],
            "other": second.ravel()[kept],
            "share_of_tokens": result.pairs.ravel()[kept],
            "by_chance": result.pairs_by_chance.ravel()[kept],
            "times_chance": pair_ratio(result).ravel()[kept],
        }
    )
