"""Carve: how much of the model one context or one text needs, and the smaller model as a run of its
own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import results, session
from app.charts.carve import keep_k
from app.shell import forms, page_header, reading
from app.shell.figure import show_figure
from app.shell.glossary import words
from app.shell.provenance import Provenance, source_of
from app.text.escape import code_span, plain
from app.views.carve import report as carve_report
from cpart_core.records.keep import KeepCurve
from cpart_core.runs.folder import Run
from cpart_core.runs.origin import Carved
from cpart_core.runs.result_files import request_key
from cpart_core.wording.percent import change, percent

LONGEST_TEXT = 20_000
DOCUMENTS = (1, 4, 32)
RANKINGS = {
    "contribution": "its weight times the norm of its output, mean over tokens",
    "effect": "its gradient signature: the first-order change of the loss if it were removed",
}
ABOUT = (
    "One context rarely needs the whole model. Choose a context, or paste a text: the segments that"
    " matter most are kept in every layer, the others are left out, and the loss is measured on"
    " text that had no part in the choice. Then carve the smaller model out."
)
TOLERATED = 0.01  # share of the loss that may be lost for the count that is offered first


def page() -> None:
    run, step = page_header.run_bar("Carve", ABOUT)
    words("segment", "shared segment", "context", "validation loss")
    reading.say_stage(run, reading.snapshot_or_stop(run, step))
    if isinstance(run.info.origin, Carved):
        carve_report.draw_origin(run, run.info.origin)
        return
    checkpoint = session.checkpoint_step(run, step)
    if checkpoint is None:
        reading.no_checkpoint(run, "Leaving segments out")
        return
    if run.settings.model.num_segments < 2:
        st.info(
            "This model has one segment a layer, so there is nothing to leave out.",
            icon=":material/info:",
        )
        return
    if checkpoint != step:
        st.caption(
            f"Carving needs weights: this is checkpoint step {checkpoint:,}, the nearest to step"
            f" {step:,}."
        )
    request = choose(run, checkpoint)
    if request is None:
        return
    curve = measured(run, request)
    if curve is None:
        return
    keep = draw_curve(run, curve)
    draw_others(run, curve, keep)
    carve(run, curve, request, keep)


def choose(run: Run, checkpoint: int) -> dict[str, Any] | None:
    """What to choose segments for, and how; None until there is something."""
    with st.container(border=True):
        kind = st.segmented_control(
            "Choose segments for",
            ["a context", "a text"],
            default="a context",
            key="carve_for",
            required=True,
            persist_state="session",
        )
        context = text = ""
        if kind == "a text":
            text = text_box()
        elif run.info.contexts:
            context = str(
                st.selectbox(
                    "Context",
                    run.info.contexts,
                    format_func=lambda name: plain(name, 60),
                    key=f"carve_context_{run.id}",
                )
                or ""
            )
        with st.expander("How segments are chosen", icon=":material/tune:"):
            ranking = st.segmented_control(
                "A segment matters by",
                list(RANKINGS),
                default="contribution",
                key="carve_ranking",
                required=True,
                persist_state="session",
            )
            st.caption(f"{ranking}: {RANKINGS[str(ranking)]}.")
            documents = st.segmented_control(
                "Training documents to choose on",
                DOCUMENTS,
                default=DOCUMENTS[-1],
                key="carve_documents",
                required=True,
                persist_state="session",
                disabled=kind == "a text",
                help="One document is often enough. At most 4,096 tokens of them are read.",
            )
            seed = st.number_input(
                "Seed",
                0,
                2**31 - 1,
                0,
                key="carve_seed",
                help="Of the choosing documents, the draws by chance and the intervals",
            )
    if not context and not text.strip():
        st.info(
            (
                "Paste some text, at least about a hundred words."
                if kind == "a text"
                else "This run has no contexts yet."
            ),
            icon=":material/edit:",
        )
        return None
    return {
        "run": run.id,
        "step": checkpoint,
        "context": context,
        "text": text,
        "ranking": str(ranking),
        "documents": int(documents or DOCUMENTS[-1]) if context else 1,
        "seed": int(seed),
    }


def text_box() -> str:
    """A text of the person's, kept while they look at other pages."""
    return forms.area(
        "Text",
        str(session.get("carve_text") or ""),
        lambda given: session.put("carve_text", given),
        limit=LONGEST_TEXT,
        key="carve_text",
        height=160,
        placeholder="Paste a page or so of the kind of text that the smaller model is for",
        help=(
            "The first half chooses the segments, the second half is measured. Ctrl+Enter, or click"
            " elsewhere, to take it."
        ),
    )


def measured(run: Run, request: dict[str, Any]) -> KeepCurve | None:
    """The curve; it takes some seconds, so it is asked for."""
    found: KeepCurve | None = page_header.on_demand(
        run,
        "keep_k",
        request,
        "Measuring every number of segments",
        "Measure every number of segments",
        key="carve_measure",
        primary=True,
        about="Some seconds for a small model. It is kept with the run.",
    )
    return found


def source(run: Run, curve: KeepCurve) -> Provenance:
    """Where the numbers are from."""
    what = (
        "passages of the text's second half"
        if curve.text
        else "validation documents, of each its beginning"
    )
    return source_of(
        run,
        curve.step,
        f"{curve.documents} {what}, {curve.tokens:,} tokens",
        curve.seed,
        f"{curve.execution} execution",
    )


def subject(curve: KeepCurve) -> str:
    return code_span(curve.context, 40) if curve.context else "the text"


