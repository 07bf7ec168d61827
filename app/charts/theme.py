"""One look for all figures, in light and dark. Knows plotly, not streamlit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

FONT = '"Source Sans", "Source Sans Pro", system-ui, sans-serif'


@dataclass(frozen=True)
class Ink:
    """The neutral colours of one mode."""

    text: str
    faint: str
    grid: str
    background: str
    panel: str


LIGHT = Ink(text="#10141b", faint="#59616e", grid="#e4e8ee", background="#ffffff", panel="#f3f5f8")
DARK = Ink(text="#e6e9ef", faint="#a3acba", grid="#29303c", background="#0f1319", panel="#191f29")


def ink(dark: bool) -> Ink:
    return DARK if dark else LIGHT


def layout(dark: bool) -> dict[str, Any]:
    """The part of a plotly layout that every figure shares, as plain data (the live panels send it
    to the browser)."""
    colours = ink(dark)
    axis = {
        "gridcolor": colours.grid,
        "linecolor": colours.grid,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": colours.grid,
        "tickfont": {"color": colours.faint, "size": 12},
        "title": {"font": {"color": colours.faint, "size": 12}, "standoff": 8},
        "automargin": True,
    }
    return {
        "font": {"family": FONT, "size": 13, "color": colours.text},
        "paper_bgcolor": colours.background,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {
            "bgcolor": colours.panel,
            "bordercolor": colours.grid,
            "font": {"color": colours.text, "family": FONT, "size": 12},
        },
        "legend": {
            "orientation": "h",
            "y": -0.16,
            "x": 0,
            "yanchor": "top",
            "font": {"size": 12, "color": colours.text},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": colours.faint,
            "activecolor": colours.text,
        },
        "dragmode": "zoom",
    }


def style(figure: go.Figure, dark: bool) -> go.Figure:
    """Give the figure CPart's look; what the figure has set itself (titles, ranges, margins) stays.
    Returns the same figure."""
    own = figure.to_plotly_json()["layout"]
    shared, axes = shared_look(own, dark)
    for name in ("margin", "legend", "dragmode"):
        if name in own and own[name] is not None:
            shared[name] = (
                {**shared[name], **own[name]} if isinstance(own[name], dict) else own[name]
            )
    # One update for all: plotly checks a layout anew at each.
    figure.update_layout({**shared, **axes})
    figure.update_coloraxes(colorbar=colorbar(dark))
    return figure


def drawn(data: list[dict[str, Any]], own: dict[str, Any], dark: bool) -> go.Figure:
    """A figure in CPart's look from plain traces and a plain layout, both as plotly.js has them (a
    title is {"text": ...}).

    Nothing is checked while a page is drawn: plotly's checks took 27 of 28 ms of a figure, and all
    of them stood between the step slider and its picture. The tests check every such figure
    instead.
    """
    shared, axes = shared_look(own, dark)
    return go.Figure({"data": data, "layout": merged(shared, own) | axes}, _validate=False)


def shared_look(own: dict[str, Any], dark: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shared layout without its axes, and every axis of the figure: both shared ones and those
    that it names itself, as it set them."""
    shared = layout(dark)
    axis = {"xaxis": shared.pop("xaxis"), "yaxis": shared.pop("yaxis")}
    names = {"xaxis", "yaxis", *(name for name in own if name.startswith(("xaxis", "yaxis")))}
    return shared, {name: merged(axis[name[:5]], own.get(name) or {}) for name in names}


def merged(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """base overlaid by what was given, level by level."""
    out = dict(base)
    for name, value in given.items():
        out[name] = (
            merged(base[name], value)
            if isinstance(value, dict) and isinstance(base.get(name), dict)
            else value
        )
    return out


PERCENT_AXIS: dict[str, Any] = {"ticksuffix": " %"}
"""Of an axis whose values are `in_percent`."""


def in_percent(shares: Any) -> np.ndarray:
    """Shares as an axis of percent draws them."""
    return np.asarray(shares, dtype=float) * 100.0


def hover_percent(field: str, digits: int = 1) -> str:
    """A value `in_percent` in a hover: field is plotly's name of it, such as y or customdata[0]."""
    return f"%{{{field}:.{digits}f}} %"


def error_bars(
    value: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    colour: str = "",
    thickness: float = 2.0,
) -> dict[str, Any]:
    """Bars of an interval around values, [N] each; none where a bound is not known. colour: empty =
    that of the markers."""
    bars = {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(high - value).clip(min=0),
        "arrayminus": np.nan_to_num(value - low).clip(min=0),
        "thickness": thickness,
    }
    return {**bars, "color": colour} if colour else bars


def colorbar(dark: bool, title: str = "") -> dict[str, Any]:
    """A slim colour bar in the mode's ink."""
    colours = ink(dark)
    return {
        "thickness": 10,
        "outlinewidth": 0,
        "tickfont": {"color": colours.faint, "size": 11},
        "title": {"text": title, "font": {"color": colours.faint, "size": 12}, "side": "right"},
    }
