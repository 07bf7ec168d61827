"""The live panels: a board of charts/training.py in the browser, updated in place. st.plotly_chart would lose the zoom at every update."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

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
