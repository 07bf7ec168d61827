"""What a run has gained or lost against its twins, context by context, while it trains: one board
of small panels. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from app.charts.train.boards import Board, axes, line
from app.text.escape import escaped
from app.text.palette import segment_colour
from cpart_core.runs.tables import EvaluationTable

DASHES = ("dash", "dot", "dashdot", "longdash")


def differences(ours: EvaluationTable, twin: EvaluationTable) -> tuple[np.ndarray, np.ndarray]:
    """(steps that both were validated at [K], ours - twin [K, 1 + C] nats per token: mean over
    contexts first). Same rows, so paired."""
    steps, mine, theirs = np.intersect1d(ours.step, twin.step, return_indices=True)
    if ours.loss_by_context.shape[1] != twin.loss_by_context.shape[1]:
        return steps[:0], np.zeros((0, 1 + ours.loss_by_context.shape[1]))
    both = [
        np.column_stack([table.loss[rows], table.loss_by_context[rows]])
        for table, rows in ((ours, mine), (twin, theirs))
    ]
    return steps, both[0] - both[1]


def difference_board(
    contexts: Sequence[str],
    ours: EvaluationTable,
    twins: Sequence[tuple[str, EvaluationTable]],
    steps: int,
    dark: bool,
) -> Board | None:
    """None while no validation is shared with any twin. Below 0: this run has the lower loss."""
    shared, x, y = axes(dark)
    found = [(name, *differences(ours, table)) for name, table in twins]
    found = [entry for entry in found if len(entry[1])]
    if not found:
        return None
    panels: list[dict[str, Any]] = []
    for place, title in enumerate(
        ["mean over contexts", *(escaped(context, 40) for context in contexts)]
    ):
        traces = [
            line(
                "0",
                np.array([0, steps]),
                np.zeros(2),
                {"color": segment_colour(-1), "width": 1},
                "no difference",
            )
        ]
        for number, (name, when, less) in enumerate(found):
            style = {
                "color": segment_colour(number, dark),
                "width": 2,
                "dash": DASHES[number % len(DASHES)],
            }
            hover = "step %{x}: %{y:+.4f} nats per token"
            traces.append(
                line(
                    f"less the {escaped(name, 30)} twin",
                    when,
                    less[:, place],
                    style,
                    hover,
                    mode="lines+markers",
                )
            )
        panels.append({"title": title, "traces": traces})
    for trace in panels[0]["traces"][1:]:
        trace["showlegend"] = True
    seen = np.concatenate([less.ravel() for _, _, less in found])
    reach = float(np.nanmax(np.abs(seen))) * 1.1 + 1e-3 if np.isfinite(seen).any() else 1.0
    x, y = (
        {**x, "range": [0, steps], "nticks": 4},
        {**y, "nticks": 5, "range": [-round(reach, 4), round(reach, 4)]},
    )
    return Board(panels, shared, x, y, panel_height=80, min_width=140, left=46)


def difference_table(
    contexts: Sequence[str], ours: EvaluationTable, twins: Sequence[tuple[str, EvaluationTable]]
) -> pd.DataFrame:
    """One row for each twin and shared validation: step, then ours - twin for the mean and every
    context."""
    parts = []
    for name, table in twins:
        steps, less = differences(ours, table)
        part = pd.DataFrame(less, columns=["mean over contexts", *contexts])
        part.insert(0, "step", steps)
        part.insert(0, "twin", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
