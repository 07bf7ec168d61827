"""The end of the Compare page: the same document through A and B, tokens tinted in matched colours,
and where their losses differ most."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import session
from app.charts.compare import tokens as compare_tokens
from app.shell import page_header
from app.shell.figure import caption_of, show_figure
from app.shell.provenance import compared, said, source_of
from app.text.escape import plain
from app.views.compare.sides import Sides
from app.views.fusion.texts import box, legend, show_tinted
from cpart_core.analysis.text.first_text import FIRST_TEXT
from cpart_core.records.comparison import LossComparison, SegmentComparison, TextComparison

EXCERPT = 700
"""Characters of a document; the models read what fits."""
OWN = -1
LISTED = 12


def draw(sides: Sides, segments: SegmentComparison | None, losses: LossComparison | None) -> None:
    st.header("The same text through both", anchor=False)
    if not sides.weights:
        st.info(why_no_weights(sides), icon=":material/info:")
        return
    fusions = [run.settings.model.fusion for run in (sides.first, sides.second)]
    told = next((fusion.name for fusion in fusions if fusion.needs_context), "")
    if told:
        st.info(
            f"One of the two is told the true context of every token ({told} fusion), so it cannot"
            " read free text.",
            icon=":material/info:",
        )
        return
    if not sides.exact:
        st.caption(
            f"Read with the nearest checkpoints, step {sides.checkpoint:,} of A and step"
            f" {sides.other_checkpoint:,} of B; segments are matched at step {sides.step:,} of A"
            f" and step {sides.other_step:,} of B."
        )
    text = choose_text(losses)
    if not text.strip():
        st.info(
            "Type some text, or choose a document when the losses above are measured.",
            icon=":material/edit:",
        )
        return
    request = {**sides.both_weights, "text": text}
    result: TextComparison | None = page_header.result(
        sides.first, "compare_text", request, "Reading the text with both"
    )
    if result is not None:
        draw_result(sides, segments, result, text)


def why_no_weights(sides: Sides) -> str:
    """What is missing, in a sentence."""
    if sides.checkpoint is None or sides.other_checkpoint is None:
        name = "A" if sides.checkpoint is None else "B"
        return f"Reading a text needs weights, and {name} has no checkpoint yet."
    return (
        f"Both steps are nearest to one checkpoint, step {sides.checkpoint:,}, so there are no two"
        " sets of weights to read a text with. Runs keep their newest checkpoints only; choose a"
        " step of another checkpoint, or another run."
    )


def offered(losses: LossComparison) -> list[int]:
    """Documents by how surely the losses lie apart: the difference per token times the root of the
    length, since that of a few tokens is noise."""
    apart = np.abs(losses.other_loss - losses.loss) * np.sqrt(losses.length)
    return [int(number) for number in np.argsort(-apart, kind="stable")]


def choose_text(losses: LossComparison | None) -> str:
    """A held-out document, the one where A and B differ most without a choice; or the person's own
    text, as on the Fusion page."""
    if losses is None:
        return own_text()
    order = offered(losses)
    wanted = session.get("document")
    if wanted is None and session.chosen_text() is not None:
        wanted = OWN
    elif wanted not in order:
        wanted = order[0]

    def take(chosen: int) -> None:
        session.put("document", None if chosen == OWN else chosen)
        if chosen == OWN and session.chosen_text() is None:
            session.choose_text(FIRST_TEXT)

    st.selectbox(
        "Document",
        [OWN, *order],
        [OWN, *order].index(wanted),
        format_func=lambda number: label(losses, number),
        help=(
            "Held-out documents, those first in which A and B differ most (per token, times the"
            " root of the length)"
        ),
        **session.showing("compare_document", wanted, take),
    )
    return own_text() if wanted == OWN else losses.texts[wanted][:EXCERPT]


def label(losses: LossComparison, number: int) -> str:
    if number == OWN:
        return "a text of my own"
    difference = losses.other_loss[number] - losses.loss[number]
    context = (
        losses.contexts[losses.context[number]]
        if losses.context[number] >= 0
        else "no common context"
    )
    return (
        f"{difference:+.3f} {losses.unit} · {plain(context, 30)} ·"
        f" {plain(losses.titles[number], 60)}"
    )


def own_text() -> str:
    """The text of all pages, in a box."""
    return box(
        "compare_text", "Text", session.chosen_text() or "", [], session.choose_text, height=140
    )


def draw_result(
    sides: Sides, segments: SegmentComparison | None, result: TextComparison, text: str
) -> None:
    """The sum in a sentence, the list of the largest, the text tinted, and the bars."""
    known = result.difference[~np.isnan(result.difference)]
    kind = "tokens" if result.same_tokens else "pieces"
    counts = f"{len(result.first.tokens)} tokens of A, {len(result.second.tokens)} of B"
    if not result.same_tokens:
        st.caption(
            f"A and B cut text into other tokens: {counts}. They are compared over the"
            f" {len(result.pieces)} pieces that begin and end at a token's edge in both; the"
            " segments stand side by side, each in its own tokens."
        )
    if len(known):
        total = float(known.sum())
        better = (
            "the same for both"
            if abs(total) < 1e-9
            else f"{'A' if total > 0 else 'B'} predicts this text better"
        )
        st.markdown(
            f"**{better[0].upper() + better[1:]}: B less A is {total:+.2f} nats over {len(known)}"
            f" {kind}, {total / len(known):+.3f} each.**"
        )
    layer = session.chosen_layer(sides.first)
    source = compared(
        source_of(sides.first, result.step), source_of(sides.second, result.other_step)
    )
    draw_list(result, layer)
    tint = st.segmented_control(
        "Tint by",
        ["difference", "segment"],
        default="difference",
        key="compare_tint",
        required=True,
        persist_state="session",
    )
    if tint == "difference":
        show_tinted(compare_tokens.difference_tint(result), None, False)
        st.caption(
            "Orange: B predicts it worse than A; blue: better; full tint at the largest"
            f" difference. Numbers: the list above. {said(source)}"
        )
    else:
        draw_segments(sides, segments, result, layer)
    cut = min(len(result.first.text), len(result.second.text))
    if cut < len(text):
        st.caption(
            f"The models read what fits: {counts}. Compared is the beginning that both read."
        )
    show_figure(
        compare_tokens.token_bars(result, dark=session.dark()),
        "compare_tokens",
        f"Loss of each of the {len(result.pieces)} {kind}, B less A; above 0 A predicts it better."
        " The first one is not predicted.",
        f"Differences of the loss along the text, {len(known)} {kind}.",
        lambda: compare_tokens.token_table(result, layer),
        source,
    )


def draw_list(result: TextComparison, layer: int) -> None:
    """Where they differ most."""
    table = compare_tokens.token_table(result, layer, by_size=True).head(LISTED)
    if table.empty:
        st.markdown("No token is predicted differently.")
        return
    marks = [
        compare_tokens.RANKS[place] if place < len(compare_tokens.RANKS) else ""
        for place in range(len(table))
    ]
    table.insert(0, "rank", marks)
    shown = table[
        ["rank", "text", "b_less_a", "loss_a", "loss_b", "place", "segment_a", "segment_b"]
    ]
    shown = shown.dropna(axis=1, how="all")  # a dense model has no strongest segments
    st.dataframe(
        shown,
        hide_index=True,
        key="compare_largest",
        alt="The tokens with the largest differences of the loss, largest first",
        column_config={
            "rank": st.column_config.TextColumn("", width="small"),
            "b_less_a": st.column_config.NumberColumn("B less A (nats)", format="%+.3f"),
            "loss_a": st.column_config.NumberColumn("A", format="%.3f"),
            "loss_b": st.column_config.NumberColumn("B", format="%.3f"),
            "segment_a": st.column_config.NumberColumn(f"A's segment, layer {layer}"),
            "segment_b": st.column_config.NumberColumn(f"B's segment, layer {layer}"),
        },
    )


def draw_segments(
    sides: Sides, segments: SegmentComparison | None, result: TextComparison, layer: int
) -> None:
    """Both texts side by side; B wears the colours of the segments of A that its own are matched
    with."""
    if layer >= len(result.second.alpha):
        st.info(f"B has no layer {layer}. Choose a lower one above.", icon=":material/info:")
        return
    matched = segments is not None and segments.method != "none"
    inverse = segments.of_other[layer] if segments is not None and matched else None
    full = max(float(trace.alpha[layer].max()) for trace in (result.first, result.second))
    st.html(legend(result.first.alpha.shape[2], session.dark()))
    if matched:
        st.caption(
            "Numbers are A's segments. Tokens of B wear the colour of the segment of A that theirs"
            " is matched with; grey: no match."
        )
    else:
        st.caption(
            "The segments are not matched, so the colours of B have nothing to do with those of A."
        )
    parts = ((sides.first, result.first, None, "A"), (sides.second, result.second, inverse, "B"))
    for column, (run, trace, own, name) in zip(st.columns(2, gap="large"), parts, strict=True):
        with column:
            dense = run.settings.model.execution == "dense"
            st.markdown(f"**{name}**")
            show_tinted(
                compare_tokens.matched_tint(trace, layer, full, own, dense), None, not dense
            )
            told = (
                "dense: no fusion weights, so nothing to tint"
                if dense
                else f"full tint at {full:.2f}"
            )
            st.caption(
                f"Layer {layer}."
                f" {caption_of(run, trace.step, f'{len(trace.tokens)} tokens', run.settings.training.seed, told)}"
            )