def draw_curve(run: Run, curve: KeepCurve) -> int:
    """The curve, its finding, and the count that is chosen."""
    st.subheader("What each number of segments costs", anchor=False)
    total = int(curve.kept[0])
    key = f"carve_keep_{run.id}_{curve.context}_{len(curve.text)}_{curve.ranking}_{curve.seed}"
    counts = [int(count) for count in curve.kept[1:]]
    keep = int(
        st.select_slider("Segments to keep in each layer", counts, value=cheapest(curve), key=key)
    )
    st.markdown(finding(curve, keep))
    show_figure(
        keep_k.keep_figure(curve, keep, dark=session.dark()),
        "carve_curve",
        f"Rise of the loss over the whole model of {total} segments a layer; the shared segment"
        f" always stays. Chosen on {len(curve.chosen_on)}"
        f" {'passages of its first half' if curve.text else 'training documents'}"
        f" ({curve.chosen_tokens:,} tokens). By chance: {len(curve.random_loss)} draws.",
        finding(curve, keep).replace("*", ""),
        lambda: keep_k.keep_table(curve),
        source(run, curve),
    )
    with st.expander("Which segments are kept", icon=":material/view_column:"):
        st.dataframe(kept_table(curve, keep), hide_index=True, key="carve_kept")
        st.caption(f"Importance: {RANKINGS[curve.ranking]}. {source(run, curve).said()}")
    return keep


def cheapest(curve: KeepCurve) -> int:
    """The smallest count whose rise stays within TOLERATED of the loss; the largest one below all
    where none does."""
    fine = [
        int(count)
        for count, rise in zip(curve.kept, curve.rise, strict=True)
        if rise <= TOLERATED * curve.loss[0]
    ]
    return min(min(fine), int(curve.kept[1]))


def finding(curve: KeepCurve, keep: int) -> str:
    """The chosen count in words, beside chance."""
    place = int(np.flatnonzero(curve.kept == keep)[0])
    low, middle, high = keep_k.chance(curve)[:, place]
    interval = (
        ""
        if np.isnan(curve.low[place])
        else f" (95 %: {curve.low[place]:+.3f} to {curve.high[place]:+.3f})"
    )
    return (
        f"Keeping **{keep} of {int(curve.kept[0])}** changes the loss on {subject(curve)} by"
        f" **{curve.rise[place]:+.3f}** nats{interval}, {change(curve.rise[place] / curve.loss[0])}"
        f" of the {curve.loss[0]:.3f} that the whole model has on this sample of {curve.tokens:,}"
        f" tokens. As many by chance: {middle:+.3f} (5 to 95 %: {low:+.3f} to {high:+.3f})."
    )


def kept_table(curve: KeepCurve, keep: int) -> pd.DataFrame:
    """A row for each layer: kept segments, and the importance of each."""
    share = curve.importance / np.maximum(curve.importance.sum(axis=1, keepdims=True), 1e-30)
    rows = []
    for layer, order in enumerate(curve.order):
        kept = order[:keep]
        names = ", ".join(f"{segment} ({percent(share[layer, segment])})" for segment in kept)
        rows.append(
            {
                "layer": layer,
                "kept segments (share of the layer's importance)": names,
                "together": percent(share[layer, kept].sum()),
            }
        )
    return pd.DataFrame(rows)


def draw_others(run: Run, curve: KeepCurve, keep: int) -> None:
    """The price on the other contexts."""
    st.subheader("What it costs elsewhere", anchor=False)
    place = int(np.flatnonzero(curve.kept == keep)[0])
    rise = curve.rise_by_context[:, place]
    worst = int(np.nanargmax(rise)) if np.isfinite(rise).any() else 0
    show_figure(
        keep_k.others_figure(curve, keep, dark=session.dark()),
        "carve_others",
        "The same kept segments on a sample of every context's validation text; carving measures"
        " all of it.",
        f"With {keep} segments kept for {subject(curve)}, the loss rises most on"
        f" {code_span(curve.contexts[worst], 40)}: {rise[worst]:+.3f} nats.",
        lambda: keep_k.others_table(curve),
        source_of(
            run,
            curve.step,
            f"{int(curve.documents_by_context.sum())} documents,"
            f" {int(curve.tokens_by_context.sum()):,} tokens",
            curve.seed,
        ),
    )


def carve(run: Run, curve: KeepCurve, request: dict[str, Any], keep: int) -> None:
    """The button, then what came of it."""
    st.subheader("Carve it out", anchor=False)
    st.write(
        f"A run of its own with {keep} of {int(curve.kept[0])} segments in every layer. It is"
        " loaded in fresh processes before and after, so that bytes, memory and speed are measured"
        " and not computed."
    )
    selection = {**request, "keep": keep, "name": ""}
    asked = f"carve_go_{request_key(selection)}"
    stored = results.stored_result(run, "carve", selection)
    gone = stored is not None and not carve_report.is_there(stored.carved)
    if gone:
        st.info(
            "It was carved before, and the carved run has been deleted since.",
            icon=":material/delete:",
        )
    if gone or (stored is None and not session.widget(asked)):
        st.button(
            "Carve",
            key="carve_go",
            type="primary",
            icon=":material/content_cut:",
            on_click=start,
            args=(run, selection, asked),
        )
        return
    report = page_header.result(run, "carve", selection, "Carving")
    if report is not None:
        carve_report.draw(run, report)


def start(run: Run, selection: dict[str, Any], asked: str) -> None:
    """Pressed: a report of a run that has been deleted is made anew."""
    results.drop_result(run, "carve", selection)
    results.forget("carve", selection)
    session.set_widget(asked, True)


page()
