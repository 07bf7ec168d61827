"""What pages that look inside a run share: a snapshot or a clear message, the flows over time, the
line of the selection."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from app import results, session
from app.text.escape import sentence
from cpart_core.analysis.segments.flow import flow
from cpart_core.records.change import Flow
from cpart_core.records.training import Snapshot
from cpart_core.runs.folder import Run
from cpart_core.settings.run import Settings

MOST_SNAPSHOTS_OVER_TIME = 24
"""More snapshots than this are thinned evenly for the pictures over time; the newest is always
among them."""


def snapshot_or_stop(run: Run, step: int) -> Snapshot:
    """The snapshot of a step; a damaged one is said to be damaged, and the page ends."""
    try:
        return results.snapshot(run, step)
    except ValueError as error:
        st.error(
            f"The snapshot of step {step:,} cannot be read. {sentence(str(error), 400)}",
            icon=":material/broken_image:",
        )
        st.write("Nothing else of the run is touched by it: choose another step above.")
        st.stop()


def say_stage(run: Run, snapshot: Snapshot) -> None:
    """What a reader must know of this run and step so as not to take a numbering for a finding;
    nothing where there is nothing to know."""
    told = stage(run.settings, snapshot.step, snapshot.partitioned, run.info.discovered)
    if told:
        st.info("  \n".join(told), icon=":material/info:")


def stage(settings: Settings, step: int, partitioned: bool, discovered: bool) -> list[str]:
    """Sentences: whether neurons are divided yet, whether fusion is applied, and where the contexts
    are from."""
    said = []
    first, fused = settings.partition.first_step, settings.partition.fusion_step
    if not partitioned:
        when = (
            f"the first partition, at step {first:,}"
            if first <= settings.training.steps
            else "a first partition, and there will be none"
        )
        said.append(
            f"Step {step:,} is before {when}. Neurons still lie in order, and segment numbers mean"
            " nothing."
        )
    if settings.model.execution == "dense":
        said.append(
            "This run is dense: every neuron counts fully for every token, so no fusion weights are"
            " computed; all segments are drawn alike."
        )
    elif step < fused:
        said.append(
            f"Fusion is applied from step {fused:,} on. Before, its weights are computed, but every"
            " neuron counts fully."
        )
    if discovered and partitioned:
        said.append(
            "The text came without labels: its contexts were found from gradients at the first"
            " partition, and have numbers for names."
        )
    elif discovered:
        said.append(
            "The text came without labels: its contexts are found at the first partition. Until"
            " then nothing is known by context."
        )
    return said


def snapshots_until(run: Run, step: int) -> list[Snapshot]:
    """Partitioned snapshots up to a step, thinned evenly; damaged ones are left out."""
    steps = [saved for saved in run.snapshot_steps() if saved <= step]
    stride = -(-len(steps) // MOST_SNAPSHOTS_OVER_TIME) or 1
    found = []
    for saved in reversed(steps[::-1][::stride]):
        try:
            found.append(results.snapshot(run, saved))
        except ValueError:
            continue
    return [snapshot for snapshot in found if snapshot.partitioned]


def flows_between(snapshots: list[Snapshot]) -> list[Flow]:
    """The moves between consecutive snapshots."""
    return [flow(before, after) for before, after in zip(snapshots, snapshots[1:], strict=False)]


def stored_profiles(run: Run, step: int) -> Any | None:
    """Segment profiles of the checkpoint nearest to a step, when somebody has asked for them
    before; the worker is not asked."""
    checkpoint = session.checkpoint_step(run, step)
    return (
        None
        if checkpoint is None
        else results.stored_result(run, "profiles", {"run": run.id, "step": checkpoint})
    )


def no_checkpoint(run: Run, what: str) -> None:
    """The empty state of everything that needs weights."""
    every = run.settings.training.checkpoint_every
    st.info(
        f"{what} needs the model's weights, and this run has stored none yet. It stores a"
        f" checkpoint every {every:,} steps.",
        icon=":material/hourglass:",
    )


def selection_line(run: Run, snapshot: Snapshot, layer: int | None = None) -> None:
    """What is selected, by layer and segment, with a button that clears it. Nothing is drawn
    without a selection."""
    neurons = session.selection(run).neurons
    if not neurons:
        return
    layers, count = snapshot.segment_of.shape
    inside = [
        (where, neuron)
        for where, neuron in neurons
        if where < layers and neuron < count and layer in (None, where)
    ]
    segments = Counter(int(snapshot.segment_of[where, neuron]) for where, neuron in inside)
    said = ", ".join(
        f"{'shared' if segment < 0 else segment} ({many})"
        for segment, many in segments.most_common(6)
    )
    where = "" if layer is None else f", {len(inside):,} of them in layer {layer}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        text = f"**{len(neurons):,} neurons selected**{where}" + (
            f" · by segment: {said}" if said else ""
        )
        st.markdown(text, width="content")
        st.button(
            "Clear the selection",
            key="clear_selection",
            type="tertiary",
            icon=":material/close:",
            on_click=lambda: session.select(run, []),
        )
