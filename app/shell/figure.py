"""One way to show a figure: the picture, a caption that says where it is from, and its data as a
table and a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.shell.live import Words, show_in_place
from app.shell.provenance import Provenances, columns_of, file_stem, said, source_of
from cpart_core.runs.spreadsheet import csv_text

Data: TypeAlias = pd.DataFrame | Callable[[], pd.DataFrame]

TABLE_ROWS = 5_000
"""Rows shown in the table of a figure; the CSV has all."""


def caption_of(
    run: Any, step: int | None = None, n: str = "", seed: int | None = None, more: str = ""
) -> str:
    """The sentence under what is no figure: run, step, n, seed. n is said in words ('12,000
    validation tokens')."""
    return source_of(run, step, n, seed, more).said()


def show_figure(
    figure: go.Figure,
    key: str,
    caption: str,
    alt: str,
    data: Data,
    source: Provenances,
    on_select: Callable[[], None] | None = None,
    file: str = "",
) -> None:
    """Draw a figure with its caption and exports.

    caption: what is seen; where it is from, `source` (source_of), is put behind it, into the
    columns of the CSV, and into saved pictures. alt: the finding in words, for those who do not see
    it. data: what the figure shows, or a function that makes it when the table is opened.
    on_select: called when points were boxed, lassoed or clicked (live.selected). file: what the
    figure is called in file names, when not by its key. The figure comes styled from its chart.
    """
    words = Words(alt, caption, source, file or key)
    show_in_place(figure, key, words, on_select)
    under_figure(key, words, data)


def place(key: str, height: int) -> DeltaGenerator:
    """A container that is as high as the figure that is to come, from the first: what stands below
    does not jump when it comes."""
    st.html(f"<style>.st-key-{key}{{min-height:{height}px}}</style>")
    return st.container(key=key)


def under_figure(key: str, words: Words, data: Data) -> None:
    """The caption, and a pop-over with the table and its CSV. The table is only made when it is
    opened."""
    left, right = st.columns([6, 1], gap="small", vertical_alignment="top")
    left.caption(f"{words.caption} {said(words.source)}".strip())
    with right.container(horizontal=True, horizontal_alignment="right"):
        box = st.popover(
            "Data",
            type="tertiary",
            icon=":material/table_view:",
            key=f"{key}_data",
            on_change="rerun",
        )
        if not box.open:
            return
        with box:
            exports(key, words, data() if callable(data) else data)


def exports(key: str, words: Words, frame: pd.DataFrame) -> None:
    """What the pop-over holds."""
    st.caption("The buttons in the picture's corner save it as SVG or PNG.")
    csv_button("Data as CSV", frame, words.file, words.source, key=f"{key}_csv")
    st.dataframe(frame.head(TABLE_ROWS), key=f"{key}_table", hide_index=True)
    if len(frame) > TABLE_ROWS:
        st.caption(f"The first {TABLE_ROWS:,} of {len(frame):,} rows; the CSV has all.")


def csv_button(label: str, frame: pd.DataFrame, file: str, source: Provenances, key: str) -> None:
    """Download a table whose last columns say where it is from."""
    name = f"{file_stem(file, source)}.csv"
    st.download_button(
        label, csv_bytes(frame, source), name, "text/csv", key=key, icon=":material/download:"
    )


def csv_bytes(frame: pd.DataFrame, source: Provenances) -> bytes:
    """UTF-8 CSV of a table, then the columns that say where it is from."""
    from_where = columns_of(source)
    columns = [frame.iloc[:, place].to_numpy() for place in range(frame.shape[1])]
    rows = ([*row, *from_where.values()] for row in zip(*columns, strict=True))
    return csv_text([*frame.columns, *from_where], rows).encode("utf-8")
