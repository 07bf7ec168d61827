"""What segments cause, as a section of the Segments page: the matrix of loss changes with
selectivity, and the router audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import results, session
from app.charts.segments import effect_matrix, effect_router
from app.charts.theme import in_percent
from app.shell import page_header, reading
from app.shell.figure import show_figure
from app.shell.provenance import source_of
from app.views.train.twins import twins_of
from cpart_core.records.effects import AblationMatrix, RouterAudit
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.wording.percent import percent

MOST_LAYERS = 8
FEW_DOCUMENTS = 8
"""Each half of them, on which the choice or the measurement rests, is then 3 at most."""


def draw(run: Run, step: int) -> None:
    """Both halves; each is computed when somebody asks for it, and stays."""
    st.subheader("What is each segment worth?", anchor=False)
    st.write(effect_matrix.WHY)
    page_header.layer_chooser(run)
    checkpoint = session.checkpoint_step(run, step)
    if checkpoint is None:
        reading.no_checkpoint(run, "Taking segments away")
        return
    request = {"run": run.id, "step": checkpoint}
    matrix = page_header.on_demand(
        run,
        "ablation_matrix",
        request,
        "Taking every segment away",
        f"Take every segment away once (step {checkpoint:,})",
        key="ask_ablation_matrix",
        icon=":material/science:",
        about=(
            "Reads up to 24,000 tokens of validation text once for every segment: some seconds for"
            " a small model."
        ),
    )
    if matrix is not None:
        draw_matrix(run, matrix)
    st.subheader("Does fusion choose well?", anchor=False)
    st.write(effect_router.WHY)
    if run.settings.model.execution == "dense":
        st.info(
            "In a dense model every neuron counts fully and nothing is chosen: there is no choice"
            " to audit.",
            icon=":material/info:",
        )
        return
    audit = page_header.on_demand(
        run,
        "router_audit",
        request,
        "Trying other choices",
        f"Audit the choices (step {checkpoint:,})",
        key="ask_router_audit",
        icon=":material/science:",
        about=(
            "Tries every other choice on about 4,000 tokens of validation text: some seconds for a"
            " small model."
        ),
    )
    if audit is not None:
        draw_audit(run, audit)


def say_control(run: Run, name: str, step: int, verdict: Callable[[Any], str]) -> None:
    """The same sentence of the random twin, or what is missing to know it. A twin's own page needs
    none."""
    if run.info.twin_of:
        return
    twins = [info.id for info in twins_of(run, folder.list_runs()) if info.twin_kind == "random"]
    if not twins:
        st.caption(
            "Control: this run has no random twin, so how much of this a random partition would do"
            " as well is not known."
        )
        return
    twin = folder.open_run(twins[0])
    saved = session.checkpoint_step(twin, step)
    known = (
        None
        if saved is None
        else results.stored_result(twin, name, {"run": twin.id, "step": saved})
    )
    if known is None:
        st.caption(
            "Control: the random twin has not been measured yet. Choose it above and measure it"
            " there."
        )
    else:
        st.caption(f"Control, the random twin at step {saved:,}: {verdict(known)}")


def draw_matrix(run: Run, matrix: AblationMatrix) -> None:
    """Verdict, heat map, and both selectivities."""
    st.markdown(f"**{effect_matrix.verdict(matrix)}**")
    say_control(run, "ablation_matrix", matrix.step, effect_matrix.verdict)
    tokens, documents = int(matrix.tokens_by_context.sum()), int(matrix.documents_by_context.sum())
    source = source_of(
        run, matrix.step, f"{tokens:,} validation tokens of {documents} documents", matrix.seed
    )
    few = [
        name
        for name, count in zip(matrix.contexts, matrix.documents_by_context, strict=True)
        if count < FEW_DOCUMENTS
    ]
    if few:
        st.caption(
            f":material/info: {len(few)} of the contexts have fewer than {FEW_DOCUMENTS} validation"
            " documents here: their intervals say little."
        )
    layers = list(range(len(matrix.change)))
    if len(layers) > MOST_LAYERS:
        layers = sorted(
            {session.chosen_layer(run), *layers[:: -(-len(layers) // (MOST_LAYERS - 1))]}
        )
        st.caption(f"{len(layers)} of {len(matrix.change)} layers are drawn; the table has all.")
    show_figure(
        effect_matrix.effect_heat(matrix, layers, dark=session.dark()),
        "effect_matrix",
        "Change of the loss, in nats per token, when a segment is taken away alone.",
        effect_matrix.matrix_finding(matrix),
        lambda: effect_matrix.matrix_table(matrix),
        source,
    )
    layer = session.chosen_layer(run)
    how = (
        f"Bars: 95 % over documents. 1 is chance; a change below {matrix.least:g} nats counts as"
        f" {matrix.least:g}."
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**The segment that matters most to each context**")
        show_figure(
            effect_matrix.strongest_dots(matrix, dark=session.dark()),
            "effect_strongest",
            how,
            effect_matrix.verdict(matrix),
            lambda: effect_matrix.strongest_table(matrix),
            source,
        )
    with right:
        st.markdown(f"**Selectivity of the segments of layer {layer}**")
        values = ", ".join(
            f"{effect_matrix.segment_label(number)} {effect_matrix.ratio_words(float(value))}"
            for number, value in zip(matrix.segments, matrix.selectivity[layer], strict=True)
        )
        show_figure(
            effect_matrix.selectivity_dots(matrix, layer, dark=session.dark()),
            "effect_selectivity",
            f"The context beside a point is the one that the segment matters most to. {how}",
            f"Selectivity by segment in layer {layer}: {values}.",
            lambda: effect_matrix.selectivity_table(matrix),
            source,
        )


def draw_audit(run: Run, audit: RouterAudit) -> None:
    """The figure, and what its numbers mean."""
    found = effect_router.finding(audit)
    st.markdown(f"**{found}**")
    say_control(run, "router_audit", audit.step, effect_router.finding)
    show_figure(
        effect_router.audit_figure(audit, dark=session.dark()),
        "effect_router",
        "Bars: 95 % over documents.",
        found,
        lambda: effect_router.audit_table(audit),
        source_of(run, audit.step, effect_router.how(audit), audit.seed),
    )
    st.dataframe(
        effect_router.audit_table(audit)[
            ["layer", "no_swap_is_better", "rank_correlation_all", "rank_correlation_within_token"]
        ].assign(no_swap_is_better=in_percent(audit.best_share)),
        hide_index=True,
        key="effect_router_ranks",
        alt=(
            "Share of tokens with the best choice, and rank correlations of weight and benefit, by"
            " layer"
        ),
        column_config={
            "no_swap_is_better": st.column_config.NumberColumn(
                "tokens with the best choice",
                format="%.1f %%",
                help=f"Chance alone: {percent(1 / (audit.alternatives + 1))}",
            ),
            "rank_correlation_all": st.column_config.NumberColumn(
                "weight and benefit, all tokens",
                format="%.2f",
                help="Spearman; benefit = what the token loses when the segment is ablated",
            ),
            "rank_correlation_within_token": st.column_config.NumberColumn(
                "weight and benefit, within a token",
                format="%.2f",
                help="Mean over tokens of Spearman among the token's computed segments",
            ),
        },
    )
