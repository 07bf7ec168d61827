"""What a person can do with a run at work or at its end: its buttons, what is wrong with it, and
where it leads on to."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import session
from app.engine import jobs
from app.shell import page_header
from app.text.escape import sentence
from cpart_core.runs.folder import Run
from cpart_core.runs.status import IN_USE, RunState

AFTER = {
    "fusion": "See its weights on a text",
    "compare": "Compare it with another",
    "carve": "Cut a smaller one out of it",
}
"""Page -> what one can do there with a model that is trained."""


def lead_on(run: Run) -> None:
    """What to do with a model that is trained: the next pages, with this run chosen."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Look inside your run" if not run.read_only else "Look inside",
            key="look_inside",
            type="primary",
            icon=":material/search:",
        ):
            session.choose_run(run.id)
            session.go_to("segments")
        for page, label in AFTER.items():
            if st.button(label, key=f"after_{page}", type="tertiary"):
                session.choose_run(run.id)
                session.go_to(page)


def controls(run: Run, said: RunState) -> None:
    """Buttons that fit the state. A sample has none."""
    if run.read_only:
        st.caption(
            "A finished example; it is only for looking at. Train a model of your own to steer it."
        )
        return
    with st.container(horizontal=True, gap="small"):
        if said.state == "running":
            command(run, "Pause", "pause", ":material/pause:")
        if said.state == "paused":
            command(
                run, "Step", "step", ":material/skip_next:", "One training step, then pause again"
            )
            command(run, "Resume", "resume", ":material/play_arrow:")
        if said.state == "new" and said.phase != "starting":
            act(
                "Start now",
                ":material/play_arrow:",
                lambda: jobs.resume_training(run),
                f"begin_{run.id}",
                primary=True,
            )
        elif said.state == "queued":
            command(
                run,
                "Leave the queue",
                "stop",
                ":material/close:",
                "Ends its waiting; nothing is lost, and Resume queues it again.",
            )
        elif said.state in page_header.ALIVE:
            command(
                run,
                "Stop",
                "stop",
                ":material/stop:",
                "Finishes the step, writes a checkpoint and ends. Resume goes on from there.",
            )
        if said.state in ("stopped", "crashed", "failed") and said.step < said.steps:
            act(
                "Resume training",
                ":material/play_arrow:",
                lambda: jobs.resume_training(run),
                f"resume_{run.id}",
                primary=True,
            )
            if run.settings.training.device == "cuda":
                about = (
                    "For a machine without a GPU: the same up to rounding. Its settings stay as"
                    " they are."
                )
                act(
                    "Resume on the CPU",
                    ":material/memory:",
                    lambda: jobs.resume_training(run, device="cpu"),
                    f"cpu_{run.id}",
                    about=about,
                )
        if not said.responding:
            act(
                "Kill the trainer",
                ":material/dangerous:",
                lambda: jobs.kill_training(run),
                f"kill_{run.id}",
            )
    command_trouble()


def command_trouble() -> None:
    """Why the last button did nothing."""
    problem = session.get("command_trouble")
    if problem:
        st.warning(sentence(problem, 300), icon=":material/info:")
        session.put("command_trouble", None)


def command(run: Run, label: str, name: str, icon: str, about: str = "") -> None:
    act(label, icon, lambda: run.send(name), f"{name}_{run.id}", about=about)


def act(
    label: str, icon: str, action: Any, key: str, primary: bool = False, about: str = ""
) -> None:
    """A button whose action may be refused with a sentence (the trainer ended a moment ago)."""

    def pressed() -> None:
        try:
            action()
        except (ValueError, OSError) as error:
            session.put("command_trouble", str(error))

    st.button(
        label,
        icon=icon,
        key=key,
        type="primary" if primary else "secondary",
        on_click=pressed,
        help=about or None,
    )


def trouble(run: Run, said: RunState) -> None:
    """A dead trainer is said to be dead, with its last words."""
    if said.state == "crashed":
        saved = run.checkpoint_steps()
        kept = (
            f"Nothing up to its checkpoint of step {saved[-1]:,} is lost."
            if saved
            else "It had stored no checkpoint, so it begins anew."
        )
        why = " Its log ends as shown below." if said.last_words else " It did not say why."
        st.error(
            f"The trainer of this run died at step {said.step:,}.{why} {kept}",
            icon=":material/error:",
        )
    elif said.state == "failed":
        st.error(f"Training ended itself at step {said.step:,}.", icon=":material/error:")
    elif said.state == "busy" or said.phase == IN_USE:
        st.info(
            "Another program has the records of this run in use. This page shows them as soon as it"
            " lets go.",
            icon=":material/lock:",
        )
    elif said.state == "stopped" and said.last_words:
        st.info(sentence(said.last_words, 400), icon=":material/info:")
    elif said.state == "damaged":
        saved = run.checkpoint_steps()
        weights = (
            f" Its checkpoint of step {saved[-1]:,} lies apart from them: Resume sets them aside"
            " and goes on."
            if saved
            else ""
        )
        st.error(
            "The records of this run cannot be read in full. Other runs are not touched by"
            f" it.{weights}",
            icon=":material/broken_image:",
        )
    if said.state in ("crashed", "failed", "damaged"):
        page_header.last_words(said)
