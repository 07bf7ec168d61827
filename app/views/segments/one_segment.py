"""The page of one segment: what it is for, its words and passages, when it formed. Drawn by
segments.py when a segment is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import session
from app.charts.segments import by_context as segments_fusion
from app.charts.segments import life as segments_life
from app.charts.theme import in_percent
from app.shell import page_header, reading
from app.shell.figure import caption_of, show_figure
from app.shell.glossary import words
from app.shell.provenance import source_of
from app.text.escape import code_span, running_text_html, token_label
from app.text.palette import segment_colour
from cpart_core.records.training import Snapshot
from cpart_core.runs.folder import Run
from cpart_core.wording.percent import percent


def open_page(layer: int, number: int) -> None:
    session.choose_layer(layer)
    session.choose_segment(number)


def close_page() -> None:
    session.put("segment", None)


def listing(
    snapshot: Snapshot,
    contexts: tuple[str, ...],
    layer: int,
    dead: np.ndarray,
    present: np.ndarray,
    profiles: Any | None,
) -> pd.DataFrame:
    """One row a segment: number, neurons, load in per cent, where it is strongest, a remark where
    one has any, and typical tokens where profiles are known."""
    mass = snapshot.fusion_mass[layer]
    segments = range(mass.shape[1])
    strongest = np.argsort(-mass, axis=0, kind="stable")[:2]
    table = pd.DataFrame(
        {
            "segment": list(segments),
            "neurons": [int((snapshot.segment_of[layer] == s).sum()) for s in segments],
            "load": [float(in_percent(np.nanmean(mass[:, s]))) for s in segments],
            "strongest on": [
                " · ".join(
                    f"{contexts[c]} {mass[c, s]:.2f}"
                    for c in strongest[:, s]
                    if np.isfinite(mass[c, s])
                )
                for s in segments
            ],
            "remark": [
                (
                    "hardly ever used"
                    if dead[layer, s]
                    else "used by every context"
                    if present[layer, s]
                    else ""
                )
                for s in segments
            ],
        }
    )
    if not any(table["remark"]):
        table = table.drop(columns="remark")
    if profiles is not None:
        table["typical tokens"] = [
            "  ".join(map(token_label, profiles.typical_tokens[layer][s][:6])) for s in segments
        ]
    return table


def draw(run: Run, step: int) -> None:
    """The whole page."""
    layer, number = session.chosen_layer(run), session.chosen_segment(run)
    snapshot = reading.snapshot_or_stop(run, step)
    head(run, layer, number)
    words("segment", "fusion mass", "lift", "signature")
    reading.say_stage(run, snapshot)
    if not np.nansum(snapshot.fusion_tokens) > 0:
        return
    facts(run, snapshot, layer, number)
    left, right = st.columns(2, gap="large")
    with left:
        draw_contexts(run, snapshot, layer, number)
    with right:
        draw_life(run, step, layer, number)
    draw_profiles(run, step, layer, number)


def head(run: Run, layer: int, number: int) -> None:
    """Way back, title with the segment's colour, and the choosers of layer and segment."""
    st.button(
        "All segments",
        key="all_segments",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=close_page,
    )
    colour = segment_colour(number, session.dark())
    chip = (
        "<span"
        f' style="display:inline-block;width:.8em;height:.8em;border-radius:2px;background:{colour}"></span>'
    )
    st.html(f'<h2 style="margin:0;padding:0">{chip} Layer {layer}, segment {number}</h2>')
    with st.container(horizontal=True, gap="medium"):
        page_header.layer_chooser(run)
        options = list(range(run.settings.model.num_segments))
        st.selectbox(
            "Segment",
            options,
            number,
            width=140,
            **session.showing("segment_number", number, session.choose_segment),
        )


def facts(run: Run, snapshot: Snapshot, layer: int, number: int) -> None:
    """Size, load, strongest context, when it formed; and what is remarkable, in words."""
    mass = snapshot.fusion_mass[layer, :, number]
    members = np.flatnonzero(snapshot.segment_of[layer] == number)
    snapshots = reading.snapshots_until(run, snapshot.step)
    share = (
        segments_life.kept_share([s.segment_of for s in snapshots], layer, number)
        if snapshots
        else np.array([])
    )
    formed = segments_life.formed_step([s.step for s in snapshots], share) if snapshots else None
    strongest = int(np.nan_to_num(mass, nan=-1.0).argmax())
    columns = st.columns(4)
    columns[0].metric(
        "Neurons", f"{len(members):,}", help=f"of {snapshot.segment_of.shape[1]:,} in the layer"
    )
    columns[1].metric(
        "Load",
        percent(np.nanmean(mass)),
        help=(
            "Mean fusion weight over contexts; even would be"
            f" {percent(1 / len(snapshot.fusion_mass[0, 0]))}"
        ),
    )
    columns[2].metric(
        "Strongest on",
        str(run.info.contexts[strongest]),
        help=f"mean fusion weight {mass[strongest]:.2f}",
    )
    columns[3].metric(
        "Formed",
        "not yet" if formed is None else f"step {formed:,}",
        help="From this snapshot on it holds 80 % of the neurons it has now",
    )
    dead, present = segments_fusion.remarkable(snapshot.fusion_mass, run.settings.model.top_k)
    if snapshot.partitioned and dead[layer, number]:
        st.warning(
            "This segment is hardly ever used: less than a tenth of an even share on every"
            " context.",
            icon=":material/dark_mode:",
        )
    if snapshot.partitioned and present[layer, number]:
        st.info(
            "Every context uses this segment among its strongest, so it cannot tell contexts"
            " apart.",
            icon=":material/all_inclusive:",
        )
    st.button(
        f"Select its {len(members):,} neurons on all pages",
        key="select_segment",
        icon=":material/select_all:",
        on_click=lambda: session.select(run, [(layer, int(neuron)) for neuron in members]),
    )
    reading.selection_line(run, snapshot)


