"""Paired differences with their intervals, as forest plots: arms of a study against its reference,
and claims against their controls. Knows no page."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import PERCENT_AXIS, error_bars, in_percent, ink, style
from app.text.escape import escaped
from app.text.palette import SHARED_COLOUR, segment_colour
from cpart_core.study.interval import Interval
from cpart_core.study.measures import MEASURE, Measure
from cpart_core.study.result import Study
from cpart_core.study.rows import says
from cpart_core.study.verdict import CONTROL, FAILS, HOLDS, OPEN, Judgement
from cpart_core.wording import percent

ROW_PIXELS = 40
LOOKS = {
    "better": (0, "circle"),
    "worse": (1, "diamond"),
    HOLDS: (0, "circle"),
    FAILS: (1, "diamond"),
    OPEN: (None, "circle-open"),
    "one seed": (None, "circle-open"),
    CONTROL: (None, "square"),
}
"""What an interval says, of an arm or of a claim -> segment colour (None = grey) and symbol."""


def measure_of(name: str) -> Measure:
    return MEASURE[name]


def arm_forest(study: Study, name: str, *, dark: bool) -> go.Figure:
    """A row an arm: arm - reference in percent of the reference, paired by seed."""
    item = measure_of(name)
    rows = [
        (arm, study.difference(arm, study.reference, name, relative=True))
        for arm in study.arms
        if arm != study.reference
    ]
    shown = [
        (escaped(arm, 40), found, says(found, item.lower_is_better))
        for arm, found in rows
        if found is not None
    ]
    side = "lower" if item.lower_is_better else "higher"
    return forest(
        shown,
        f"{item.title}: arm less {escaped(study.reference, 40)}, % ({side} is better)",
        None,
        dark,
    )


def claim_forest(judgements: tuple[Judgement, ...], *, dark: bool) -> go.Figure:
    """A row for each number behind a claim: ours less the control, in percent, beside the paper's
    20 % line."""
    rows = [
        (escaped(found.label, 60), found.difference, found.verdict)
        for entry in judgements
        for found in entry.findings
        if found.difference is not None
    ]
    return forest(rows, "difference from the control, % of the control", -20.0, dark)


def forest(
    rows: list[tuple[str, Interval, str]], title: str, bound: float | None, dark: bool
) -> go.Figure:
    """Means with 95 % intervals, the first row on top; a line at 0 and, where given, at `bound`."""
    figure = go.Figure()
    for said in LOOKS:
        chosen = [(name, found) for name, found, what in rows if what == said]
        if not chosen:
            continue
        number, symbol = LOOKS[said]
        colour = SHARED_COLOUR if number is None else segment_colour(number, dark)
        mean, low, high = (
            in_percent([getattr(found, name) for _, found in chosen])
            for name in ("mean", "low", "high")
        )
        figure.add_scatter(
            x=mean.tolist(),
            y=[name for name, _ in chosen],
            mode="markers",
            name=said,
            marker={
                "symbol": symbol,
                "size": 11,
                "color": colour,
                "line": {"width": 2, "color": colour},
            },
            error_x={**error_bars(mean, low, high, colour=colour), "width": 5},
            customdata=[[said_of(found), found.n] for _, found in chosen],
            hovertemplate="%{y}<br>%{customdata[0]}, n = %{customdata[1]} seeds<extra></extra>",
        )
    figure.add_vline(x=0.0, line={"color": ink(dark).faint, "width": 1})
    if bound is not None:
        figure.add_vline(
            x=bound,
            line={"color": ink(dark).faint, "width": 1, "dash": "dot"},
            annotation={"text": "the paper's 20 %", "font": {"size": 11, "color": ink(dark).faint}},
        )
    figure.update_xaxes(title=title, zeroline=False, **PERCENT_AXIS)
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[name for name, _, _ in reversed(rows)],
        showgrid=False,
        automargin=True,
    )
    figure.update_layout(
        height=130 + ROW_PIXELS * max(1, len(rows)),
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        margin={"t": 56},
    )
    return style(figure, dark)


def said_of(found: Interval) -> str:
    """Mean and interval in percent."""
    return (
        percent.change(found.mean)
        if math.isnan(found.low)
        else percent.with_interval(found.mean, found.low, found.high, "+")
    )


def arm_table(study: Study, name: str) -> pd.DataFrame:
    """One row an arm: mean of the measure, and the paired difference with its interval in the
    measure's own unit and in percent."""
    rows = []
    for arm in study.arms:
        own, relative = (
            study.difference(arm, study.reference, name, relative=share) for share in (False, True)
        )
        values = study.values(arm, name)
        row: dict[str, object] = {"arm": arm, "seeds": len(values), "mean": study.mean(arm, name)}
        for label, found, scale in (("difference", own, 1.0), ("difference, %", relative, 100.0)):
            compared = found is not None and arm != study.reference
            for end in ("mean", "low", "high"):
                row[f"{label} {end}"] = scale * getattr(found, end) if compared else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def finding_table(judgements: tuple[Judgement, ...]) -> pd.DataFrame:
    """One row for each number behind a claim."""
    rows = [
        {
            "claim": entry.title,
            "number": found.label,
            "ours": found.ours,
            "control": found.control,
            "unit": found.unit,
            "difference, %": (
                float(in_percent(found.difference.mean)) if found.difference else math.nan
            ),
            "low": float(in_percent(found.difference.low)) if found.difference else math.nan,
            "high": float(in_percent(found.difference.high)) if found.difference else math.nan,
            "seeds": found.difference.n if found.difference else 0,
            "verdict": found.verdict,
        }
        for entry in judgements
        for found in entry.findings
    ]
    return pd.DataFrame(rows)
