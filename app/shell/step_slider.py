"""The one step slider of all pages, and following: while a run is trained its pages show the newest
step, until a person holds one."""

from __future__ import annotations

import streamlit as st

from app import session
from cpart_core.runs.folder import Run

MOST_PLACES = 500
"""More cannot be told apart on the screen, and each is sent to the browser with every tick."""
TICK_SECONDS = 5.0
"""How often a page other than Train looks for a newer step."""


def chooser(run: Run) -> None:
    """The slider, and under it for a run at work: which step is shown, and the way back to the
    newest."""
    steps = run.snapshot_steps()
    if len(steps) < 2:
        st.caption(f"One snapshot so far: step {steps[0]:,}" if steps else "No snapshot yet")
        return
    live = session.grows(run)
    held = not session.follows()
    # While a run grows, its right end is a place of its own that never changes its name: the
    # browser has then nothing old to report.
    wanted = session.chosen_step(run) if held or not live else session.NEWEST
    places = [*places_of(steps, wanted), *([session.NEWEST] if live else [])]
    st.select_slider(
        "Step",
        places,
        wanted,
        format_func=lambda step: "newest" if step == session.NEWEST else f"{step:,}",
        help="The step that every page shows. At the right end the pages follow a running run.",
        **session.showing(
            f"bar_step_{run.id}", wanted, lambda step: session.choose_step(run, step)
        ),
    )
    if live:
        where(session.chosen_step(run), held)


def places_of(steps: list[int], wanted: int) -> list[int]:
    """The steps that the slider stops at: all of them, or of many every second, fourth, ..., with
    the chosen and the last one."""
    stride = 1
    while len(steps) // stride > MOST_PLACES:
        stride *= 2
    return sorted({*steps[::stride], steps[-1], *(step for step in (wanted,) if step in steps)})


def where(step: int, held: bool) -> None:
    """What is shown of a run at work."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not held:
            st.caption(f":green-badge[:material/sensors: live] following the newest step: {step:,}")
            return
        st.markdown(f":orange-badge[:material/pause_circle: step {step:,}]", width="content")
        st.button(
            "Back to live",
            key="back_to_live",
            icon=":material/sensors:",
            type="tertiary",
            on_click=session.choose_step,
            args=(None, session.NEWEST),
            help="Show the newest step, and go on with the training",
        )


def refresh(run: Run) -> None:
    """Draw the page again when a run at work has a newer step to show; not while the page waits for
    what it asked for the last one."""
    if not session.grows(run) or not session.follows():
        return
    shown = run.snapshot_steps()[-1:]

    @st.fragment(run_every=TICK_SECONDS)
    def look() -> None:
        if session.follows() and run.snapshot_steps()[-1:] != shown and not session.get("waiting"):
            st.rerun()

    look()
