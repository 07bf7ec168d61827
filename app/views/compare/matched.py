"""The middle of the Compare page: how segments of A and B are matched, how good that is against
chance, and which contexts went elsewhere."""

from __future__ import annotations

import streamlit as st

from app import session
from app.charts.compare import segment_match as charts
from app.shell import page_header
from app.shell.figure import show_figure
from app.shell.provenance import Provenances, compared, source_of
from app.text.escape import sentence
from app.views.compare.sides import Sides
from cpart_core.analysis.compare.differences import match_words
from cpart_core.records.comparison import SegmentComparison

METHODS = {
    "auto": "automatic",
    "neurons": "neurons in common",
    "fusion": "fusion mass by context",
    "signatures": "gradient signatures by context",
}
SEED = 0


def ask(sides: Sides) -> SegmentComparison | None:
    """The match by the chosen method; None while it is made."""
    method = session.widget("compare_method") or "auto"
    request = {
        **{
            "run": sides.first.id,
            "step": sides.step,
            "other": sides.second.id,
            "other_step": sides.other_step,
        },
        **{"method": method, "seed": SEED},
    }
    found: SegmentComparison | None = page_header.result(
        sides.first, "compare_segments", request, "Matching segments"
    )
    return found


def draw(sides: Sides, result: SegmentComparison | None) -> None:
    """The matching matrix of one layer, agreement of all layers, and the contexts."""
    st.header("Segments matched", anchor=False)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        layer = page_header.layer_chooser(sides.first)
        st.selectbox(
            "Match by",
            list(METHODS),
            format_func=METHODS.__getitem__,
            key="compare_method",
            persist_state="session",
            width=280,
        )
    if result is None:
        return
    st.markdown(sentence(match_words(result), 700))
    if result.method == "none":
        return
    shuffles = f"{result.shuffles} shuffles"
    source = compared(
        source_of(sides.first, result.step),
        source_of(sides.second, result.other_step, "", result.seed, shuffles),
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Layer {layer}**")
        unit = (
            "Neurons that lie in both segments"
            if result.method == "neurons"
            else "Correlation of what two segments do over the contexts"
        )
        show_figure(
            charts.match_heat(result, layer, dark=session.dark()),
            "compare_match",
            f"{unit}; framed: matched, and of one colour here and in the text below.",
            f"Layer {layer}: " + ", ".join(matches(result, layer)),
            lambda: charts.match_table(result),
            source,
        )
    with right:
        st.markdown("**Against chance**")
        shuffled = (
            "neurons shuffled over B's segments"
            if result.method == "neurons"
            else "B's contexts shuffled"
        )
        show_figure(
            charts.agreement_dots(result, dark=session.dark()),
            "compare_agreement",
            f"Chance: {shuffled}, and matched anew.",
            match_words(result),
            lambda: charts.agreement_table(result),
            source,
        )
    draw_contexts(result, source)


def matches(result: SegmentComparison, layer: int) -> list[str]:
    return [
        f"A {place} = B {segment}" if segment >= 0 else f"A {place} has none"
        for place, segment in enumerate(result.match[layer].tolist())
    ]


def draw_contexts(result: SegmentComparison, source: Provenances) -> None:
    """The strongest segment of each context on both sides."""
    if not result.compared.any():
        st.caption(
            "Which segment is strongest in a context is not known on both sides, or they have no"
            " contexts in common."
        )
        return
    changed, compared = int(result.changed.sum()), int(result.compared.sum())
    st.markdown(
        f"**The strongest segment of each context: another one in {changed} of {compared} places**"
    )
    by = (
        "the greatest fusion mass"
        if result.strongest_by == "fusion"
        else "the signature that stands out most from its own mean (one is dense)"
    )
    show_figure(
        charts.context_grid(result, dark=session.dark()),
        "compare_contexts",
        f"Strongest: {by}. Numbers are A's; B's segments are called by the one they are matched"
        " with, ? without one.",
        f"The strongest segment of a context is another one in {changed} of {compared} pairs of"
        " layer and context.",
        lambda: charts.context_table(result),
        source,
    )
