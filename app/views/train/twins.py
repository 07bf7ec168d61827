"""The twins of a run, and the difference from them, drawn under the losses of the Train page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.charts.train.twin_difference import difference_board, difference_table, differences
from app.shell.figure import under_figure
from app.shell.live import Words, show_board
from app.shell.provenance import source_of
from cpart_core.runs.folder import Run, RunSummary
from cpart_core.runs.info import RunInfo
from cpart_core.runs.tables import EvaluationTable


def twins_of(run: Run, listed: Sequence[RunSummary]) -> list[RunInfo]:
    """The twins of a run among those listed; none of a run that is a twin itself."""
    return [
        entry.info for entry in listed if entry.info is not None and entry.info.twin_of == run.id
    ]


def draw_differences(
    run: Run, ours: EvaluationTable, twins: Sequence[tuple[str, EvaluationTable]], dark: bool
) -> None:
    """Nothing while no twin has been validated at a step of this run's."""
    steps = run.settings.training.steps
    board = difference_board(run.info.contexts, ours, twins, steps, dark)
    if board is None:
        return
    st.markdown("#### Against its twins")
    said = []
    for name, table in twins:
        when, less = differences(ours, table)
        if len(when):
            said.append(f"{less[-1, 0]:+.3f} against the {name} twin at step {int(when[-1]):,}")
    st.caption(
        "Sampled validation loss of this run less its twin's, on the same rows; below 0 this run"
        f" is better: {', '.join(said)}."
    )
    tokens = int(ours.tokens_by_context[-1].sum())
    more = "nats per token; one seed: run a study for an interval"
    source = source_of(
        run,
        int(ours.step[-1]),
        f"{tokens:,} sampled validation tokens",
        run.settings.training.seed,
        more,
    )
    words = Words(
        f"Sampled validation loss less the twins': {', '.join(said)}.",
        "",
        source,
        "loss_less_twins",
    )
    show_board(board, f"twins_{run.id}", words)
    under_figure(f"twins_{run.id}", words, lambda: difference_table(run.info.contexts, ours, twins))
