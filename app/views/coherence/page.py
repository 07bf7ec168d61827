"""Coherence: the same prompt and seed for several models, side by side; scores beside human and
random text; blind votes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app import session
from app.charts.coherence import continuations as charts
from app.charts.fusion import tint as fusion_tint
from app.shell import page_header, reading
from app.shell.figure import show_figure
from app.shell.glossary import words
from app.shell.provenance import source_of
from app.text.escape import code_span, sentence
from app.views.coherence import blind as coherence_blind
from app.views.coherence import scores as coherence_scores
from app.views.coherence import writers as coherence_writers
from app.views.fusion.texts import legend, show_tinted
from cpart_core.records.coherence import SideBySide
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import Run

ABOUT = (
    "Do continuations hang together? Up to four models, or one model with a segment changed, go on"
    " with the same prompt and seed. Every measure stands beside human text and random text, since"
    " a number alone says nothing."
)


def page() -> None:
    run, step = page_header.run_bar("Coherence", ABOUT)
    words("segment", "fusion weights", "checkpoint", "twin")
    checkpoint = session.checkpoint_step(run, step)
    if checkpoint is None:
        reading.no_checkpoint(run, "Writing")
        return
    if checkpoint != step:
        st.caption(
            f"Writing needs weights: this is checkpoint step {checkpoint:,}, the nearest to step"
            f" {step:,}."
        )
    compared = coherence_writers.choose(run, checkpoint)
    if compared is None:
        st.info("There is no run with a checkpoint that could judge.", icon=":material/info:")
        return
    side_by_side(run, compared)
    report = coherence_scores.draw(run, compared)
    coherence_blind.draw(run, report)


def side_by_side(run: Run, compared: dict[str, Any]) -> None:
    """One prompt, every writer's continuation with its segment track, and what each text is
    like."""
    st.subheader("Side by side", anchor=False)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        start = coherence_writers.choose_start(run)
    with right:
        sampling = choose_sampling(run)
    if start is None:
        st.info("Type some text, or take a held-out document.", icon=":material/edit:")
        return
    found = page_header.result(
        run, "side_by_side", {**compared, **start, **sampling}, "Writing the continuations"
    )
    if found is not None:
        show(run, found)


def choose_sampling(run: Run) -> dict[str, Any]:
    """Seed, temperature and length."""
    room = run.settings.model.context_length
    tokens = st.slider(
        "Tokens at most",
        8,
        max(9, room - room // 3),
        max(9, room - room // 3),
        key=f"coherence_tokens_{room}",
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        temperature = st.slider(
            "Temperature",
            0.0,
            2.0,
            0.8,
            0.05,
            key="coherence_temperature",
            help="0 takes the likeliest token",
        )
        seed = st.number_input(
            "Seed",
            0,
            2**31 - 1,
            0,
            key="coherence_seed",
            width=130,
            help="The same for every writer",
        )
    return {"max_tokens": int(tokens), "temperature": float(temperature), "seed": int(seed)}


def show(run: Run, found: SideBySide) -> None:
    """Texts, tracks, measures and drift."""
    layer = page_header.layer_chooser(run)
    names = charts.row_names(found.writers, len(found.measures))
    st.html(legend(max(trace.alpha.shape[2] for trace in found.traces), session.dark()))
    full = max(float(trace.alpha.max()) for trace in found.traces)
    columns = st.columns(2, gap="medium") if len(found.traces) > 1 else [st.container()]
    for number, trace in enumerate(found.traces):
        with columns[number % len(columns)]:
            st.markdown(f"**{code_span(names[number], 120)}**")
            draw_writer(
                run,
                trace,
                names[number],
                number,
                min(layer, trace.alpha.shape[0] - 1),
                full,
                found.seed,
            )
    if len(found.measures) > len(found.writers):
        with st.expander(
            "How the document really goes on, and the random text", icon=":material/menu_book:"
        ):
            for name, measured in zip(names[-2:], found.measures[-2:], strict=True):
                st.markdown(f"**{name}**")
                st.code(measured.text, language=None, wrap_lines=True)
    table = charts.measure_table(names, found.measures)
    alike = {
        name: st.column_config.NumberColumn(format="%.3f") for name in table.select_dtypes("float")
    }
    st.dataframe(table, hide_index=True, column_config=alike, key="coherence_measures")
    st.caption(
        f"One prompt: an example, not a finding. Similarity by {found.judge.embedder}. Perplexity:"
        f" how surprised the judge ({code_span(found.judge.name, 60)}, step {found.judge.step:,})"
        " is per token; lower is likelier. " + sentence(found.judge.relation, 400)
    )
    drift = np.stack([measured.drift for measured in found.measures])
    if np.isfinite(drift).any():
        show_figure(
            charts.drift_curves(names, drift, dark=session.dark()),
            "coherence_drift_one",
            "Topic drift: how near each quarter of the continuation is to the prompt.",
            "Similarity of each quarter of the continuation to the prompt, for every writer"
            + (", human and random text." if len(names) > len(found.writers) else "."),
            lambda: charts.drift_table(names, drift),
            source_of(run, found.step, "1 prompt", found.seed),
        )


def draw_writer(
    run: Run, trace: Trace, name: str, number: int, layer: int, full: float, seed: int
) -> None:
    """One continuation with its segment track; a dense model's text has no track, since it has no
    fusion weights."""
    made = len(trace.tokens) - trace.prompt_tokens
    written = source_of(
        run, trace.step, f"{made} generated tokens", seed, f"written by {code_span(name, 120)}"
    )
    if charts.is_dense(trace):
        T = len(trace.tokens)
        show_tinted(
            fusion_tint.Tint(trace.tokens, [-1] * T, [0.0] * T, []), trace.prompt_tokens, False
        )
        st.caption(f"Dense: no fusion weights, so there is no track. {written.said()}")
        return
    show_tinted(fusion_tint.by_segment(trace, layer, full), trace.prompt_tokens, False)
    show_figure(
        charts.segment_track(trace, dark=session.dark()),
        f"coherence_track_{number}",
        f"Text tinted by layer {layer}; below, the strongest segment of each token in every layer.",
        f"The strongest segment of each of {len(trace.tokens)} tokens in {trace.alpha.shape[0]}"
        f" layers, {trace.prompt_tokens} of them the prompt.",
        partial(charts.track_table, trace),
        written,
    )


page()
