"""One way to show a figure: the picture, a caption that says where it is from, its exports, and its data as a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import state
from app.live import show_in_place
from app.texts import code_span

Data: TypeAlias = pd.DataFrame | Callable[[], pd.DataFrame]

TABLE_ROWS = 5_000
"""Rows shown in the table of a figure; the CSV has all."""


def caption_of(run: Any, step: int | None = None, n: str = "", seed: int | None = None, more: str = "") -> str:
    """The sentence under a figure: run, step, n, seed. n is said in words ('12,000 validation tokens')."""
    pieces = [f"run {code_span(run.info.name, 60)}"]
    pieces += [f"step {step:,}"] if step is not None else []
    pieces += [f"n = {n}"] if n else []
    pieces += [f"seed {seed}"] if seed is not None else []
    pieces += [more] if more else []
    return " \u00b7 ".join(pieces)


def show_figure(
    figure: go.Figure,
    key: str,
    caption: str,
    alt: str,
    data: Data,
    on_select: Callable[[], None] | str | None = None,
    selection_mode: tuple[str, ...] = ("points", "box", "lasso"),
    in_place: bool = False,
) -> Any:
    """Draw a figure with its caption and exports; returns the selection state when on_select is given (a callback, or "rerun").

    caption: what is seen and where it is from (caption_of). alt: the finding in words, for those who do not see it. data: what the figure shows, or a
    function that makes it when the table is opened. in_place: for what changes at every step of the slider, without selection: the chart stays and
    is drawn anew in a third of the time. The figure comes styled from its chart; it must be equal between reruns, or zoom and
    selection are lost.
    """
    if in_place:
        show_in_place(figure, key, alt)
        under_figure(key, caption, data, live=True)
        return None
    chosen = state.widget(f"{key}_format") or "SVG"
    config = {
        "displaylogo": False,
        "scrollZoom": False,
        "plotGlPixelRatio": 1,  # plotly's own 2 paints four times the pixels of a map: without a GPU a drag of 20,000 points took five times as long
        "modeBarButtonsToRemove": ["autoScale2d"] if on_select else ["select2d", "lasso2d", "autoScale2d"],
        "toImageButtonOptions": {"format": chosen.lower(), "filename": key, "scale": 1 if chosen == "SVG" else 3},
    }
    more: dict[str, Any] = {} if on_select is None else {"on_select": on_select, "selection_mode": selection_mode}
    shown = st.plotly_chart(figure, theme=None, key=key, config=config, alt=alt, **more)
    under_figure(key, caption, data)
    return shown if on_select is not None else None


def under_figure(key: str, caption: str, data: Data, live: bool = False) -> None:
    """The caption, and a pop-over with exports and the table. The table is only made when it is opened.

    live: the picture is a live panel, whose own bar has a button for SVG and one for PNG.
    """
    left, right = st.columns([6, 1], gap="small", vertical_alignment="top")
    left.caption(caption)
    with right.container(horizontal=True, horizontal_alignment="right"):
        box = st.popover("Data", type="tertiary", icon=":material/table_view:", key=f"{key}_data", on_change="rerun")
        if not box.open:
            return
        with box:
            exports(key, data() if callable(data) else data, live)


def exports(key: str, frame: pd.DataFrame, live: bool) -> None:
    """What the pop-over holds."""
    if live:
        st.caption("The buttons in the picture's corner save it as SVG or PNG.")
    else:
        st.segmented_control("The camera in the picture's corner saves", ["SVG", "PNG"], default="SVG", key=f"{key}_format", required=True)
    st.download_button(
        "Data as CSV", csv_bytes(frame), file_name=f"{key}.csv", mime="text/csv", key=f"{key}_csv", icon=":material/download:"
    )
    st.dataframe(frame.head(TABLE_ROWS), key=f"{key}_table", hide_index=True)
    if len(frame) > TABLE_ROWS:
        st.caption(f"The first {TABLE_ROWS:,} of {len(frame):,} rows; the CSV has all.")


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """UTF-8 CSV; a text that a spreadsheet would run as a formula gets an apostrophe in front."""
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(
                lambda cell: f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
            )
    return safe.to_csv(index=False).encode("utf-8")
