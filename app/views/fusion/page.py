"""Fusion: a text through the model, every token tinted by the segment with the greatest weight,
and what the weights hide."""

from __future__ import annotations

import streamlit as st

from app import session
from app.charts.fusion import heat as fusion_heat
from app.charts.fusion import weight_norms as fusion_weights
from app.shell import page_header, reading
from app.shell.figure import show_figure
from app.shell.glossary import words
from app.shell.provenance import Provenance, source_of
from app.views.fusion import continuation as fusion_continue
from app.views.fusion import texts as fusion_text
from app.views.fusion import whatif as fusion_whatif
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import Run


def page() -> None:
    run, step = page_header.run_bar(
        "Fusion",
        "For every token and layer, fusion weights say how much each segment's output counts. Look"
        " at them on a text of your own.",
    )
    words("fusion", "fusion weights", "segment", "entropy")
    reading.say_stage(run, reading.snapshot_or_stop(run, step))
    checkpoint = session.checkpoint_step(run, step)
    if checkpoint is None:
        reading.no_checkpoint(run, "Reading a text")
        return
    if checkpoint != step:
        st.caption(
            f"Reading a text needs weights: this is checkpoint step {checkpoint:,}, the nearest to"
            f" step {step:,}."
        )
    texts = fusion_text.chosen_texts(run)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        layer = page_header.layer_chooser(run)
        tint = st.segmented_control(
            "Tint by",
            ["segment", "loss"],
            default="segment",
            key="fusion_tint",
            required=True,
            persist_state="session",
            help=(
                "segment: the one with the greatest fusion weight, opacity its weight. loss: how"
                " surprised the model was by each token."
            ),
        )
        numbers = st.toggle(
            "Segment numbers",
            key="fusion_numbers",
            persist_state="session",
            help="A second cue beside colour, printed where another segment takes over",
        )
    traces = read_texts(run, checkpoint, texts, layer)
    known = [trace for trace in traces if trace is not None]
    if not known:
        return
    fusion_text.draw_running(run, traces, texts, layer, str(tint), numbers)
    reading.selection_line(run, reading.snapshot_or_stop(run, step), layer)
    if traces[0] is not None:
        fusion_whatif.draw(run, checkpoint, texts[0], traces[0], layer)
    draw_pictures(run, known, layer)


def read_texts(run: Run, checkpoint: int, texts: list[str], layer: int) -> list[Trace | None]:
    """A trace a text; the first one goes on as a continuation when that was asked for."""
    traces: list[Trace | None] = []
    for number, text in enumerate(texts):
        if not text.strip():
            st.info(
                "Type some text, or take one from the validation split.", icon=":material/edit:"
            )
            traces.append(None)
            continue
        trace = page_header.result(
            run, "trace", {"run": run.id, "step": checkpoint, "text": text}, "Reading the text"
        )
        if number == 0 and trace is not None:
            trace = fusion_continue.draw(run, checkpoint, text, trace, layer) or trace
        traces.append(trace)
    return traces


def draw_pictures(run: Run, traces: list[Trace], layer: int) -> None:
    """Heat map, entropy and weight beside norm; two texts stand side by side, or below each other
    where it is narrow."""
    st.subheader("All weights", anchor=False)
    every = st.segmented_control(
        "Layers",
        ["this layer", "all layers"],
        default="all layers",
        key="fusion_layers",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
    )
    layers = (
        [layer]
        if every == "this layer"
        else fusion_heat.layers_to_draw(traces[0].alpha.shape, layer)
    )
    if len(layers) < traces[0].alpha.shape[0] and every != "this layer":
        st.caption(
            f"{len(layers)} of {traces[0].alpha.shape[0]} layers are drawn, the chosen one among"
            " them; the table has all."
        )
    full = max(fusion_heat.greatest(trace, layers) for trace in traces)
    for column, (number, trace) in zip(
        st.columns(len(traces), gap="large"), enumerate(traces), strict=True
    ):
        with column:
            draw_heat(run, trace, layers, number, full)
    st.subheader("How sure fusion is", anchor=False)
    for column, (number, trace) in zip(
        st.columns(len(traces), gap="large"), enumerate(traces), strict=True
    ):
        with column:
            draw_entropy(run, trace, number)
    st.subheader("What a weight hides", anchor=False)
    st.write(fusion_weights.WHY)
    for column, (number, trace) in zip(
        st.columns(len(traces), gap="large"), enumerate(traces), strict=True
    ):
        with column:
            draw_weights(run, trace, layer, number)


