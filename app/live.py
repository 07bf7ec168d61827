"""Pictures that are updated in place: boards of charts/training.py, and figures that follow the step slider.

st.plotly_chart makes a new chart of every figure that differs from the last one: the zoom is lost, and the browser draws four times instead of once.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import plotly.graph_objects as go
import plotly.io
import streamlit as st

from app.charts.training import Board

draw_board = st.components.v2.component(
    "cpart_live",
    html='<div class="cpart-live" role="figure" style="width:100%;min-height:60px"></div>',
    js=(Path(__file__).resolve().parent / "live.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def show_board(board: Board, key: str, alt: str, file: str) -> None:
    """Draw or update a board. key: one a panel group and run (zoom is kept while it is the same); file: name of what the exports save."""
    data = board.to_data()
    revision = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]
    draw_board(data={**data, "key": key, "alt": alt, "file": file, "revision": revision}, key=key)


def show_in_place(figure: go.Figure, key: str, alt: str) -> None:
    """Draw or update a figure with its own height, in which nobody selects. key: also the file name of what the exports save."""
    drawing = plotly.io.to_json(figure, validate=False)
    revision = hashlib.sha256(drawing.encode()).hexdigest()[:16]
    height = figure.layout.height or 450
    draw_board(data={"figure": drawing, "height": height, "key": key, "alt": alt, "file": key, "revision": revision}, key=key)
