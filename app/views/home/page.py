"""Home: what CPart is, and the runs."""

from __future__ import annotations

import streamlit as st

from app import session
from app.shell import glossary, page_header
from app.text.escape import code_span
from app.views.home.diagram import show_picture
from app.views.home.runs_list import run_list
from cpart_core.runs import folder
from cpart_core.runs.unlisted import unlisted

TICK_SECONDS = 3.0


def draw() -> None:
    st.title("See a language model divide its work", anchor=False)
    st.markdown(
        "CPart trains a small language model in front of you and groups the neurons of every layer"
        " into **segments**, by what each neuron contributes to the loss of each **context**. For"
        " every token, **fusion weights** decide how much each segment's output counts. You watch"
        " the segments form, and look at them, their gradients and their weights on any text of"
        " your own."
    )
    glossary.words("segment", "context", "fusion weights", "partition", "run")
    show_picture(session.dark())
    if st.button("Train a model", type="primary", icon=":material/play_arrow:", key="train"):
        session.put("next_train_view", "new")
        session.go_to("train")
    summaries = folder.list_runs()
    say_what_is_not_listed()
    if not summaries:
        with st.container(border=True):
            st.subheader("No run yet", anchor=False)
            st.write(
                "Everything you train is kept here. The quick preset shows its first segments"
                " within a minute on a laptop."
            )
        return
    st.subheader("Runs", anchor=False)
    alive = any(summary.state.state in page_header.ALIVE for summary in summaries)
    st.fragment(run_list, run_every=TICK_SECONDS if alive else None)(alive, [summaries])


def say_what_is_not_listed() -> None:
    """Folders of runs that cannot be in the list, each with what to do."""
    for entry in unlisted():
        st.warning(
            f"Not listed: {code_span(entry.name, 60)}. {entry.reason}", icon=":material/folder_off:"
        )


draw()
