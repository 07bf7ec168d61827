"""Continuing a text on the Fusion page: the settings of sampling, the text coloured while it grows,
and the finished trace."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import results, session
from app.charts.fusion.tint import Tint
from app.text.escape import sentence
from app.views.fusion.texts import show_tinted
from cpart_core.model.context_window import beginning_left_out, early_end
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import Run


def draw(run: Run, checkpoint: int, text: str, trace: Trace, layer: int) -> Trace | None:
    """The controls; and when a continuation of this very text was asked for, its trace once it is
    there (None before, and without one)."""
    form(run, checkpoint, text, len(trace.tokens))
    asked = session.get("continuation")
    if asked is None or (asked["run"], asked["step"], asked["text"]) != (run.id, checkpoint, text):
        return None
    # a page that follows a running run would leave this step, and the continuation with it
    session.put("waiting", True)
    answer = results.result_or_ask(run, "continuation", asked)
    if answer.error:
        st.error(
            f"The text could not be continued. {sentence(answer.error, 400)}",
            icon=":material/error:",
        )
        st.button("Close", key="continuation_close", on_click=forget, args=(asked,))
        return None
    if answer.result is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            made = len(answer.result.tokens) - answer.result.prompt_tokens
            st.markdown(
                f"Continued by {made} tokens, seed {asked['seed']}, temperature"
                f" {asked['temperature']:g}.",
                width="content",
            )
            st.button(
                "Show the text alone",
                key="continuation_away",
                type="tertiary",
                icon=":material/undo:",
                on_click=forget,
                args=(asked,),
            )
        room, read = run.settings.model.context_length, answer.result.prompt_tokens
        left_out = len(answer.result.text) < len(text)
        beginning = beginning_left_out(read, room) if left_out else ""
        if said := " ".join(
            filter(None, (beginning, early_end(read, made, asked["max_tokens"], room)))
        ):
            st.caption(said)
        return answer.result
    growing(run, asked, trace, layer)
    return None


def forget(asked: dict[str, Any]) -> None:
    """Stop a continuation, or take it off the page."""
    results.forget("continuation", asked)
    session.put("continuation", None)


def form(run: Run, checkpoint: int, text: str, read: int) -> None:
    """Settings of sampling, folded away, and the button. As many tokens are proposed as fit behind
    the `read` ones."""
    with st.expander("Continue the text", icon=":material/edit_note:"):
        left, middle, right = st.columns(3, gap="medium")
        room = run.settings.model.context_length
        most = max(1, room // 2)
        fits = min(most, 48, max(room - read, 8))
        tokens = left.slider(
            "Tokens at most",
            1,
            most,
            fits,
            key=f"continue_tokens_{fits}",
            persist_state="session",
            help=(
                f"Text and continuation share {room} tokens; where they do not fit, the beginning"
                " of the text is left out"
            ),
        )
        temperature = left.slider(
            "Temperature",
            0.0,
            2.0,
            0.8,
            0.05,
            key="continue_temperature",
            persist_state="session",
            help="0 always takes the likeliest token; 1 samples as the model says",
        )
        top_k = middle.slider(
            "Top k",
            0,
            100,
            0,
            key="continue_top_k",
            persist_state="session",
            help="Only the k likeliest tokens; 0 = all",
        )
        top_p = middle.slider(
            "Top p",
            0.05,
            1.0,
            1.0,
            0.05,
            key="continue_top_p",
            persist_state="session",
            help="Only the likeliest tokens that together have this probability; 1 = all",
        )
        seed = right.number_input(
            "Seed",
            0,
            2**31 - 1,
            0,
            key="continue_seed",
            persist_state="session",
            help="The same seed gives the same continuation",
        )
        request = {
            "run": run.id,
            "step": checkpoint,
            "text": text,
            "max_tokens": int(tokens),
            "temperature": float(temperature),
            "top_k": int(top_k),
            "top_p": float(top_p),
            "seed": int(seed),
        }
        right.button(
            "Continue the text",
            key="continue_go",
            type="primary",
            icon=":material/play_arrow:",
            on_click=session.put,
            args=("continuation", request),
        )


def growing(run: Run, asked: dict[str, Any], trace: Trace, layer: int) -> None:
    """The text as far as it has come, and a Stop button; the page is drawn again at the end."""

    @st.fragment(run_every=0.4)
    def now() -> None:
        answer = results.result_or_ask(run, "continuation", asked)
        if answer.result is not None or answer.error:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(min(1.0, max(0.0, answer.progress)), text=answer.say or "Continuing")
            if st.button(
                "Stop",
                key="continuation_stop",
                icon=":material/stop:",
                on_click=forget,
                args=(asked,),
            ):
                st.rerun()
        if answer.partial is not None and answer.partial.get("tokens"):
            show_tinted(
                partial_tint(answer.partial, layer),
                min(trace.prompt_tokens, len(answer.partial["tokens"])),
                False,
            )

    now()


def partial_tint(partial: dict[str, Any], layer: int) -> Tint:
    """What the worker has told of a growing text, for one layer; tokens whose weights are not known
    yet are grey."""
    tokens = tuple(str(token) for token in partial["tokens"])
    strongest = [int(by_layer[layer]) for by_layer in partial["strongest"]][: len(tokens)]
    strength = [float(by_layer[layer]) for by_layer in partial["strength"]][: len(tokens)]
    missing = len(tokens) - len(strongest)
    full = max(strength, default=1.0) or 1.0
    return Tint(
        tokens,
        strongest + [-1] * missing,
        [value / full for value in strength] + [0.0] * missing,
        [],
    )
