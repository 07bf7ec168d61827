"""The texts of the Fusion page: typed or taken from the run's validation text, and shown as running
text with every token tinted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app import session
from app.charts.fusion import tint as fusion_tint
from app.shell import forms
from app.shell.figure import caption_of
from app.text.escape import plain, running_text_html
from app.text.palette import segment_colour
from cpart_core.analysis.text.first_text import FIRST_TEXT
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import Run

LONGEST_TEXT = 20_000
"""Characters that the box takes; the model reads the first context_length tokens."""
PER_CONTEXT = 3
EXCERPT = 320
"""Characters of a suggested text."""


def suggestions(run: Run) -> list[tuple[str, str]]:
    """(context and title, text) of a few validation documents of each context, read once a session;
    empty without a corpus."""
    known = session.get("suggestions")
    if known is not None and known[0] == run.id:
        return list(known[1])
    from cpart_core.corpus.store import load_held_out
    from cpart_core.corpus.tokenizer import Tokenizer

    found = []
    try:
        corpus = load_held_out(run.folder / "corpus")
        tokenizer = Tokenizer.from_json(corpus.tokenizer_json)
        split, count = corpus.validation, [0] * (len(corpus.contexts) + 1)
        for number, context in enumerate(split.context.tolist()):
            if count[context] < PER_CONTEXT:
                count[context] += 1
                ids = split.ids[split.starts[number] : split.starts[number + 1] - 1][:EXCERPT]
                name = corpus.contexts[context] if context >= 0 else "unknown context"
                found.append(
                    (
                        f"{plain(name, 40)} · {plain(split.titles[number], 60)}",
                        tokenizer.decode(ids.tolist())[:EXCERPT],
                    )
                )
    except (ValueError, OSError):
        found = []
    found.sort(key=lambda suggestion: suggestion[0])
    session.put("suggestions", (run.id, found))
    return found


def chosen_texts(run: Run) -> list[str]:
    """The text in the box, and the second one when two are compared. Without a choice the text that
    every run is shown with."""
    offered = suggestions(run)
    first = session.chosen_text()
    if first is None:
        first = (
            FIRST_TEXT if run.settings.corpus.source == "builtin" or not offered else offered[0][1]
        )
    two = st.toggle("Two texts side by side", key="fusion_two", persist_state="session")
    columns = st.columns(2 if two else 1, gap="large")
    with columns[0]:
        text = box("fusion_text", "Text", first, offered, session.choose_text)
    if not two:
        return [text]
    with columns[1]:
        second = session.get("text_beside")
        other = second if second is not None else (offered[-1][1] if offered else FIRST_TEXT)
        return [
            text,
            box(
                "fusion_text_beside",
                "Second text",
                other,
                offered,
                lambda chosen: session.put("text_beside", chosen),
            ),
        ]


def box(
    key: str,
    label: str,
    text: str,
    offered: Sequence[tuple[str, str]],
    choose: Callable[[str], None],
    *,
    height: int = 190,
) -> str:
    """A text box, with suggestions above it where any are offered. height: pixels."""
    if offered:
        pick = f"{key}_offer"

        def take() -> None:
            chosen = session.widget(pick)
            if chosen is not None:
                choose(offered[chosen][1])

        st.selectbox(
            "Take a text from validation",
            range(len(offered)),
            index=None,
            format_func=lambda n: offered[n][0],
            key=pick,
            on_change=take,
            placeholder="choose a document",
            help="Text that the model was not trained on",
        )
    about = "Ctrl+Enter, or click elsewhere, to read it"
    return forms.area(label, text, choose, limit=LONGEST_TEXT, key=key, height=height, help=about)


def draw_running(
    run: Run,
    traces: Sequence[Trace | None],
    texts: Sequence[str],
    layer: int,
    tint: str,
    numbers: bool,
) -> None:
    """The tinted texts with one legend, on one scale."""
    known = [trace for trace in traces if trace is not None]
    full = max(float(trace.alpha[layer].max()) for trace in known)
    if tint == "segment":
        st.html(legend(known[0].alpha.shape[2], session.dark()))
    for column, trace, text in zip(
        st.columns(len(traces), gap="large"), traces, texts, strict=True
    ):
        if trace is None:
            continue
        with column:
            marks = (
                fusion_tint.by_segment(trace, layer, full)
                if tint == "segment"
                else fusion_tint.by_loss(trace, layer)
            )
            show_tinted(marks, trace.prompt_tokens, numbers and tint == "segment")
            said = (
                f"full tint at {full:.2f}"
                if tint == "segment"
                else "darker is more surprising; the first token is not predicted"
            )
            n = f"{len(trace.tokens)} tokens"
            st.caption(
                f"Layer {layer}."
                f" {caption_of(run, trace.step, n, run.settings.training.seed, said)}. Point at a"
                " token, or go to it with Tab, for all weights."
            )
            if len(trace.text) < len(text) and trace.prompt_tokens == len(trace.tokens):
                st.caption(
                    f"The model reads at most {run.settings.model.context_length} tokens: the end"
                    " of the text is left out."
                )
            mean = float(trace.loss[1:].mean()) if len(trace.tokens) > 1 else None
            if mean is not None:
                st.caption(
                    f"Mean loss {mean:.2f} nats a token over {len(trace.tokens) - 1} tokens."
                )


def show_tinted(marks: fusion_tint.Tint, prompt_tokens: int | None, numbers: bool) -> None:
    """One running text in a quiet frame."""
    shown = (
        prompt_tokens if prompt_tokens is not None and prompt_tokens < len(marks.tokens) else None
    )
    with st.container(border=True):
        st.html(
            running_text_html(
                marks.tokens,
                marks.strongest,
                marks.strength,
                marks.hover or None,
                session.dark(),
                shown,
                numbers,
            )
        )


def legend(num_segments: int, dark: bool) -> str:
    """Colour and number of every segment (the first 32), as HTML."""
    chips = "".join(
        '<span style="display:inline-flex;align-items:center;gap:.3em;margin-right:.9em">'
        '<span style="width:.8em;height:.8em;border-radius:2px;'
        f'background:{segment_colour(number, dark)}"></span>{number}</span>'
        for number in range(min(num_segments, 32))
    )
    return (
        '<div style="font-size:.9rem" aria-label="Colours of the'
        f' segments">segment&ensp;{chips}</div>'
    )
