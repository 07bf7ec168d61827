"""Pictures in the browser: boards of charts/train/boards.py and all figures, drawn by one component
that updates them in place.

st.plotly_chart makes a new chart of every figure that differs from the last one: the zoom is lost,
and the browser draws four times instead of once. It has a toolbar of its own, too, and no way to
put a caption into a saved picture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
import streamlit as st

from app.charts.train.boards import Board
from app.shell.provenance import Provenances, columns_of, file_stem, said_plainly
from app.text.escape import unmarked

HERE = Path(__file__).resolve().parent
SCRIPTS = ("live.js", "toolbar.js", "picture.js")
STYLE = """<style>
.cpart-live{width:100%;min-height:60px}
.cpart-live:empty{border-radius:6px;background:var(--st-secondary-background-color)}
</style>"""

draw_picture = st.components.v2.component(
    "cpart_live",
    html=f'{STYLE}<div class="cpart-live" role="figure"></div>',
    js="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
    isolate_styles=False,
)


@dataclass(frozen=True)
class Words:
    """What a picture says of itself, on the page and in the files that are saved of it."""

    alt: str
    """The finding in words, for those who do not see it."""
    caption: str
    """What is seen, as markdown."""
    source: Provenances
    """Where it is from."""
    file: str
    """What the figure is called in file names."""

    def to_data(self) -> dict[str, Any]:
        told = f"{unmarked(self.caption)} {said_plainly(self.source)}".strip()
        return {
            "alt": self.alt,
            "file": file_stem(self.file, self.source),
            "source": {"caption": told, "fields": columns_of(self.source)},
        }


def show_board(board: Board, key: str, words: Words) -> None:
    """Draw or update a board. key: one a panel group and run (zoom is kept while it is the
    same)."""
    data = board.to_data()
    revision = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]
    draw_picture(data={**data, **words.to_data(), "key": key, "revision": revision}, key=key)


def show_in_place(
    figure: go.Figure, key: str, words: Words, on_select: Callable[[], None] | None = None
) -> None:
    """Draw or update a figure with its own height. on_select: called when points were boxed,
    lassoed or clicked; `selected` has them."""
    drawing = plotly.io.to_json(figure, validate=False)
    revision = hashlib.sha256(drawing.encode()).hexdigest()[:16]
    height = int(figure.layout.height or 450)
    data = {
        "figure": drawing,
        "height": height,
        "key": key,
        "revision": revision,
        "selectable": on_select is not None,
        **words.to_data(),
    }
    draw_picture(data=data, key=key, height=height, on_selection_change=on_select)


def selected(value: Any) -> list[Any]:
    """The customdata of the points that were selected in a picture, by what the session keeps of it
    (None before anything was)."""
    return list(value.get("selection") or []) if value else []
