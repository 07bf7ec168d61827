"""The difference to a twin is taken at the steps that both were validated at, and nowhere else."""

from __future__ import annotations

import json

import numpy as np
import pytest

from app.charts.train.twin_difference import difference_board, difference_table, differences
from cpart_core.runs.tables import EvaluationTable


def table(steps, more=0.0, contexts=2) -> EvaluationTable:
    by_context = np.array(
        [[3.0 - step / 100 + more + c for c in range(contexts)] for step in steps]
    )
    return EvaluationTable(
        np.array(steps), by_context.mean(axis=1), by_context, np.full((len(steps), contexts), 50)
    )


def test_only_shared_steps_are_compared():
    steps, less = differences(table([10, 20, 30]), table([20, 30, 40], more=0.5))
    assert steps.tolist() == [20, 30] and less == pytest.approx(np.full((2, 3), -0.5))


def test_a_board_for_two_twins_is_plain_json():
    ours, twins = (
        table([10, 20]),
        [("dense", table([10, 20], more=-0.1)), ("random", table([20], more=0.2))],
    )
    board = difference_board(["a", "<b>"], ours, twins, 40, dark=False)
    assert board is not None and [panel["title"] for panel in board.panels] == [
        "mean over contexts",
        "a",
        "&lt;b&gt;",
    ]
    assert json.loads(json.dumps(board.to_data())) is not None
    shown = {trace["name"]: trace["y"] for trace in board.panels[1]["traces"][1:]}
    assert shown == {
        "less the dense twin": pytest.approx([0.1, 0.1]),
        "less the random twin": pytest.approx([-0.2]),
    }
    frame = difference_table(["a", "<b>"], ours, twins)
    assert frame["twin"].tolist() == ["dense", "dense", "random"] and frame[
        "mean over contexts"
    ].tolist() == pytest.approx([0.1, 0.1, -0.2])


def test_without_a_shared_validation_there_is_nothing_to_draw():
    assert (
        difference_board(["a", "b"], table([10]), [("dense", table([20]))], 40, dark=True) is None
    )
    assert (
        difference_board(
            ["a", "b"], table([10]), [("dense", table([10], contexts=3))], 40, dark=True
        )
        is None
    )
    assert difference_board(["a", "b"], table([10]), [], 40, dark=True) is None
