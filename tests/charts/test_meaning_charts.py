"""The pictures of the meter show every number beside its chance, and the words follow from the
intervals alone."""

from __future__ import annotations

import numpy as np
import pytest

from app.charts.segments.informations import (
    informations_figure,
    informations_table,
    stability_figure,
    stability_table,
)
from app.charts.segments.over_time import saturation_figure, saturation_table, settled_step
from app.charts.segments.pairs import pair_ratio, pairs_figure, pairs_table
from cpart_core.analysis.segments.verdict import (
    ANCHORS,
    against,
    caveats,
    stability_verdict,
    verdict,
)
from cpart_core.records.change import Saturation
from tests.charts.made import LAYERS, SEGMENTS
from tests.charts.made_meaning import specialization, stability

HOLLOW = ("circle-open", "square-open", "diamond-open")
ANYWHERE = pytest.mark.parametrize("dark", [False, True])


@ANYWHERE
def test_every_point_has_an_interval_a_chance_and_the_anchors_beside_it(dark):
    result = specialization()
    figure = informations_figure(result, result.choice, dark=dark)
    points = [trace for trace in figure.data if trace.error_y.array is not None]
    bars = [trace for trace in figure.data if trace.type == "bar"]
    hollow = [
        trace
        for trace in figure.data
        if trace.type == "scatter" and str(trace.marker.symbol) in HOLLOW
    ]
    assert len(points) == len(bars) == len(hollow) == 3
    for point, bar in zip(points, bars, strict=True):
        np.testing.assert_allclose(point.x, bar.x)
        assert len(point.x) == LAYERS + 1
    assert [list(trace.y) for trace in hollow] == [[0.50, 0.009], [1.31, 0.53], [0.52, 0.15]]
    table = informations_table(result)
    assert len(table) == 2 * 3 * (LAYERS + 1) + 3 * len(ANCHORS) and {
        "low",
        "high",
        "null_mean",
        "null_high",
    } <= set(table.columns)


def test_the_verdict_follows_from_interval_and_chance():
    said = {kind: verdict(result, result.choice) for kind, result in (
        ("both", specialization()),
        ("words", specialization(given=0.2)),
        ("none", specialization(context=0.28)),
    )}  # fmt: skip
    assert (
        "beyond chance in all 2 layers" in said["both"]
        and "not only the words" in said["both"]
        and "0.90 of at most 1.00" in said["both"]
    )
    assert "beyond chance in all 2 layers" in said["words"] and "only follow words" in said["words"]
    assert said["none"] == "Segments do not tell contexts apart beyond chance in any layer."
    assert "fewer than 5 validation documents" in caveats(specialization(), False, False)[0]
    assert (
        len(caveats(specialization(), True, False)) == 2
        and "told the true" in caveats(specialization(), False, True)[0]
    )


def test_a_control_is_told_from_the_run_only_where_intervals_do_not_touch():
    ours = specialization(0.9).choice
    assert "0.90 bits (0.80 to 1.00) are more than the random twin's 0.60" in against(
        ours, specialization(0.6).choice, "random twin"
    )
    assert "not to be told from" in against(ours, specialization(0.75).choice, "random twin")
    assert "less than" in against(ours, specialization(1.2).choice, "random twin")


@ANYWHERE
def test_pairs_are_said_in_times_chance(dark):
    result = specialization()
    assert pair_ratio(result)[0, 0, 1] == pytest.approx(3.0) and pair_ratio(result)[
        0, 2, 3
    ] == pytest.approx(1.0)
    figure = pairs_figure(result, 1, dark=dark)
    assert figure.data[0].text[0][0] == "" and figure.data[0].text[0][1] == "3.0"
    assert len(pairs_table(result)) == LAYERS * SEGMENTS * (SEGMENTS - 1) // 2


@ANYWHERE
def test_saturation_has_a_line_a_layer_and_says_when_it_settled(dark):
    agreement = np.array([[0.3, 0.4], [0.95, 0.97], [0.8, 0.85], [0.96, 0.94], [1.0, 1.0]])
    found = Saturation((10, 20, 30, 40, 50), agreement, agreement, agreement)
    assert settled_step(found) == 40
    assert (
        settled_step(Saturation((10, 50), agreement[[0, 4]], agreement[[0, 4]], agreement[[0, 4]]))
        is None
    )
    assert (
        len(saturation_figure(found, dark=dark).data) == 3 * 2
        and len(saturation_table(found)) == 10
    )


@ANYWHERE
def test_seeds_stand_on_chance(dark):
    assert (
        len(stability_figure(stability(), dark=dark).data) == 3
        and len(stability_table(stability())) == LAYERS + 1
    )
    assert "beyond chance in all 2" in stability_verdict(
        stability()
    ) and "do not find" in stability_verdict(stability(0.5))
