"""The list of runs on Home: found, sorted, renamed, deleted, and starts that failed cleared
away."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import session
from app.shell import forms, page_header
from app.text import readable
from app.text.escape import code_span, sentence
from cpart_core.runs import folder, origin, search
from cpart_core.runs.folder import RunSummary
from cpart_core.runs.info import LONGEST_NAME
from cpart_core.runs.status import IN_USE
from cpart_core.runs.validation_loss import validation_loss

ROWS = 8
"""Runs on one page of the list."""
FEW = 4
"""Up to so many runs need no search."""


def run_list(was_alive: bool, just_read: list[list[RunSummary]]) -> None:
    """The list, drawn again by itself while something is being trained. just_read: holds the runs
    for the first time that it is drawn."""
    summaries = just_read.pop() if just_read else folder.list_runs()
    if was_alive and not any(summary.state.state in page_header.ALIVE for summary in summaries):
        st.rerun()
    if (problem := session.get("home_trouble")) is not None:
        st.warning(sentence(problem, 300), icon=":material/info:")
        session.put("home_trouble", None)
    if not summaries:
        st.rerun()
    found = sought(summaries) if len(summaries) > FEW else summaries
    failed_starts(summaries)
    pages = -(-len(found) // ROWS)
    page = int(st.pagination(pages, key="home_page") or 1) if pages > 1 else 1
    names = search.told_apart(summaries)
    for summary in found[(page - 1) * ROWS : page * ROWS]:
        run_row(summary, names)


def sought(summaries: list[RunSummary]) -> list[RunSummary]:
    """The search box and the order, kept for the visit; the runs that they leave."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        wanted = st.text_input(
            "Search",
            key="home_search",
            placeholder="name, context, state or method",
            icon=":material/search:",
            persist_state="session",
            width=320,
        )
        by = st.selectbox(
            "Order",
            list(search.SORTS),
            format_func=lambda name: search.SORTS[name][0],
            key="home_sort",
            persist_state="session",
            width=180,
        )
        found = search.in_order(search.search(summaries, wanted), by or "newest")
        st.caption(f"{len(found):,} of {len(summaries):,} runs", width="content")
    if not found:
        st.info(
            f"No run has all of these words: {code_span(wanted, 100)}", icon=":material/search_off:"
        )
    return found


def failed_starts(summaries: list[RunSummary]) -> None:
    """How many runs ended before their first step, and one button that clears them away."""
    failed = search.failed_starts(summaries)
    if not failed:
        return
    said = "1 start failed" if len(failed) == 1 else f"{len(failed):,} starts failed"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f":material/error: {said} before the first step; each says why in the list.",
            width="content",
        )
        st.button(
            "Clear away",
            key="clear_failed",
            icon=":material/delete_sweep:",
            type="tertiary",
            on_click=clear,
        )


def clear() -> None:
    search.clear_failed_starts()


def run_row(summary: RunSummary, names: dict[str, str]) -> None:
    with st.container(border=True, key=f"row_{summary.id}"):
        left, middle, right = st.columns([5, 5, 2], gap="medium", vertical_alignment="center")
        with left:
            sample = " :gray-badge[sample]" if summary.read_only else ""
            st.markdown(
                f"**{code_span(names[summary.id], LONGEST_NAME + 70)}**"
                f" {page_header.state_markdown(summary.state.state)}{sample}"
            )
            st.caption(about(summary, names))
        with middle:
            how_far(summary)
        with right:
            actions(summary)


def about(summary: RunSummary, names: dict[str, str]) -> str:
    """Contexts, size, age."""
    if summary.info is None:
        return "Its description cannot be read. Other runs are not touched by it."
    info = summary.info
    pieces = (
        [f"{len(info.contexts)} contexts" + (" (found)" if info.discovered else "")]
        if info.contexts
        else []
    )
    pieces += [f"{readable.amount(info.num_parameters)} parameters"] if info.num_parameters else []
    whence, source = origin.about(info.origin, names)
    pieces += [f"{whence} {code_span(source, LONGEST_NAME)}"] if whence else []
    pieces += [readable.age(info.created)]
    return " \u00b7 ".join(piece for piece in pieces if piece)


