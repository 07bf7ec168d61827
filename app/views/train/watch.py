"""The live view of one run: numbers, buttons, and figures that update in place. Used by the Train
page; polls only while a trainer lives."""

from __future__ import annotations

import math

import streamlit as st

from app.engine import jobs
from app.shell import page_header
from app.text import readable
from app.text.escape import code_span, sentence
from app.views.train.live_figures import figures
from app.views.train.run_controls import act, command_trouble, controls, lead_on, trouble
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.runs.status import IN_USE, RunState
from cpart_core.runs.validation_loss import validation_loss

TICK_SECONDS = 2.0


def watch(run_id: str) -> None:
    """Everything about the run. While a trainer lives, only this fragment is drawn again."""
    state_now = folder.open_run(run_id).state().state
    st.fragment(live_view, run_every=TICK_SECONDS if state_now in page_header.ALIVE else None)(
        run_id, state_now
    )


def live_view(run_id: str, known_state: str) -> None:
    try:
        run = folder.open_run(run_id)
        said = run.state()
    except ValueError as error:
        st.error(sentence(str(error)), icon=":material/folder_off:")
        return
    if said.state != known_state:
        st.rerun()  # the rest of the page says the new state too, and polling begins or ends
    if said.state in ("damaged", "busy") or said.phase == IN_USE:
        page_header.state_badge("busy" if said.phase == IN_USE else said.state)
        trouble(run, said)
        if said.state == "damaged" and run.checkpoint_steps() and not run.read_only:
            act(
                "Resume training",
                ":material/play_arrow:",
                lambda: jobs.resume_training(run),
                f"resume_{run.id}",
                primary=True,
            )
            command_trouble()
        return
    header(run, said)
    if said.state == "finished" and run.snapshot_steps():
        lead_on(run)
    controls(run, said)
    trouble(run, said)
    try:
        figures(run, said)
    except ValueError as error:
        st.warning(sentence(str(error), 400), icon=":material/broken_image:")


def header(run: Run, said: RunState) -> None:
    """Name, state, progress and the numbers of this moment."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        page_header.state_badge(said.state)
        # its place in line is said below
        if said.phase and said.state not in (said.phase, "queued"):
            st.caption(sentence(said.phase, 200))
        if run.info.twin_of:
            st.caption(f"{run.info.twin_kind} twin of {code_span(run.info.twin_of)}")
        if not said.responding:
            st.badge(
                f"not responding for {readable.duration(said.heartbeat_age)}",
                color="orange",
                icon=":material/hourglass_disabled:",
            )
    st.progress(
        min(1.0, said.step / max(1, said.steps)), text=f"step {said.step:,} of {said.steps:,}"
    )
    evaluations = run.evaluations(max_points=2)
    found = validation_loss(run)
    change = (
        f"{evaluations.loss[-1] - evaluations.loss[0]:+.3f} since step {int(evaluations.step[0]):,}"
        if len(evaluations.loss) > 1
        else None
    )
    if found is not None and not found.sampled:
        # the step is the last one, and the first look was at a sample
        change = found.interval or None
    label = "Validation loss" if found is None else found.name.capitalize()
    numbers: list[tuple[str, str, str | None]] = [
        (label, readable.loss(math.nan if found is None else found.value), change),
        (
            "Time left",
            readable.duration(said.eta_seconds) if said.state == "running" else "\u2013",
            None,
        ),
        ("Tokens per second", readable.amount(said.tokens_per_second), None),
        ("Memory of the trainer", readable.size(said.memory_bytes), None),
    ]
    with st.container(horizontal=True, gap="large"):
        for label, value, delta in numbers:
            value = "\u2013" if value == readable.UNKNOWN else value
            st.metric(
                label,
                value,
                delta,
                delta_color="inverse" if found is None or found.sampled else "off",
                delta_arrow="auto" if found is None or found.sampled else "off",
                width="content",
                help=(
                    f"Nats per token, mean over contexts; {found.n}"
                    if delta and found is not None
                    else None
                ),
            )
