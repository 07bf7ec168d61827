"""Laws of the pictures of interventions: they show the result's numbers, their tables are the
result, and words say no more than intervals allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.charts.fusion import effect_whatif
from app.charts.segments import effect_matrix, effect_router
from tests.charts import made_effects as made
from tests.charts.made import HOSTILE

FIGURES = {
    "next": lambda dark: effect_whatif.next_token_bars(made.report(), dark=dark),
    "contexts": lambda dark: effect_whatif.context_changes(made.report(), dark=dark),
    "heat": lambda dark: effect_matrix.effect_heat(made.matrix(), [0, 1], dark=dark),
    "selectivity": lambda dark: effect_matrix.selectivity_dots(made.matrix(), 0, dark=dark),
    "strongest": lambda dark: effect_matrix.strongest_dots(made.matrix(), dark=dark),
    "audit": lambda dark: effect_router.audit_figure(made.audit(), dark=dark),
}


@pytest.mark.parametrize("name", FIGURES)
def test_hostile_names_are_never_markup_and_figures_are_equal_between_reruns(name):
    figure = FIGURES[name](True)
    assert "<a href" not in str(figure.to_plotly_json()) and figure == FIGURES[name](True)


def test_the_heat_map_is_the_matrix_row_by_row():
    matrix = made.matrix()
    z = np.asarray(effect_matrix.effect_heat(matrix, [1, 0], dark=False).data[0].z)
    gap = np.full((1, z.shape[1]), np.nan)
    np.testing.assert_array_equal(z, np.concatenate([matrix.change[1].T, gap, matrix.change[0].T]))


def test_tables_are_the_results():
    matrix, report, audit = made.matrix(), made.report(), made.audit()
    table = effect_matrix.matrix_table(matrix)
    np.testing.assert_array_equal(
        table["change"].to_numpy().reshape(matrix.change.shape), matrix.change
    )
    assert table["segment"].min() == -1 and len(effect_matrix.strongest_table(matrix)) == 3
    np.testing.assert_array_equal(
        effect_matrix.selectivity_table(matrix)["selectivity"], matrix.selectivity.ravel()
    )
    np.testing.assert_allclose(effect_whatif.context_table(report)["change"], [0.0, 0.4, 0.01])
    np.testing.assert_array_equal(effect_router.audit_table(audit)["regret"], audit.regret)


def test_what_is_off_the_scale_stands_at_its_edge_and_is_said():
    x = np.asarray(effect_matrix.selectivity_dots(made.matrix(), 0, dark=False).data[0].x)
    assert x[1] == 100 and np.isnan(x[2])
    assert (
        effect_matrix.ratio_words(500.0) == "over 100"
        and effect_matrix.ratio_words(float("nan")) == "not known"
    )


def test_verdicts_count_only_what_the_interval_says():
    matrix = made.matrix()
    assert effect_matrix.verdict(matrix).startswith(
        "2 of 2 contexts"
    ) and "1 of them at least 3" in effect_matrix.verdict(matrix)
    unknown = replace(matrix, strongest_selectivity=np.full(3, np.nan))
    assert "No context has enough documents" in effect_matrix.verdict(unknown)
    assert (
        effect_router.finding(made.audit())
        == "Better than a random choice in layer 1 of 2; its regret is 43 % of a random choice's."
    )
    none = replace(made.audit(), random_low=np.array([-1.0, 0.0]))
    assert "in no layer" in effect_router.finding(none)


def test_the_finding_names_the_context_that_changes_most_and_doubts_what_chance_could_do():
    report = made.report()
    said = effect_whatif.finding(report)
    assert (
        "prose changes most: +0.400 nats" in said
        and "chance could" not in said
        and "another next token" in said
    )
    doubtful = replace(report, change_low=np.full(3, -1.0))
    assert "which chance could explain" in effect_whatif.finding(doubtful)
    hostile = replace(report, contexts=(HOSTILE,) * 3)
    assert "[name]" in effect_whatif.finding(
        hostile, lambda name: "[name]"
    ) and HOSTILE not in effect_whatif.finding(hostile, lambda name: "[name]")
    nothing = replace(
        report,
        loss_after=report.loss_before,
        context_after=report.context_before,
        next_after=report.next_before,
    )
    assert (
        effect_whatif.finding(nothing)
        == "The text's own loss stays as it was; the likeliest next token stays the same; no"
        " context's sampled validation loss changes."
    )
