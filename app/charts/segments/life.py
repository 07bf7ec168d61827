"""One segment: when it formed, and what it does on each context. Knows no page; takes arrays of the
snapshots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import PERCENT_AXIS, hover_percent, in_percent, ink, style
from app.text.escape import escaped
from app.text.palette import context_colour, segment_colour
from cpart_core.wording.percent import percent

FORMED_SHARE = 0.8
"""A segment counts as formed at the first step from which it always holds this share of its final
neurons."""


def kept_share(segment_of: Sequence[np.ndarray], layer: int, segment: int) -> np.ndarray:
    """[K] share of the segment's final neurons that are already in it, for K partitions ([L, N]
    each); NaN for an empty segment."""
    final = segment_of[-1][layer] == segment
    if not final.any():
        return np.full(len(segment_of), np.nan)
    return np.array([(partition[layer][final] == segment).mean() for partition in segment_of])


def formed_step(steps: Sequence[int], share: np.ndarray) -> int | None:
    """The first step from which the segment holds FORMED_SHARE of its final neurons and never falls
    below again."""
    below = np.flatnonzero(~(share >= FORMED_SHARE))
    first = 0 if below.size == 0 else int(below[-1]) + 1
    return steps[first] if first < len(steps) else None


def life_line(steps: Sequence[int], share: np.ndarray, segment: int, *, dark: bool) -> go.Figure:
    """Share of its final neurons over the steps, with the line above which it counts as formed."""
    colour = segment_colour(segment, dark)
    figure = go.Figure(
        go.Scatter(
            x=list(steps),
            y=in_percent(share),
            mode="lines+markers",
            line={"color": colour, "width": 2, "shape": "hv"},
            marker={"size": 7},
            hovertemplate=(
                f"step %{{x}}<br>{hover_percent('y', 0)} of its final neurons<extra></extra>"
            ),
        )
    )
    formed = formed_step(steps, share)
    late = formed is not None and formed > (steps[0] + steps[-1]) / 2
    figure.add_hline(
        y=float(in_percent(FORMED_SHARE)),
        line={"dash": "dot", "width": 1, "color": ink(dark).faint},
        annotation_text=f"formed: {percent(FORMED_SHARE, 0)}",
        # away from the line of that step
        annotation_position="bottom left" if late else "bottom right",
    )
    if formed is not None:
        figure.add_vline(x=formed, line={"dash": "dot", "width": 1, "color": ink(dark).faint})
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="of its final neurons", range=[0, 105], **PERCENT_AXIS)
    figure.update_layout(height=260, showlegend=False)
    return style(figure, dark)


def life_table(steps: Sequence[int], share: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"step": list(steps), "share_of_final_neurons": share})


def segment_contexts(
    mass: np.ndarray,
    tokens: np.ndarray,
    contexts: Sequence[str],
    num_segments: int,
    *,
    dark: bool,
    quantity: str = "mean fusion weight",
) -> go.Figure:
    """mass [C] of one segment: a bar a context, strongest first, with the weight that an even
    fusion would give."""
    order = np.argsort(mass)
    names = [escaped(contexts[c], 28) for c in order]
    figure = go.Figure(
        go.Bar(
            x=mass[order],
            y=names,
            orientation="h",
            marker={"color": [context_colour(int(c), dark) for c in order]},
            text=[f"{mass[c]:.2f}" for c in order],
            customdata=np.asarray(tokens)[order],
            hovertemplate=(
                f"%{{y}}<br>{quantity} %{{x:.3f}}<br>n = %{{customdata:,}} tokens<extra></extra>"
            ),
        )
    )
    figure.add_vline(
        x=1 / num_segments,
        line={"dash": "dot", "width": 1, "color": ink(dark).faint},
        annotation_text=f"even: 1/{num_segments}",
        annotation_position="top",
    )
    figure.update_xaxes(title=quantity, rangemode="tozero")
    figure.update_yaxes(showgrid=False)
    figure.update_layout(height=120 + 30 * len(names), showlegend=False)
    return style(figure, dark)


def segment_contexts_table(
    mass: np.ndarray, chosen: np.ndarray, tokens: np.ndarray, contexts: Sequence[str]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "context": list(contexts),
            "mean_fusion_weight": mass,
            "share_of_tokens": chosen,
            "n": np.asarray(tokens),
        }
    )
