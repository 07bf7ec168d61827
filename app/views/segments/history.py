"""How the partition came about: churn and the flow of neurons from snapshot to snapshot, as a part
of the Segments page."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import session
from app.charts.segments import change as segments_change
from app.shell import page_header, reading
from app.shell.figure import show_figure
from app.shell.provenance import source_of
from cpart_core.records.change import Flow
from cpart_core.runs.folder import Run
from cpart_core.wording.percent import percent


def draw(run: Run, step: int) -> None:
    """Churn and flow over training, up to the chosen step."""
    st.subheader("How the partition came about", anchor=False)
    page_header.layer_chooser(run)
    snapshots = reading.snapshots_until(run, step)
    flows = reading.flows_between(snapshots)
    if not flows:
        st.info(
            "There is nothing to compare yet: this needs two snapshots with a partition, up to the"
            " chosen step.",
            icon=":material/hourglass_top:",
        )
        return
    seed, count = (
        run.settings.training.seed,
        f"{snapshots[0].segment_of.shape[1]:,} neurons a layer, {len(snapshots)} snapshots",
    )
    last = np.array([flow.churn for flow in flows])
    show_figure(
        segments_change.churn_figure(flows, dark=session.dark()),
        "segments_churn",
        "Share of each layer's neurons that lie in another segment than at the snapshot before.",
        f"Churn by layer over {len(flows)} intervals. Greatest: {percent(last.max())} of a layer;"
        f" in the last one {percent(last[-1].mean())} on average.",
        lambda: segments_change.churn_table(flows),
        source_of(run, step, count, seed),
    )
    draw_flow(run, flows, step, count)


def draw_flow(run: Run, flows: list[Flow], step: int, count: str) -> None:
    """The river of one layer, or a matrix when there are too many segments to follow."""
    layer = session.chosen_layer(run)
    moving = [flow for flow in flows if flow.churn[layer] > 0]
    if not moving:
        others = [
            str(other)
            for other in np.flatnonzero(np.array([flow.churn for flow in flows]).max(axis=0) > 0)
        ]
        elsewhere = f" In layer {', '.join(others)} some did." if others else ""
        st.info(
            f"No neuron of layer {layer} moved between these snapshots.{elsewhere}",
            icon=":material/done_all:",
        )
        return
    moved = sum(int(flow.moved[layer].sum() - np.trace(flow.moved[layer])) for flow in moving)
    if moving[0].moved.shape[1] > segments_change.MOST_BANDS:
        figure = segments_change.flow_matrix(moving[-1], layer, dark=session.dark())
        what = "Neurons by segment before and after the last change"
    else:
        figure = segments_change.flow_river(
            segments_change.joined(moving), layer, dark=session.dark()
        )
        what = (
            "A column is a snapshot, a band the neurons that go together; strong bands have changed"
            " their segment"
        )
    show_figure(
        figure,
        "segments_flow",
        f"{what}. Layer {layer}.",
        f"Flow of neurons between the segments of layer {layer}: {moved:,} moves in {len(moving)}"
        " intervals.",
        lambda: segments_change.flow_table(flows),
        source_of(
            run,
            step,
            count,
            run.settings.training.seed,
            "intervals in which nothing moved are left out",
        ),
    )
