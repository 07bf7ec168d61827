"""Segments: which neuron lies where and which context uses which segment; whether that means
anything, what it is worth, and how it came about are tabs beside it. One segment's page is in
segment.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from app import session
from app.charts.segments import by_context as segments_fusion
from app.charts.segments import layer_map as segments_map
from app.charts.segments.by_context import CONTRIBUTION, MASS, MEASURES
from app.shell import page_header, reading
from app.shell.figure import show_figure
from app.shell.glossary import words
from app.shell.provenance import source_of
from app.views.segments import effect as segments_effect
from app.views.segments import history as segments_history
from app.views.segments import meaning as segments_meaning
from app.views.segments import one_segment as segment
from cpart_core.records.training import Snapshot
from cpart_core.runs.folder import Run
from cpart_core.wording.percent import percent

MOST_LAYERS_AT_ONCE = 8
OPENED = "segments_opened"
PARTS = ("Map", "Meaning", "Worth", "History")


def page() -> None:
    run, step = page_header.run_bar(
        "Segments",
        "Every layer's neurons are divided into segments. What is each of them for, and how did"
        " they form?",
    )
    if session.get("segment") is not None:
        segment.draw(run, step)
        return
    words("neuron", "segment", "partition", "fusion mass", "churn")
    reading.say_stage(run, reading.snapshot_or_stop(run, step))
    for part, draw in zip(
        part_chooser(),
        (draw_use, segments_meaning.draw, segments_effect.draw, segments_history.draw),
        strict=True,
    ):
        if part.open:
            with part:
                draw(run, step)


def part_chooser() -> Sequence[Any]:
    """The tabs of the page. Only the open one is drawn: every figure takes the browser its time at
    each step of the slider."""
    key = "segments_part"
    session.set_widget(key, session.get(key) or PARTS[0])
    return st.tabs(PARTS, key=key, on_change=lambda: session.put(key, session.widget(key)))


def draw_use(run: Run, step: int) -> None:
    """What the segments are at this step."""
    snapshot = reading.snapshot_or_stop(run, step)
    draw_map(run, snapshot)
    if np.nansum(snapshot.fusion_tokens) > 0:
        draw_contexts(run, snapshot)
        draw_list(run, snapshot)


def draw_map(run: Run, snapshot: Snapshot) -> None:
    """Layer x neuron."""
    st.subheader("Where every neuron lies", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        order = st.segmented_control(
            "Order neurons by",
            ["segment", "neuron"],
            default="segment",
            key="segments_order",
            required=True,
            persist_state="session",
        )
        colour = st.segmented_control(
            "Colour by",
            ["segment", "context"],
            default="context",
            key="segments_colour",
            required=True,
            persist_state="session",
            help=(
                "context: the one in which the neuron's gradient signature is greatest, relative to"
                " its layer. Ordered by segment, this shows what a segment is for."
            ),
        )
    reading.selection_line(run, snapshot)
    selected = session.selection(run).neurons
    layers, neurons = snapshot.segment_of.shape
    contexts = run.info.contexts
    figure = segments_map.segment_map(
        snapshot,
        contexts,
        order=str(order),
        colour=str(colour),
        selected=selected,
        dark=session.dark(),
    )
    tokens = int(np.nansum(snapshot.signature_tokens))
    what = (
        "Neurons by the context in which their signature is greatest; each line is above the"
        " neurons of one segment."
    )
    if colour == "segment":
        what = "Neurons by their segment."
    elif order == "neuron":
        what = "Neurons by the context in which their signature is greatest."
    how = (
        "a column is a neuron"
        if order == "neuron"
        else "a column is a place in the layer, not a neuron number: hover for the number"
    )
    show_figure(
        figure,
        "segments_map",
        what,
        f"Map of {layers} layers by {neurons} neurons at step {snapshot.step}, coloured by"
        f" {colour}. {map_finding(snapshot, contexts)}",
        lambda: segments_map.segment_map_table(snapshot, contexts),
        source_of(
            run,
            snapshot.step,
            f"{layers * neurons:,} neurons, signatures from {tokens:,} tokens",
            run.settings.training.seed,
            how,
        ),
    )


def map_finding(snapshot: Snapshot, contexts: tuple[str, ...]) -> str:
    """How far segments agree with strongest contexts, in a sentence, for the alt text."""
    context = segments_map.strongest_context(snapshot)
    same = [
        np.bincount(
            context[layer][row == number][context[layer][row == number] >= 0], minlength=1
        ).max()
        for layer, row in enumerate(snapshot.segment_of)
        for number in np.unique(row)
    ]
    share = float(np.sum(same)) / max(1, int((context >= 0).sum()))
    return (
        f"{percent(share)} of the neurons have the strongest context that is most common in their"
        f" segment, of {len(contexts)} contexts."
    )


def draw_contexts(run: Run, snapshot: Snapshot) -> None:
    """Context x segment x layer."""
    st.subheader("Which context uses which segment", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        labels = {measure.label: measure for measure in MEASURES}
        chosen = st.segmented_control(
            "Measure",
            list(labels),
            default=MASS.label,
            key="segments_measure",
            required=True,
            persist_state="session",
        )
        measure = labels[str(chosen)]
        layer = page_header.layer_chooser(run, all_layers=True)
    found = measured(run, snapshot, measure)
    if found is None:
        return
    values, tokens, at = found
    layers = [layer] if layer >= 0 else list(range(len(values)))
    if len(layers) > MOST_LAYERS_AT_ONCE:
        layers = np.unique(
            np.linspace(0, len(values) - 1, MOST_LAYERS_AT_ONCE).round().astype(int)
        ).tolist()
        st.caption(
            f"{len(layers)} of {len(values)} layers are drawn; choose one above to see any other."
            " The table has all."
        )
    contexts = run.info.contexts
    figure = segments_fusion.context_heat(
        values, tokens, contexts, layers, measure, dark=session.dark()
    )
    even = (
        f"an even fusion would give 1/{values.shape[2]} = {1 / values.shape[2]:.3g} everywhere"
        if measure is MASS
        else ""
    )
    show_figure(
        figure,
        "segments_contexts",
        f"{measure.meaning.capitalize()}.",
        heat_finding(values, contexts, layers, measure),
        lambda: segments_fusion.context_table(values, tokens, contexts, measure),
        source_of(
            run,
            at,
            f"{int(np.nansum(tokens)):,} validation tokens, each cell's own n in its hover",
            run.settings.training.seed,
            even,
        ),
    )


def measured(
    run: Run, snapshot: Snapshot, measure: segments_fusion.Measure
) -> tuple[np.ndarray, np.ndarray, int] | None:
    """(values [L, C, S], tokens [C], step); None while the worker is at it. Only the contribution
    needs the worker."""
    if measure is not CONTRIBUTION:
        values = snapshot.fusion_mass if measure is MASS else snapshot.chosen_share
        return values, snapshot.fusion_tokens, snapshot.step
    checkpoint = session.checkpoint_step(run, snapshot.step)
    if checkpoint is None:
        reading.no_checkpoint(run, "The norm of a segment's output")
        return None
    profiles = page_header.result(
        run, "profiles", {"run": run.id, "step": checkpoint}, "Reading validation text"
    )
    return (
        None
        if profiles is None
        else (profiles.contribution, profiles.tokens_by_context, checkpoint)
    )


def heat_finding(
    values: np.ndarray,
    contexts: tuple[str, ...],
    layers: list[int],
    measure: segments_fusion.Measure,
) -> str:
    """The greatest cell, in words."""
    shown = np.nan_to_num(values[layers])
    layer, context, number = np.unravel_index(int(shown.argmax()), shown.shape)
    greatest = float(shown[layer, context, number])
    where = f"segment {number} on {contexts[context]} in layer {layers[layer]}"
    return (
        f"{measure.title.capitalize()} by context and segment. The greatest: {greatest:.2f},"
        f" {where}."
    )


def draw_list(run: Run, snapshot: Snapshot) -> None:
    """Every segment of a layer in a row; choosing one opens its page."""
    layer = session.chosen_layer(run)
    st.subheader(f"The segments of layer {layer}", anchor=False)
    top_k = run.settings.model.top_k
    dead, present = (
        found & snapshot.partitioned
        for found in segments_fusion.remarkable(snapshot.fusion_mass, top_k)
    )
    say_remarkable(dead, present, snapshot.partitioned)
    profiles = reading.stored_profiles(run, snapshot.step)
    table = segment.listing(snapshot, run.info.contexts, layer, dead, present, profiles)
    st.dataframe(
        table,
        hide_index=True,
        alt=f"Segments of layer {layer} with size, load and contexts",
        column_config={
            "load": st.column_config.ProgressColumn(
                "load",
                format="%.1f %%",
                min_value=0.0,
                max_value=float(max(1.0, table["load"].max())),
                help="Mean fusion weight over all contexts, each counted the same",
            ),
            "neurons": st.column_config.NumberColumn(width="small"),
            "segment": st.column_config.NumberColumn(width="small"),
        },
    )
    st.pills(
        "Open the page of segment",
        range(snapshot.fusion_mass.shape[2]),
        key=OPENED,
        on_change=open_chosen,
        args=(layer,),
    )
    if profiles is None:
        st.caption("Typical tokens are added once somebody has opened a segment's page.")


def open_chosen(layer: int) -> None:
    """The page of the segment that was clicked."""
    number = session.widget(OPENED)
    if number is not None:
        # not lit when one comes back: a second click would put it out instead of opening
        session.set_widget(OPENED, None)
        segment.open_page(layer, number)


def say_remarkable(dead: np.ndarray, present: np.ndarray, partitioned: bool) -> None:
    """Dead and ever-present segments of all layers in words; also that there are none."""
    if not partitioned:
        return
    for found, verdict, why in (
        (dead, "hardly ever used", "less than a tenth of an even share on every context"),
        (
            present,
            "used by every context",
            "among the strongest on each of them, so it cannot tell contexts apart",
        ),
    ):
        pairs = [f"layer {layer} segment {number}" for layer, number in np.argwhere(found)]
        shown = "; ".join(pairs[:10]) + (f"; and {len(pairs) - 10} more" if len(pairs) > 10 else "")
        st.markdown(f"- **{verdict.capitalize()}** ({why}): {shown or 'none'}.")


page()
