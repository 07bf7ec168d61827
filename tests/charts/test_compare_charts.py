"""Figures of a comparison: matched segments lie on the diagonal and wear one colour, the largest
tokens come first, names stay text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.charts.compare import differences as compare
from app.charts.compare import segment_match
from app.charts.compare import tokens as compare_tokens
from cpart_core.analysis.compare.differences import differences
from tests.charts import made
from tests.charts.made_compare import losses, segments, text


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_drawn_with_its_table(dark):
    matched, measured, read = segments(), losses(), text()
    for figure, table in (
        (compare.loss_dots(measured, dark=dark), compare.loss_table(measured)),
        (segment_match.match_heat(matched, 1, dark=dark), segment_match.match_table(matched)),
        (segment_match.agreement_dots(matched, dark=dark), segment_match.agreement_table(matched)),
        (segment_match.context_grid(matched, dark=dark), segment_match.context_table(matched)),
        (compare_tokens.token_bars(read, dark=dark), compare_tokens.token_table(read, 1)),
    ):
        assert "<a href" not in figure.to_json() and len(table)
        assert figure.layout.paper_bgcolor == ("#0f1319" if dark else "#ffffff")


def test_matched_segments_lie_on_the_diagonal_and_share_a_colour():
    result = segments()
    assert segment_match.order_of_other(result, 0) == [2, 0, 3, 1]
    heat = segment_match.match_heat(result, 0, dark=False)
    assert np.diag(np.array(heat.data[0].z)).tolist() == [6.0] * 4
    assert [tick.split("'")[1] for tick in heat.layout.xaxis.ticktext] == [
        tick.split("'")[1] for tick in heat.layout.yaxis.ticktext
    ]
    trace = made.trace()
    inverse = result.of_other[0]
    plain = compare_tokens.matched_tint(trace, 0, 1.0, None, False)
    worn = compare_tokens.matched_tint(trace, 0, 1.0, inverse, False)
    assert (
        worn.strongest == [int(inverse[own]) for own in plain.strongest]
        and "matched with A's" in worn.hover[0]
    )
    assert set(compare_tokens.matched_tint(trace, 0, 1.0, inverse, True).strongest) == {-1}


def test_the_largest_difference_stands_first_and_is_numbered_in_the_text():
    result = text()
    table = compare_tokens.token_table(result, 0, by_size=True)
    assert (
        table["b_less_a"].abs().is_monotonic_decreasing
        and table["place"][0] == 3
        and 0 not in table["place"].tolist()
    )
    tint = compare_tokens.difference_tint(result)
    assert (
        tint.tokens[3].endswith("①")
        and tint.strength[3] == 1.0
        and tint.strongest[3] == compare.WORSE
    )
    assert not compare_tokens.largest(replace(result, second_loss=result.first_loss), 9)
    even = replace(
        result, second=replace(result.second, alpha=np.full_like(result.second.alpha, 0.25))
    )
    assert compare_tokens.token_table(even, 0)["segment_b"].isna().all()


def test_a_context_without_documents_is_not_drawn():
    measured = losses()
    value = measured.other_by_context.copy()
    value[1] = np.nan
    assert (
        len(
            compare.loss_dots(
                replace(measured, other_by_context=value), dark=False
            ).layout.yaxis.ticktext
        )
        == 3
    )


def test_differences_as_bars(tmp_path):
    from cpart_core.runs.folder import Run
    from cpart_core.runs.info import RunInfo
    from cpart_core.settings.run import Settings

    run = Run(tmp_path, RunInfo("a", "a", "2026-01-01T00:00:00+00:00", Settings()), False)
    found = differences(run, run, segments(), losses(), None)
    figure = compare.difference_bars(found, dark=False)
    assert len(figure.data[0].x) == len(found) and len(compare.difference_table(found)) == len(
        found
    )
