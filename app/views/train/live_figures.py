"""The figures of a run at work: losses, segments, fusion weights, drawn in place, with their
tables."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from app import results, session
from app.charts.train.boards import (
    MOST_LAYERS,
    MOST_NEURONS,
    fusion_board,
    loss_board,
    segment_board,
)
from app.shell import page_header, step_slider
from app.shell.figure import under_figure
from app.shell.live import Words, show_board
from app.shell.provenance import source_of
from app.text.escape import sentence
from app.views.train.twins import draw_differences, twins_of
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.runs.info import RunInfo
from cpart_core.runs.status import RunState
from cpart_core.runs.tables import EvaluationTable
from cpart_core.wording.percent import percent

LIVE_POINTS = 128
"""Training steps drawn in each curve while it is live."""
LIVE_EVALUATIONS = 512
"""Validations drawn in each curve; the table below has them all."""


def figures(run: Run, said: RunState) -> None:
    """Loss on the left, segments and fusion on the right; on a narrow window below one another."""
    dark = session.dark()
    if said.state == "queued":  # with contexts, too, where it was resumed
        st.info(
            sentence(
                f"{said.phase[0].upper()}{said.phase[1:]}. It begins by itself as soon as there is room."
            ),
            icon=":material/hourglass_top:",
        )
    if not run.info.contexts:
        if said.state != "queued" and said.state in page_header.ALIVE and said.phase:
            st.info(
                "The trainer is reading the text and cutting it into tokens. The first curves follow.",
                icon=":material/hourglass_top:",
            )
        return
    left, right = st.columns(2, gap="large")
    with left:
        losses(run, said, dark)
    with right:
        if run.snapshot_steps():
            structure(run, dark)
        elif said.state != "queued" and said.state in page_header.ALIVE:
            st.caption("The first snapshot of the segments is on its way.")


def losses(run: Run, said: RunState, dark: bool) -> None:
    records, evaluations = (
        run.records(max_points=LIVE_POINTS),
        run.evaluations(max_points=LIVE_EVALUATIONS),
    )
    if not len(records.step):
        return
    trained = twins_of(run, folder.list_runs())
    twins = validated(trained)
    st.markdown("#### Loss by context")
    newest = (
        f"sampled validation {evaluations.loss[-1]:.3f} at step {int(evaluations.step[-1])}"
        if len(evaluations.loss)
        else "no validation yet"
    )
    alt = f"Loss by context over {said.step} steps: {newest}."
    tokens = int(evaluations.tokens_by_context[-1].sum()) if len(evaluations.step) else 0
    thinned = f"every {records.stride} steps" if records.stride > 1 else "every step"
    more = f"nats per token; training batches {thinned}" + twin_note(run, trained, bool(twins))
    if run.info.discovered and not tokens:
        more += f"; contexts are found at step {run.settings.partition.first_step:,}"
    source = source_of(
        run,
        said.step,
        f"{tokens:,} sampled validation tokens" if tokens else "",
        run.settings.training.seed,
        more,
    )
    words = Words(alt, "", source, "loss")
    show_board(
        loss_board(run.info.contexts, records, evaluations, twins, said.steps, dark),
        f"loss_{run.id}",
        words,
    )
    under_figure(f"loss_{run.id}", words, lambda: loss_table(run))
    draw_differences(run, evaluations, twins, dark)


def twin_note(run: Run, twins: list[RunInfo], drawn: bool) -> str:
    """Why there is no twin's curve; nothing where there is one."""
    if drawn or run.info.twin_of:
        return ""
    return (
        f"; the {' and the '.join(twin.twin_kind for twin in twins)} twin follows"
        if twins
        else "; no twin was trained"
    )


def validated(twins: list[RunInfo]) -> list[tuple[str, EvaluationTable]]:
    """(kind, evaluations) of the twins that have been validated and can be read."""
    found = []
    for twin in twins:
        try:
            table = folder.open_run(twin.id).evaluations(max_points=LIVE_EVALUATIONS)
        except ValueError:
            continue
        if len(table.step):
            found.append((twin.twin_kind, table))
    return found


def loss_table(run: Run) -> pd.DataFrame:
    evaluations = run.evaluations()
    table = pd.DataFrame({"step": evaluations.step, "mean over contexts": evaluations.loss})
    for place, context in enumerate(run.info.contexts):
        table[f"{context} (nats per token)"] = evaluations.loss_by_context[:, place]
        table[f"{context} (n tokens)"] = evaluations.tokens_by_context[:, place]
    return table


