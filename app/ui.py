"""The page table. Each page is a room in views/, with its page.py."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app import address  # noqa: E402

VIEWS = Path(__file__).resolve().parent / "views"

PAGES = (
    ("home", "Home", ":material/home:"),
    ("train", "Train", ":material/play_circle:"),
    ("segments", "Segments", ":material/view_column:"),
    ("gradients", "Gradients", ":material/scatter_plot:"),
    ("fusion", "Fusion", ":material/call_merge:"),
    ("compare", "Compare", ":material/compare:"),
    ("carve", "Carve", ":material/content_cut:"),
    ("coherence", "Coherence", ":material/forum:"),
    ("claims", "Claims", ":material/fact_check:"),
    ("speed", "Speed", ":material/speed:"),
)
"""Room in views/ and name in the URL, name on the screen, icon."""


STYLE = """<style>
.stMainBlockContainer{padding-top:4.5rem;padding-bottom:3rem;max-width:1480px}
.stMetric label p{font-size:.8rem}
[data-testid="stBaseButton-primary"]{color:light-dark(#fff,#0f1319)}
@media (max-width:1180px){[data-testid="stTopNavLink"] :has(>[data-testid="stIconMaterial"]){display:none}}
.rc-overflow:has([aria-hidden="true"] [aria-current="page"]) [data-testid="stTopNavSection"]{
font-weight:600;background:color-mix(in srgb,currentColor 10%,transparent)}
[data-testid="stElementToolbarButton"]:has([aria-label^="Download as CSV"]){display:none}
</style>"""
"""The little that the theme cannot say. Narrow tabs have no icons; where some have no room still,
their menu is marked when the page that is open is among them. Streamlit's own CSV of a table says
not where it is from, and escapes no formula; ours is figure.csv_button."""


def draw() -> None:
    """The frame around every page, then the page."""
    st.set_page_config(page_title="CPart", page_icon=str(VIEWS.parent / "logo.svg"), layout="wide")
    pages = [
        st.Page(
            VIEWS / name / "page.py", title=title, icon=icon, url_path=name, default=name == "home"
        )
        for name, title, icon in PAGES
    ]
    page = st.navigation(pages, position="top")
    st.logo(str(VIEWS.parent / "logo.svg"), size="large")
    st.html(STYLE)
    address.follow()
    try:
        page.run()
    finally:
        address.draw()


if __name__ == "__main__":
    draw()
