"""The second side of the Compare page: which run and step B is, kept in the address like A."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import streamlit as st

from app import session
from app.shell import page_header
from app.views.train.twins import twins_of
from cpart_core.runs import folder
from cpart_core.runs.folder import Run, RunSummary

FIRST_TWINS = ("dense", "random")
"""Kinds of twins that are offered before others."""


@dataclass(frozen=True)
class Sides:
    """What is compared. Steps are of snapshots; the weights are those of the nearest checkpoints,
    None without any. Checkpoints are looked up once: a run that goes on must not answer differently
    within one drawing of the page."""

    first: Run
    step: int
    second: Run
    other_step: int

    @cached_property
    def checkpoint(self) -> int | None:
        return session.checkpoint_step(self.first, self.step)

    @cached_property
    def other_checkpoint(self) -> int | None:
        return session.checkpoint_step(self.second, self.other_step)

    @property
    def weights(self) -> bool:
        """Both have weights, and not the very same ones at what are two steps."""
        if self.checkpoint is None or self.other_checkpoint is None:
            return False
        same = (self.first.id, self.checkpoint) == (self.second.id, self.other_checkpoint)
        return not same or self.step == self.other_step

    @property
    def exact(self) -> bool:
        """The weights are of the very steps that were chosen."""
        return self.weights and (self.checkpoint, self.other_checkpoint) == (
            self.step,
            self.other_step,
        )

    @property
    def both_weights(self) -> dict[str, Any]:
        """The part of a request that names both checkpoints."""
        return {
            "run": self.first.id,
            "step": self.checkpoint,
            "other": self.second.id,
            "other_step": self.other_checkpoint,
        }


def choose(run: Run, step: int) -> Sides:
    """The row under A's: run and step of B, and the button that swaps both."""
    follow_defaults(run, step)
    listed = [summary for summary in folder.list_runs() if summary.info is not None]
    labels = page_header.run_labels(listed)
    second = chosen_other(run, listed)
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    with left:
        st.selectbox(
            "B, to be compared with the run above (A)",
            list(labels),
            list(labels).index(second.id),
            format_func=lambda run_id: (
                labels[run_id] + (" · the same run" if run_id == run.id else "")
            ),
            **session.showing("compare_run", second.id, take_run),
        )
    if session.get("other_missing"):
        st.warning(
            "The run to compare with does not exist here; it may have been deleted. Showing another"
            " one.",
            icon=":material/search_off:",
        )
    steps = second.snapshot_steps()
    if not steps:
        page_header.no_snapshot(second)
        st.stop()
    other_step = chosen_other_step(run, step, second)
    keep(run, step, second, other_step)
    with right:
        step_slider(second, steps, other_step)
    st.button(
        "Swap A and B",
        icon=":material/swap_horiz:",
        key="compare_swap",
        type="tertiary",
        on_click=swap,
        args=(run, step, second, other_step),
    )
    return Sides(run, step, second, other_step)


def follow_defaults(run: Run, step: int) -> None:
    """A B that nobody chose goes with A: forget it when A is another one now."""
    kept = session.get("other_by_default")
    if (
        kept is not None
        and kept[2:] == (session.get("other"), session.get("other_step"))
        and kept[:2] != (run.id, step)
    ):
        session.put("other", None)
        session.put("other_step", None)


def keep(run: Run, step: int, second: Run, other_step: int) -> None:
    """Write B into the address, so that the comparison can be sent, and remember whether anybody
    chose it."""
    if session.get("other") is None:
        session.put("other_by_default", (run.id, step, second.id, other_step))
    for name, value in (("other", second.id), ("other_step", other_step)):
        if session.get(name) != value:
            session.put(name, value)


def take_run(run_id: str) -> None:
    session.put("other_missing", None)
    session.put("other_step", None)
    session.put("other", run_id)


def step_slider(second: Run, steps: list[int], other_step: int) -> None:
    if len(steps) < 2:
        st.caption(f"One snapshot so far: step {steps[0]:,}")
        return
    st.select_slider(
        "Step of B",
        steps,
        other_step,
        format_func=lambda at: f"{at:,}",
        **session.showing(
            f"compare_step_{second.id}", other_step, lambda at: session.put("other_step", at)
        ),
    )


def swap(run: Run, step: int, second: Run, other_step: int) -> None:
    session.put("other_missing", None)
    session.choose_run(second.id)
    session.choose_step(second, other_step)
    session.put("other", run.id)
    session.put("other_step", step)


def chosen_other(run: Run, listed: list[RunSummary]) -> Run:
    """The run of the address, else the twin (dense, then random, then others; for a twin its own
    run), else the run itself."""
    wanted = session.get("other")
    if wanted:
        try:
            return folder.open_run(wanted)
        except ValueError:
            session.put("other_missing", True)
            session.put("other", None)
            session.put("other_step", None)
    kinds = {kind: place for place, kind in enumerate(FIRST_TWINS)}
    twins = sorted(twins_of(run, listed), key=lambda info: kinds.get(info.twin_kind, len(kinds)))
    for candidate in [
        *(info.id for info in twins),
        *(summary.id for summary in listed if summary.id == run.info.twin_of),
    ]:
        other = folder.open_run(candidate)
        if other.snapshot_steps():
            return other
    return run


def chosen_other_step(run: Run, step: int, second: Run) -> int:
    """The snapshot nearest to the chosen step; without a choice that nearest to A's, or the first
    partition where B is the same run."""
    steps = second.snapshot_steps()
    wanted = session.get("other_step")
    if wanted is None and second.id == run.id:
        wanted = first_partition(run)
        if min(steps, key=lambda saved: abs(saved - wanted)) == step:
            wanted = steps[-1]
    if wanted is None:
        wanted = step
    return min(steps, key=lambda saved: abs(saved - wanted))


def first_partition(run: Run) -> int:
    """The step of the first partition, or of the first snapshot where none is known."""
    try:
        changes = run.changes().step.tolist()
    except ValueError:
        changes = []
    return int(changes[0]) if changes else run.snapshot_steps()[0]
