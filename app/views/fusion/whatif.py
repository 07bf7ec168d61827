"""What if: ablate, force, forbid or scale segments, or ablate selected neurons, and see before and
after at once. A section of the Fusion page."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import session
from app.charts.fusion import effect_whatif
from app.charts.fusion.tint import Tint
from app.shell import page_header
from app.shell.figure import show_figure, under_figure
from app.shell.live import Words
from app.shell.provenance import source_of
from app.text.escape import code_span
from app.views.fusion.texts import show_tinted
from cpart_core.records.effects import InterventionReport
from cpart_core.records.trace import Trace
from cpart_core.records.training import SHARED
from cpart_core.runs.folder import Run

KINDS = {
    "ablate": "Its weighted output counts 0; everything else stays as it was.",
    "forbid": (
        "It cannot be chosen: its fusion weight goes to the others, and another segment takes its"
        " place."
    ),
    "force": (
        "It is among the chosen of every token, at the strongest weight; the weakest chosen one"
        " makes room."
    ),
    "scale": "Its output times a number; everything else stays as it was.",
}
NEVER_CHOSEN = ("ablate", "scale")
"""What can be done to the shared segment, and to a dense model's."""
TOKENS = 32
SEED = 0
MOST_KEPT = 16
WHATS = ("a segment", "the selected neurons", "both")


def draw(run: Run, checkpoint: int, text: str, trace: Trace, layer: int) -> None:
    """Controls, and once asked for, the answer to what they say."""
    st.subheader("What if", anchor=False)
    st.write(
        "A weight shows how strongly a segment is used, not what it does. Change a segment, in"
        " every token, and compare: the next token, the continuation, and the loss on validation"
        " text of each context."
    )
    request = controls(run, checkpoint, text, trace, layer)
    asked = f"whatif_asked_{run.id}"
    if request is None:
        return
    if not session.widget(asked):
        st.button(
            "Show what changes",
            key="whatif_go",
            type="primary",
            icon=":material/science:",
            on_click=session.set_widget,
            args=(asked, True),
            help=(
                "Reads the text and about 8,000 tokens of validation text twice: a second or two"
                " for a small model. Then every change is followed."
            ),
        )
        return
    report = page_header.result(run, "intervention", request, "Comparing before and after")
    if report is not None:
        show(run, report)


