"""What stands around the pictures of every page: the run chooser with the step slider, states in
words, waiting, and empty states."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import results, session
from app.engine.said import last_said
from app.shell import step_slider
from app.text.escape import code_span, plain, sentence
from cpart_core.runs import folder, search
from cpart_core.runs.folder import Run, RunSummary
from cpart_core.runs.info import LONGEST_NAME
from cpart_core.runs.result_files import request_key

STATES = {
    "new": ("waiting to start", "gray", ":material/hourglass_empty:"),
    "running": ("running", "green", ":material/play_arrow:"),
    "queued": ("waiting for its turn", "orange", ":material/hourglass_top:"),
    "paused": ("paused", "orange", ":material/pause:"),
    "finished": ("finished", "blue", ":material/check:"),
    "stopped": ("stopped", "gray", ":material/stop:"),
    "crashed": ("trainer is dead", "red", ":material/error:"),
    "failed": ("failed", "red", ":material/error:"),
    "damaged": ("damaged", "red", ":material/broken_image:"),
    "busy": ("records in use", "orange", ":material/lock:"),
}
"""State of a run -> what a person reads, colour, icon."""

LAST_WORDS = 1500
"""Characters of what a trainer said at its end."""

ALIVE = ("new", "queued", "running", "paused", "busy")


LONGEST_LABEL = LONGEST_NAME + 70
"""Characters of a name with the id behind it: whole, since what is cut off may be what tells two
runs apart."""


def state_badge(name: str) -> None:
    st.markdown(state_markdown(name), width="content")


def state_markdown(name: str) -> str:
    """The same as markdown, for lists."""
    said, colour, icon = STATES[name]
    return f":{colour}-badge[{icon} {said}]"


def run_labels(summaries: list[RunSummary]) -> dict[str, str]:
    """Id -> name and state for the chooser, no two alike; widget labels of options are plain text,
    so nothing in a name comes alive."""
    names = search.told_apart(summaries)
    labels = {}
    for entry in summaries:
        sample = " \u00b7 sample" if entry.read_only else ""
        labels[entry.id] = (
            f"{plain(names[entry.id], LONGEST_LABEL)} \u00b7 {STATES[entry.state.state][0]}{sample}"
        )
    return labels


def run_bar(title: str, about: str) -> tuple[Run, int]:
    """The top of a page: its title, what it shows in a sentence, run, state, step. Draws the empty
    state and stops the page when there is nothing to show."""
    session.put("waiting", False)
    st.title(title, anchor=False)
    st.write(about)
    run = run_chooser()
    if run is None:
        no_run()
        st.stop()
    step = session.chosen_step(run)
    if not run.snapshot_steps():
        no_snapshot(run)
        st.stop()
    return run, step


def run_chooser(with_step: bool = True) -> Run | None:
    """Run and step in one row; None when there is no run."""
    run = session.chosen_run()
    missing = session.missing_run()
    if missing is not None:
        st.warning(
            f"There is no run {code_span(missing, 60)} here; it may have been deleted. Showing"
            " another one.",
            icon=":material/search_off:",
        )
    if run is None:
        return None
    labels = run_labels(folder.list_runs())
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="top")
    with left:
        st.selectbox(
            "Run",
            list(labels),
            list(labels).index(run.id),
            format_func=lambda run_id: labels[run_id],
            **session.showing("bar_run", run.id, session.choose_run),
        )
    with right:
        if with_step:
            step_slider.chooser(run)
            step_slider.refresh(run)
    return run


def layer_chooser(run: Run, all_layers: bool = False) -> int:
    """The one layer choice of all pages, 0-based; -1 = all layers, where offered (kept by the page
    only)."""
    layers = run.settings.model.num_layers
    options = [-1, *range(layers)] if all_layers else list(range(layers))
    chosen_before = session.chosen_layer(run)
    kept = session.widget("bar_layer_all")  # "all" is the page's own: no other page knows it
    wanted = kept if all_layers and kept in options else chosen_before

    def take(layer: int | None) -> None:
        if layer is not None and layer >= 0:
            session.choose_layer(layer)

    if all_layers:
        shown: dict[str, Any] = {
            "key": "bar_layer_all",
            "on_change": lambda: take(session.widget("bar_layer_all")),
        }
    else:
        shown = session.showing("bar_layer", chosen_before, take)
    chosen = st.segmented_control(
        "Layer",
        options,
        default=wanted,
        format_func=lambda layer: "all" if layer < 0 else str(layer),
        required=True,
        **shown,
    )
    return session.chosen_layer(run) if chosen is None else int(chosen)


def no_run() -> None:
    """The empty state of a page: there is no run."""
    with st.container(border=True):
        st.subheader("Nothing to look at yet", anchor=False)
        st.write(
            "This page shows a trained model from inside. Train one first: the first structure is"
            " there within a minute."
        )
        train_link()


def no_snapshot(run: Run) -> None:
    """The empty state of a page: the run has shown nothing yet."""
    said = run.state()
    with st.container(border=True):
        if said.state == "queued":
            st.subheader("This run waits for its turn", anchor=False)
            st.write(
                "Its training begins by itself as soon as there is room. The Train page shows its place in line."
            )
            st.page_link(
                "views/train/page.py",
                label="Watch it on the Train page",
                icon=":material/play_circle:",
            )
        elif said.state in ALIVE:
            st.subheader("The first snapshot is on its way", anchor=False)
            st.write("The trainer stores one every few steps. The Train page shows how far it is.")
            st.page_link(
                "views/train/page.py",
                label="Watch it on the Train page",
                icon=":material/play_circle:",
            )
        else:
            st.subheader(f"This run is {STATES[said.state][0]} and has no snapshot", anchor=False)
            st.write(
                "There is nothing to draw from it. Choose another run above, or resume this one on"
                " the Train page."
            )
            last_words(said)
            st.page_link(
                "views/train/page.py", label="Go to the Train page", icon=":material/play_circle:"
            )


def train_link(label: str = "Train a model") -> None:
    if st.button(label, type="primary", icon=":material/play_arrow:", key="go_train"):
        session.go_to("train")


def last_words(said: Any) -> None:
    """What the trainer said before it ended, or the reader of records that cannot be read; pages
    are read by others than who started it."""
    if said.last_words:
        st.caption("What is wrong" if said.state == "damaged" else "Its last words")
        st.code(last_said(said.last_words, LAST_WORDS), language=None, wrap_lines=True)


def result(run: Run, name: str, request: dict[str, Any], doing: str) -> Any | None:
    """A result of the analysis worker, or None while it is on its way: then a progress bar with a
    Stop button stands in its place, and the page is drawn again when the result is there. `doing`
    completes the sentence '... for the first time'."""
    stored = results.stored_result(run, name, request)
    if stored is not None:
        return stored
    key = f"wait_{name}_{json.dumps(request, sort_keys=True)}"
    stopped = f"stopped_{key}"
    if session.widget(stopped):
        st.info(f"{doing} was stopped.", icon=":material/stop:")
        st.button("Go on", key=f"again_{key}", on_click=lambda: session.set_widget(stopped, False))
        return None

    def stop() -> None:
        results.forget(name, request)
        session.set_widget(stopped, True)

    wait(run, name, request, key, stop, doing=doing)
    return None


def on_demand(
    run: Run,
    name: str,
    request: dict[str, Any],
    doing: str,
    label: str,
    *,
    key: str,
    about: str,
    icon: str = ":material/straighten:",
    primary: bool = False,
) -> Any | None:
    """As `result`, for what takes so long that somebody has to ask for it: a stored result at once,
    otherwise a button first.

    label, key, about, icon, primary: what the button says, its key, its help, its icon, and whether
    it is the page's main one.
    """
    asked = f"{name}_asked_{request_key(request)}"
    if results.stored_result(run, name, request) is None and not session.widget(asked):
        st.button(
            label,
            key=key,
            type="primary" if primary else "secondary",
            icon=icon,
            on_click=session.set_widget,
            args=(asked, True),
            help=about,
        )
        return None
    return result(run, name, request, doing)


def wait(
    run: Run,
    name: str,
    request: dict[str, Any],
    key: str,
    stop: Callable[[], None],
    *,
    doing: str = "",
    beside: str = "",
    failed: str = "",
) -> None:
    """Progress of a request with a Stop button; the page is drawn again when the result is there,
    an error can be tried again.

    doing: said while the worker says nothing. beside: stands before what the worker says, where
    something else is shown meanwhile. failed: the same for an error, which is then a warning, since
    the page has something to show.
    """
    if error := results.result_or_ask(run, name, request).error:
        (st.warning if failed else st.error)(failed + sentence(error, 600), icon=":material/error:")
        st.button("Try again", key=f"retry_{key}", on_click=lambda: results.forget(name, request))
        return
    session.put("waiting", True)  # a page that follows a running run lets this end first

    @st.fragment(run_every=0.5)
    def waiting() -> None:
        now = results.result_or_ask(run, name, request)
        if now.result is not None or now.error:
            st.rerun()  # and nothing asks any more
        with st.container(horizontal=bool(beside), vertical_alignment="center"):
            st.progress(
                min(1.0, max(0.0, now.progress)), text=beside + (now.say or f"{doing} \u2026")
            )
            if st.button("Stop", key=f"stop_{key}", icon=":material/stop:", on_click=stop):
                st.rerun()

    waiting()