def how_far(summary: RunSummary) -> None:
    """Steps and the newest validation loss; where the records cannot be read, the reason alone:
    the step is not known then, and asking for the losses would wait for them once more."""
    said = summary.state
    if summary.info is None or said.state == "damaged":
        st.caption(sentence(said.last_words or "Nothing more is known.", 300))
        return
    if said.state == "busy" or said.phase == IN_USE:
        st.caption("Another program has its records in use. They are shown as soon as it lets go.")
        return
    if said.state == "queued":
        st.caption(sentence(said.phase, 200))
    elif said.state in page_header.ALIVE:
        left = (
            f" \u00b7 {readable.duration(said.eta_seconds)} left"
            if said.eta_seconds == said.eta_seconds
            else ""
        )
        st.progress(
            min(1.0, said.step / max(1, said.steps)),
            text=f"step {said.step:,} of {said.steps:,}{left}",
        )
    elif said.step < said.steps:
        st.caption(f"step {said.step:,} of {said.steps:,}")
    if why := search.reason(summary):
        st.caption(
            sentence(
                f"Its log ends: {why}" if said.state == "crashed" and said.last_words else why, 300
            )
        )
    if said.step or said.state not in ("failed", "crashed"):
        st.markdown(loss_sentence(summary))


def loss_sentence(summary: RunSummary) -> str:
    try:
        found = validation_loss(folder.open_run(summary.id))
    except ValueError as error:
        return f"losses cannot be read: {sentence(str(error), 200)}"
    if found is None:
        return f":gray[no validation{' yet' if summary.state.state in page_header.ALIVE else ''}]"
    at = "; ".join(filter(None, (f"step {found.step:,}", found.interval, found.n, found.began)))
    return f"{found.name} **{readable.loss(found.value)}** :gray[({at})]"


def actions(summary: RunSummary) -> None:
    with st.container(horizontal=True, gap="small", horizontal_alignment="right"):
        if summary.info is not None:
            live = summary.state.state in page_header.ALIVE
            if st.button(
                "Watch" if live else "Open",
                key=f"open_{summary.id}",
                help=None if live else "Look at its segments",
            ):
                session.choose_run(summary.id)
                session.put("next_train_view", "watch")
                session.go_to("train" if live else "segments")
        if not summary.read_only:
            manage(summary)


def manage(summary: RunSummary) -> None:
    """Rename and delete; deleting asks once more."""
    with st.popover(
        "",
        icon=":material/more_horiz:",
        type="tertiary",
        help="Rename or delete",
        key=f"more_{summary.id}",
    ):
        if summary.info is not None:
            name = forms.line("Name", summary.name, limit=LONGEST_NAME, key=f"name_{summary.id}")
            unchanged = name.strip() in ("", summary.name)
            st.button(
                "Rename",
                key=f"rename_{summary.id}",
                disabled=unchanged,
                on_click=attempt,
                args=(folder.rename_run, summary.id, name),
            )
        asked = f"asked_{summary.id}"
        if not session.widget(asked):
            alive = summary.state.state in ("running", "paused")
            about = "Stop it first" if alive else None
            label, icon = "Delete this run", ":material/delete:"
            st.button(
                label,
                key=f"delete_{summary.id}",
                icon=icon,
                disabled=alive,
                help=about,
                on_click=session.set_widget,
                args=(asked, True),
            )
            return
        st.markdown(
            f"{code_span(summary.name, LONGEST_NAME)} (id {code_span(summary.id, 64)}) with its"
            " records, snapshots and checkpoints is deleted from the disk. This cannot be undone."
        )
        with st.container(horizontal=True):
            st.button(
                "Delete for good",
                type="primary",
                key=f"really_{summary.id}",
                on_click=attempt,
                args=(folder.delete_run, summary.id),
            )
            st.button(
                "Keep it",
                key=f"keep_{summary.id}",
                on_click=session.set_widget,
                args=(asked, False),
            )


def attempt(action: Callable[..., None], run_id: str, *more: str) -> None:
    """Do it, or have the page say why it was refused."""
    try:
        action(run_id, *more)
    except (ValueError, OSError) as error:
        session.put("home_trouble", str(error))