def draw_contexts(run: Run, snapshot: Snapshot, layer: int, number: int) -> None:
    st.subheader("Its contexts", anchor=False)
    contexts, tokens = run.info.contexts, snapshot.fusion_tokens
    mass, chosen = snapshot.fusion_mass[layer, :, number], snapshot.chosen_share[layer, :, number]
    best = int(np.nan_to_num(mass, nan=-1.0).argmax())
    show_figure(
        segments_life.segment_contexts(
            mass, tokens, contexts, snapshot.fusion_mass.shape[2], dark=session.dark()
        ),
        "segment_contexts",
        "Mean fusion weight on each context.",
        f"Segment {number} of layer {layer} is strongest on {contexts[best]}, mean fusion weight"
        f" {mass[best]:.2f}.",
        lambda: segments_life.segment_contexts_table(mass, chosen, tokens, contexts),
        source_of(
            run,
            snapshot.step,
            f"{int(np.nansum(tokens)):,} validation tokens",
            run.settings.training.seed,
        ),
        file=f"segment_contexts_layer{layer}_segment{number}",
    )


def draw_life(run: Run, step: int, layer: int, number: int) -> None:
    st.subheader("When it formed", anchor=False)
    snapshots = reading.snapshots_until(run, step)
    if len(snapshots) < 2:
        st.info(
            "This needs two snapshots with a partition, up to the chosen step.",
            icon=":material/hourglass_top:",
        )
        return
    steps = [snapshot.step for snapshot in snapshots]
    share = segments_life.kept_share([snapshot.segment_of for snapshot in snapshots], layer, number)
    formed = segments_life.formed_step(steps, share)
    show_figure(
        segments_life.life_line(steps, share, number, dark=session.dark()),
        "segment_life",
        "Share of the neurons it has at the chosen step that were in it before.",
        f"Segment {number} of layer {layer} "
        + ("has not formed yet." if formed is None else f"formed at step {formed}."),
        lambda: segments_life.life_table(steps, share),
        source_of(run, step, f"{len(steps)} snapshots", run.settings.training.seed),
        file=f"segment_life_layer{layer}_segment{number}",
    )


def draw_profiles(run: Run, step: int, layer: int, number: int) -> None:
    """Typical tokens and passages: real validation text through the checkpoint, from the worker."""
    st.subheader("Its words", anchor=False)
    checkpoint = session.checkpoint_step(run, step)
    if checkpoint is None:
        reading.no_checkpoint(run, "Finding typical tokens and passages")
        return
    profiles = page_header.result(
        run, "profiles", {"run": run.id, "step": checkpoint}, "Reading validation text"
    )
    if profiles is None:
        return
    if layer >= len(profiles.typical_tokens) or number >= len(profiles.typical_tokens[layer]):
        st.warning(
            "The stored profiles are of another model than this run's; ask for them again.",
            icon=":material/broken_image:",
        )
        return
    n = f"{int(profiles.tokens_by_context.sum()):,} validation tokens"
    left, right = st.columns([2, 3], gap="large")
    with left:
        draw_tokens(
            profiles, layer, number, caption_of(run, checkpoint, n, run.settings.training.seed)
        )
    with right:
        draw_passages(
            profiles, layer, number, caption_of(run, checkpoint, n, run.settings.training.seed)
        )


def draw_tokens(profiles: Any, layer: int, number: int, caption: str) -> None:
    tokens = profiles.typical_tokens[layer][number]
    if not tokens:
        st.info(
            "No token was seen often enough (5 times) to be called typical.",
            icon=":material/search_off:",
        )
        return
    table = pd.DataFrame(
        {
            "token": [token_label(token, 40) for token in tokens],
            "lift": profiles.typical_lift[layer][number],
            "n": profiles.typical_count[layer][number],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        alt=f"Typical tokens of segment {number} in layer {layer} with lift and count",
        column_config={
            "lift": st.column_config.NumberColumn(
                format="%.2f ×", help="Mean fusion weight on this token / mean over all tokens"
            )
        },
    )
    st.caption("Tokens with the greatest lift, seen at least 5 times. " + caption)


def draw_passages(profiles: Any, layer: int, number: int, caption: str) -> None:
    passages = profiles.passages[layer][number]
    if not passages:
        st.info(
            "No passage of validation text was long enough to show.", icon=":material/search_off:"
        )
        return
    full = max(float(np.max(passage.strength, initial=0.0)) for passage in passages) or 1.0
    for passage in passages:
        hover = [f"fusion weight {weight:.3f}" for weight in passage.strength]
        st.markdown(f"{code_span(passage.context, 40)} from {code_span(passage.document, 80)}")
        st.html(
            running_text_html(
                passage.tokens,
                [number] * len(passage.tokens),
                (passage.strength / full).tolist(),
                hover,
                session.dark(),
            )
        )
    mean = np.mean([float(np.mean(passage.strength)) for passage in passages])
    st.caption(
        f"The passages on which its mean fusion weight is greatest (here {mean:.2f}); opacity is"
        f" the weight, full at {full:.2f}. " + caption
    )
