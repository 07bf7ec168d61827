"""What `bench all` measured: curves of cost beside their ideal lines, and the table of numbers with
their figures. Knows no page."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import drawn
from app.text.escape import escaped, plain
from app.text.palette import SHARED_COLOUR, context_dash, segment_colour, segment_symbol
from cpart_core.bench.speed import (
    AT_THE_EDGE,
    NO_FIGURE,
    NOT_REACHED,
    REACHED,
    Curve,
    Line,
    Measured,
)

HEIGHT = 340
NARROW = 4.0
"""Greatest over smallest value below which an axis is not logarithmic."""
MARKS = {
    REACHED: "\u2713 reached",
    NOT_REACHED: "\u2717 not reached",
    AT_THE_EDGE: "\u2248 at the edge",
    NO_FIGURE: "",
}
"""A sign beside the word, so that a column can be skimmed."""


def curve_figure(curve: Curve, *, dark: bool) -> go.Figure:
    """Measured lines with quartiles, ideal lines dotted; on logarithmic axes cost in proportion is
    a straight line."""
    measured = [line for line in curve.lines if not line.ideal]
    data = [measured_trace(line, number, dark) for number, line in enumerate(measured)]
    data += [ideal_trace(line) for line in curve.lines if line.ideal]
    sizes = sorted({x for line in measured for x in line.x})
    layout = {
        "height": HEIGHT,
        "xaxis": {
            "type": "log",
            "title": {"text": escaped(curve.x_title, 60)},
            "tickvals": sizes,
            "ticktext": [f"{size:,.0f}" for size in sizes],
        },
        "yaxis": {**scale_of(curve), "title": {"text": escaped(curve.y_title, 60)}},
        "legend": {"y": 1.0, "yanchor": "bottom"},
        "margin": {"t": 44},
    }
    return drawn(data, layout, dark)


def scale_of(curve: Curve) -> dict[str, object]:
    """Logarithmic, with ticks at 1, 2 and 5; a narrow range is drawn as it is."""
    values = [
        y
        for line in curve.lines
        for y in (*line.y, *line.low, *line.high)
        if math.isfinite(y) and y > 0
    ]
    if not values or max(values) < NARROW * min(values):
        return {"type": "linear", "nticks": 6}
    powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.6g}" for tick in ticks]}


def measured_trace(line: Line, number: int, dark: bool) -> dict[str, object]:
    colour = segment_colour(number, dark)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escaped(line.name, 40),
        "x": list(line.x),
        "y": list(line.y),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [high - y for y, high in zip(line.y, line.high, strict=True)],
            "arrayminus": [y - low for y, low in zip(line.y, line.low, strict=True)],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
        "line": {"color": colour, "width": 2, "dash": context_dash(number)},
        "marker": {"color": colour, "size": 8, "symbol": segment_symbol(number)},
        "hovertemplate": "%{x:,}: %{y:.3g}<extra>%{fullData.name}</extra>",
    }


def ideal_trace(line: Line) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escaped(line.name, 40),
        "x": list(line.x),
        "y": list(line.y),
        "line": {"color": SHARED_COLOUR, "width": 2, "dash": "dot"},
        "hovertemplate": "%{x:,}: %{y:.3g}<extra>%{fullData.name}</extra>",
    }


def curve_table(curve: Curve) -> pd.DataFrame:
    """One row for each point."""
    rows = [
        {
            "line": line.name,
            curve.x_title: x,
            curve.y_title: line.y[place],
            "low quartile": math.nan if line.ideal else line.low[place],
            "high quartile": math.nan if line.ideal else line.high[place],
        }
        for line in curve.lines
        for place, x in enumerate(line.x)
    ]
    return pd.DataFrame(rows)


def curve_says(curve: Curve) -> str:
    """The picture in words: each measured line at its last point, beside the ideal there."""
    ideals = {
        x: y for line in curve.lines if line.ideal for x, y in zip(line.x, line.y, strict=True)
    }
    said = []
    for line in curve.lines:
        if not line.ideal and line.x:
            x, y = line.x[-1], line.y[-1]
            beside = f", ideal {ideals[x]:.3g}" if x in ideals else ""
            said.append(
                f"{plain(line.name, 40)} at {x:,.0f} {plain(curve.x_title, 40)}: {y:.3g}{beside}"
            )
    return (
        f"{plain(curve.title, 100)}, {plain(curve.y_title, 60)}."
        f" {'; '.join(said) or 'Nothing was measured'}."
    )


def measured_table(measured: tuple[Measured, ...]) -> pd.DataFrame:
    """One row for each number; what was to be reached and the verdict are the file's and the
    numbers' own."""
    rows = [
        {
            "where": plain(item.where, 80),
            "what": plain(item.what, 80),
            "of": plain(item.unit, 40),
            "verdict": MARKS[item.verdict],
            "figure": (
                ""
                if math.isnan(item.figure)
                else f"{'at most' if item.at_most else 'at least'} {item.figure:.3g}"
            ),
            "median": item.median,
            "low quartile": item.low,
            "high quartile": item.high,
            "by CPU time": item.cpu,
            "n": item.n,
        }
        for item in measured
    ]
    return pd.DataFrame(rows)