def structure(run: Run, dark: bool) -> None:
    """Segment map and fusion use at the chosen step."""
    step_slider.chooser(run)
    step = session.chosen_step(run)
    try:
        shown = results.snapshot(run, step)
    except ValueError as error:
        st.warning(
            f"The snapshot of step {step:,} cannot be read; choose another step. {sentence(str(error), 400)}",
            icon=":material/broken_image:",
        )
        return
    model = run.settings.model
    st.markdown("#### Segments")
    st.caption(partition_sentence(run, step, shown.partitioned, shown.frozen))
    neurons = shown.segment_of.shape[1]
    stride = math.ceil(neurons / MOST_NEURONS)
    alt = f"Segment of each of {neurons} neurons in {model.num_layers} layers at step {step}."
    more = f"one neuron in {stride} is drawn" if stride > 1 else ""
    words = Words(
        alt,
        "",
        source_of(
            run,
            step,
            f"{model.num_layers} \u00d7 {neurons} neurons",
            run.settings.training.seed,
            more,
        ),
        "segments",
    )
    show_board(segment_board(shown, model.num_segments, dark), f"map_{run.id}", words)
    under_figure(f"map_{run.id}", words, lambda: segment_table(shown))
    if not shown.fusion_tokens.sum() > 0:
        return  # nothing is known by context before contexts are found
    st.markdown("#### Fusion weight by context")
    st.caption(fusion_sentence(run, step))
    top = float(shown.fusion_mass.max()) if shown.fusion_mass.size else 0.0
    alt = f"Mean fusion weight by context and segment at step {step}; the largest is {top:.2f}."
    more = (
        f"{MOST_LAYERS} of {model.num_layers} layers, evenly"
        if model.num_layers > MOST_LAYERS
        else ""
    )
    source = source_of(
        run,
        step,
        f"{int(shown.fusion_tokens.sum()):,} sampled validation tokens",
        run.settings.training.seed,
        more,
    )
    words = Words(alt, "", source, "fusion_weight_by_context")
    show_board(fusion_board(shown, run.info.contexts, dark), f"fusion_{run.id}", words)
    under_figure(f"fusion_{run.id}", words, lambda: fusion_table(shown, run.info.contexts))


def fusion_sentence(run: Run, step: int) -> str:
    """What the weights mean at this step: they are computed before they are applied."""
    first = run.settings.partition.fusion_step
    if run.settings.model.execution == "dense":
        return (
            "This run is dense: every neuron counts fully, so no weights are computed and all"
            " segments are drawn alike."
        )
    if step < first:
        return (
            f"Computed, but applied only from step {first:,} on: until then every neuron counts"
            " fully. Rows sum to 1."
        )
    return (
        "How much each segment's output counts, mean on validation text of each context. Rows sum"
        " to 1."
    )


def partition_sentence(run: Run, step: int, partitioned: bool, frozen: bool) -> str:
    """What the partition of this step is, in a sentence."""
    if not partitioned:
        first = run.settings.partition.first_step
        return (
            f"Not divided yet: the first partition comes at step {first:,}. Until then the model is"
            " dense and segments are only a numbering."
        )
    changes = run.changes()
    done = [number for number, when in enumerate(changes.step) if when <= step]
    if not done:
        return f"Divided at step {step:,}."
    last = done[-1]
    churn = changes.churn[last]
    moved = (
        ""
        if not bool((churn == churn).all())
        else f"; {percent(float(churn.mean()))} of the neurons moved"
    )
    method = run.settings.partition.method.name
    return f"Partition {len(done)} (method {method}) at step {int(changes.step[last]):,}{moved}" + (
        "; segments are now frozen." if frozen else "."
    )


def segment_table(shown: Any) -> pd.DataFrame:
    layers, neurons = shown.segment_of.shape
    return pd.DataFrame(
        {
            "step": shown.step,
            "layer": [layer for layer in range(layers) for _ in range(neurons)],
            "neuron": list(range(neurons)) * layers,
            "segment": shown.segment_of.reshape(-1),
        }
    )


def fusion_table(shown: Any, contexts: tuple[str, ...]) -> pd.DataFrame:
    layers, num_contexts, segments = shown.fusion_mass.shape
    rows = [
        (
            shown.step,
            layer,
            contexts[context],
            segment,
            float(shown.fusion_mass[layer, context, segment]),
            int(shown.fusion_tokens[context]),
        )
        for layer in range(layers)
        for context in range(min(num_contexts, len(contexts)))
        for segment in range(segments)
    ]
    return pd.DataFrame(
        rows, columns=["step", "layer", "context", "segment", "mean fusion weight", "n tokens"]
    )