def source(run: Run, trace: Trace) -> Provenance:
    """Where the numbers are from."""
    generated = len(trace.tokens) - trace.prompt_tokens
    n = f"{len(trace.tokens)} tokens" + (f", the last {generated} generated" if generated else "")
    return source_of(run, trace.step, n, run.settings.training.seed)


def draw_heat(run: Run, trace: Trace, layers: list[int], number: int, full: float) -> None:
    alpha = trace.alpha[layers]
    layer, token, segment = (int(index) for index in divmod_all(int(alpha.argmax()), alpha.shape))
    show_figure(
        fusion_heat.fusion_heat(trace, layers, full=full, dark=session.dark()),
        f"fusion_heat_{number}",
        "A row is a segment, a column a token.",
        f"Fusion weights of {len(trace.tokens)} tokens. Greatest: {alpha.max():.2f}, segment"
        f" {segment}, layer {layers[layer]}, token {token}.",
        lambda: fusion_heat.trace_table(trace),
        source(run, trace),
    )


def divmod_all(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A flat index as one index an axis."""
    found: list[int] = []
    for length in reversed(shape):
        index, rest = divmod(index, length)
        found.append(rest)
    return tuple(reversed(found))


def draw_entropy(run: Run, trace: Trace, number: int) -> None:
    mean = trace.entropy.mean(axis=1)
    most = fusion_heat.most_bits(trace)
    show_figure(
        fusion_heat.entropy_heat(trace, dark=session.dark()),
        f"fusion_entropy_{number}",
        f"Entropy of every token's weights: 0 bits when one segment takes all, {most:.2f} when all"
        " are alike.",
        "Mean entropy by layer: "
        + ", ".join(f"layer {layer} {bits:.2f} bits" for layer, bits in enumerate(mean))
        + f", of at most {most:.2f}.",
        lambda: fusion_heat.entropy_table(trace),
        source(run, trace),
    )


def draw_weights(run: Run, trace: Trace, layer: int, number: int) -> None:
    """Bars for the whole text or one token."""
    options = [-1, *range(len(trace.tokens))]
    token = st.selectbox(
        "Token",
        options,
        format_func=lambda place: (
            "mean over the text" if place < 0 else f"{place}: {trace.tokens[place]!r}"
        ),
        key=f"fusion_token_{number}_{len(options)}",
    )
    at = None if token is None or token < 0 else int(token)
    table = fusion_weights.weight_table(trace, layer, at)
    by_weight, by_norm = (
        int(table["fusion_weight"].fillna(-1).idxmax()),
        int(table["norm"].idxmax()),
    )
    names = ["shared" if segment < 0 else f"segment {segment}" for segment in table["segment"]]
    agree = (
        "and it also adds most"
        if by_weight == by_norm
        else f"but {names[by_norm]} adds most (norm {table['norm'][by_norm]:.2f})"
    )
    show_figure(
        fusion_weights.weight_and_norm(trace, layer, at, dark=session.dark()),
        f"fusion_weights_{number}",
        f"Layer {layer}, {'mean over the text' if at is None else f'token {at}'}.",
        f"In layer {layer}, {names[by_weight]} has the greatest fusion weight"
        f" ({table['fusion_weight'][by_weight]:.2f}), {agree}.",
        lambda: table,
        source(run, trace),
    )


page()
