"""The address in the browser and its history: what is chosen stands in the URL, and one page is one
entry of the history.

The URL is asked on a visit's first run and after Back or Forward, never otherwise: each message of
the browser carries the address that it had when it was sent, and a page that refreshes itself sends
one every two seconds, so an old address often arrives after a newer choice.

Streamlit adds an entry to the history for every change of the query. A script in the page makes it
replace the entry there is, as long as the page stays the same; so Back leads to the page before, as
a person expects.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

IN_URL = ("run", "step", "layer", "segment", "text", "other", "other_step", "document")
LONGEST_TEXT_IN_URL = 400
"""Characters; a longer text stays in the session only."""
WRITTEN, FIRST_RUN = "cpart_written", "cpart_first_run"

script = st.components.v2.component(
    "cpart_address", js=(Path(__file__).resolve().parent / "address.js").read_text(encoding="utf-8")
)


def follow() -> None:
    """Take over what the URL says, if a person has just given it: by opening a link, or by Back and
    Forward."""
    first = WRITTEN not in st.session_state
    st.session_state[FIRST_RUN] = first
    context = get_script_run_ctx(suppress_warning=True)
    history = context is not None and context.is_history_navigation
    for name in IN_URL if first or history else ():
        given = st.query_params.get(name)
        if given is not None:
            st.session_state[f"cpart_{name}"] = from_url(name, given)
        elif history and name in ("step", "other_step"):
            st.session_state[f"cpart_{name}"] = None  # there the newest step was shown
    write()


def from_url(name: str, given: str) -> Any:
    """A value of the URL, or None where it says nothing sensible. Whether such a run or step exists
    is asked where it is used."""
    if name in ("run", "other", "text"):
        return given[:LONGEST_TEXT_IN_URL]
    return int(given) if given.isascii() and given.isdigit() and len(given) < 9 else None


def chosen() -> dict[str, str]:
    """What is chosen now, as the URL says it; it goes along when the page is changed."""
    kept = {name: st.session_state.get(f"cpart_{name}") for name in IN_URL}
    wanted = {name: str(value) for name, value in kept.items() if value not in (None, "")}
    if len(wanted.get("text", "")) > LONGEST_TEXT_IN_URL:
        del wanted["text"]
    return wanted


def write() -> None:
    """Put what is chosen into the URL, at once and in one message. On a visit's first run the
    script does it (see `draw`)."""
    wanted = chosen()
    st.session_state[WRITTEN] = wanted
    if st.session_state.get(FIRST_RUN):
        return
    given = st.query_params.to_dict()
    whole = {**{name: value for name, value in given.items() if name not in IN_URL}, **wanted}
    if given != whole:
        st.query_params.from_dict(whole)


def draw() -> None:
    """The script that keeps one page one entry. Streamlit's first message would come before it is
    there, so it gets the first query itself."""
    st.session_state[FIRST_RUN] = False
    script(data={"query": urlencode(st.session_state.get(WRITTEN, {}))}, key="cpart_address")
