"""Every page of the app's own table, and how each is seen to be drawn."""

from __future__ import annotations

from app.ui import PAGES
from tests.browser.visit import Visit

NAMES = tuple(name for name, _, _ in PAGES)
TITLES = {name: title for name, title, _ in PAGES}

NO_FIGURE = ("home", "train", "carve")
"""All others show one. Carve's is asked for by a click."""
WORDS = {
    "carve": "Measure every number of segments|What each number of segments costs",
    "coherence": "an example, not a finding",
}
SECONDS = 120.0
"""A worker loads models and writes with them, on two busy cores; waiting ends as soon as it is
there."""


def address(name: str) -> str:
    """Where the page is."""
    return "/" if name == "home" else f"/{name}"


def wait_until_drawn(seen: Visit, name: str) -> None:
    if name in WORDS:
        seen.shows(WORDS[name], SECONDS)
    if name not in NO_FIGURE:
        seen.figures().first.wait_for()
    seen.settle()