def controls(
    run: Run, checkpoint: int, text: str, trace: Trace, layer: int
) -> dict[str, Any] | None:
    """What is to be changed, as a request of the worker; None when nothing is."""
    neurons = sorted(session.selection(run).neurons)
    what = WHATS[0]
    if neurons:
        what = (
            st.segmented_control(
                "Change", WHATS, default=WHATS[0], key="whatif_what", required=True
            )
            or WHATS[0]
        )
    interventions = kept(run)
    if what != WHATS[1]:
        interventions = [*interventions, one_change(run, trace, layer)]
    chosen = [list(pair) for pair in neurons] if what != WHATS[0] else []
    if chosen:
        layers = sorted({pair[0] for pair in chosen})
        st.caption(
            f"{len(chosen):,} neurons selected on the Gradients or Segments page, in layer"
            f" {', '.join(map(str, layers))}, count 0."
        )
    drawn = st.segmented_control(
        "Continue with",
        ["the likeliest token", "a sampled token"],
        default="a sampled token",
        key="whatif_drawn",
        required=True,
        persist_state="session",
        help=f"Sampled at temperature 0.8 with seed {SEED}, the same before and after",
    )
    keep_buttons(run, interventions if what != WHATS[1] else [])
    if not interventions and not chosen:
        st.info("Nothing is changed: choose a segment.", icon=":material/tune:")
        return None
    return {
        "run": run.id,
        "step": checkpoint,
        "text": text,
        "interventions": interventions,
        "neurons": chosen,
        "max_tokens": min(TOKENS, run.settings.model.context_length // 2),
        "temperature": 0.0 if drawn == "the likeliest token" else 0.8,
        "seed": SEED,
    }


def one_change(run: Run, trace: Trace, layer: int) -> list[Any]:
    """[layer, segment, kind, factor] as the widgets say."""
    model = run.settings.model
    kinds = list(NEVER_CHOSEN) if model.execution == "dense" else list(KINDS)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        kind = st.segmented_control(
            f"To a segment of layer {layer}",
            kinds,
            default="ablate",
            key=f"whatif_kind_{len(kinds)}",
            required=True,
            help="  \n".join(f"**{name}**: {KINDS[name]}" for name in kinds)
            + "  \nThe layer is chosen further up.",
        )
        kind = str(kind or "ablate")
        mean, factors = trace.alpha[layer].mean(axis=0), trace.weight[layer].mean(axis=0)
        options = [
            *range(len(mean)),
            *([SHARED] if model.shared_neurons and kind in NEVER_CHOSEN else []),
        ]
        segment = st.selectbox(
            "Segment",
            options,
            index=int(np.argmax(mean)),
            format_func=lambda number: (
                "shared (always counts)"
                if number < 0
                else (
                    f"{number} (mean fusion weight here {mean[number]:.2f}, factor"
                    f" {factors[number]:.2f})"
                )
            ),
            key=f"whatif_segment_{layer}_{len(options)}",
            width=380,
            help=(
                "Fusion weights sum to 1 over the segments; the factor is what a segment's output"
                " is multiplied by: as many times its fusion weight as there are segments, and 0"
                " where it is not computed."
            ),
        )
        factor = 1.0
        if kind == "scale":
            factor = float(
                st.slider(
                    "Multiply it by",
                    0.0,
                    4.0,
                    2.0,
                    0.1,
                    key="whatif_factor",
                    help="1 leaves it as it is, 0 is ablate",
                    width=200,
                )
            )
    return [layer, int(segment if segment is not None else options[0]), kind, factor]


def kept(run: Run) -> list[list[Any]]:
    """Changes that stay while another one is chosen."""
    stored = session.get("whatif_kept")
    return (
        [list(change) for change in stored[1]] if stored is not None and stored[0] == run.id else []
    )


def keep_buttons(run: Run, interventions: list[list[Any]]) -> None:
    """Keep the present change and choose another; take a kept one away."""
    before = kept(run)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if interventions and len(before) < MOST_KEPT:
            st.button(
                "Keep this and add another",
                key="whatif_keep",
                type="tertiary",
                icon=":material/add:",
                on_click=session.put,
                args=("whatif_kept", (run.id, interventions)),
            )
        for number, change in enumerate(before):
            st.button(
                in_words(change),
                key=f"whatif_drop_{number}",
                icon=":material/close:",
                help="Take this change away again",
                on_click=session.put,
                args=("whatif_kept", (run.id, [*before[:number], *before[number + 1 :]])),
            )


def in_words(change: list[Any]) -> str:
    layer, segment, kind, factor = change
    name = "shared" if segment < 0 else f"segment {segment}"
    return f"layer {layer}, {name}: {kind}" + (f" by {factor:g}" if kind == "scale" else "")


def show(run: Run, report: InterventionReport) -> None:
    """Before and after, side by side."""
    st.markdown(f"**With {', '.join(report.changes)}.**")
    found = effect_whatif.finding(report)
    st.markdown(effect_whatif.finding(report, code_span))
    where = source_of(run, report.step, f"{len(report.tokens)} tokens", report.seed)
    left, right = st.columns(2, gap="large")
    with left:
        show_figure(
            effect_whatif.next_token_bars(report, dark=session.dark()),
            "whatif_next",
            "The 10 likeliest next tokens before and after.",
            f"Probability of {len(report.next_tokens)} next tokens before and after the change."
            f" {found}",
            lambda: effect_whatif.next_token_table(report),
            where,
        )
    with right:
        documents, tokens = (
            int(report.documents_by_context.sum()),
            int(report.tokens_by_context.sum()),
        )
        n = f"{tokens:,} validation tokens of {documents} documents"
        show_figure(
            effect_whatif.context_changes(report, dark=session.dark()),
            "whatif_contexts",
            "Right of 0 the model got worse. Bars: 95 % over documents.",
            found,
            lambda: effect_whatif.context_table(report),
            source_of(run, report.step, n, run.settings.training.seed),
        )
    rise = np.nan_to_num(report.loss_after - report.loss_before)
    full = max(float(np.abs(rise).max()), 0.01)
    left, right = st.columns(2, gap="large")
    for column, name, made, strength in (
        (left, "before", report.continuation_before, np.zeros(len(rise))),
        (right, "after", report.continuation_after, np.clip(rise / full, 0.0, 1.0)),
    ):
        with column:
            st.markdown(f"**Continuation {name}**")
            show_tinted(tint_of(report, made, strength), len(report.tokens), False)
    same = (
        "The continuation is the same. "
        if report.continuation_before == report.continuation_after
        else ""
    )
    how = (
        "always the likeliest token"
        if report.temperature == 0
        else f"temperature {report.temperature:g}"
    )
    told = (
        f"{same}After: the darker a token of the text, the more its loss rose (full at {full:.2f}"
        f" nats). Continued with {how}."
    )
    under_figure(
        "whatif_text",
        Words(found, told, where, "whatif_text"),
        lambda: effect_whatif.token_table(report),
    )


def tint_of(report: InterventionReport, made: tuple[str, ...], strength: np.ndarray) -> Tint:
    """The text with its continuation; the card of a token says its losses."""
    cards = [
        "not predicted" if np.isnan(a) else f"loss {a:.2f} -> {b:.2f}"
        for a, b in zip(report.loss_before, report.loss_after, strict=True)
    ]
    tokens = (*report.tokens, *made)
    new = len(made)
    colours = [effect_whatif.AFTER if one > 0.02 else SHARED for one in strength]
    return Tint(
        tokens,
        [*colours, *[SHARED] * new],
        [*strength.tolist(), *[0.0] * new],
        [*cards, *["written"] * new],
    )
