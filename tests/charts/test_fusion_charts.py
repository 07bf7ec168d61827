"""Laws of the Fusion charts: heat map, bars, tints and tables are the trace, and tokens are never
markup."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.charts.fusion import heat as fusion_heat
from app.charts.fusion import tint as fusion_tint
from app.charts.fusion import weight_norms as fusion_weights
from app.text.palette import segment_colour
from tests.charts import made


def test_the_heat_map_is_alpha_row_by_row():
    trace = made.trace()
    z = np.asarray(fusion_heat.fusion_heat(trace, [1, 0], dark=False).data[0].z)
    assert np.allclose(z, np.concatenate([trace.alpha[1].T, trace.alpha[0].T]))


def test_tables_are_the_trace():
    trace = made.trace()
    table = fusion_heat.trace_table(trace)
    for name, field in (("fusion_weight", "alpha"), ("factor", "weight"), ("norm", "norm")):
        assert (table[name].to_numpy().reshape(trace.alpha.shape) == getattr(trace, field)).all()
    assert table["generated"].sum() == made.LAYERS * made.SEGMENTS * 1
    entropy = (
        fusion_heat.entropy_table(trace)["entropy_bits"].to_numpy().reshape(trace.entropy.shape)
    )
    assert (entropy == trace.entropy).all()
    assert (
        np.asarray(fusion_heat.entropy_heat(trace, dark=True).data[0].z)
        == trace.entropy.astype(np.float32)
    ).all()


def test_weight_and_norm_of_one_token_and_of_the_whole_text():
    trace = made.trace()
    one = fusion_weights.weight_and_norm(trace, 1, 2, dark=False)
    assert np.allclose(one.data[0].x, trace.alpha[1, 2]) and np.allclose(
        one.data[1].x, trace.norm[1, 2]
    )
    whole = fusion_weights.weight_table(trace, 0, None)
    assert np.allclose(whole["fusion_weight"], trace.alpha[0].mean(axis=0)) and np.allclose(
        whole["norm"], trace.norm[0].mean(axis=0)
    )


def test_a_shared_segment_gets_a_bar_of_its_own():
    trace = made.trace()
    table = fusion_weights.weight_table(
        replace(trace, shared_norm=np.ones_like(trace.shared_norm)), 0, None
    )
    assert table["segment"].tolist() == [0, 1, 2, 3, -1] and table["norm"].iloc[-1] == 1.0


def test_tint_is_the_strongest_segment_and_permutes_with_the_segments():
    trace = made.trace()
    order = np.array([2, 0, 3, 1])
    place = np.argsort(order)
    other = replace(
        trace,
        alpha=trace.alpha[..., order],
        weight=trace.weight[..., order],
        norm=trace.norm[..., order],
    )
    one, two = fusion_tint.by_segment(trace, 0, 1.0), fusion_tint.by_segment(other, 0, 1.0)
    assert one.strength == two.strength and [place[s] for s in one.strongest] == two.strongest
    bars = fusion_weights.weight_and_norm(trace, 0, None, dark=False).data[0].marker.color
    assert list(bars) == [segment_colour(s) for s in range(made.SEGMENTS)]


def test_the_card_of_a_token_lists_every_weight():
    trace = made.trace()
    card = fusion_tint.by_segment(trace, 1, 1.0).hover[2]
    assert all(f"{value:.3f}" in card for value in trace.alpha[1, 2])
    assert "not predicted" in fusion_tint.by_segment(trace, 1, 1.0).hover[0]


def test_loss_tint_is_fullest_where_the_model_was_most_surprised():
    trace = made.trace()
    tint = fusion_tint.by_loss(trace, 0)
    assert (
        int(np.argmax(tint.strength)) == int(np.nanargmax(trace.loss)) and tint.strength[0] == 0.0
    )


def test_tokens_are_never_markup():
    trace = made.trace()
    for figure in (
        fusion_heat.fusion_heat(trace, [0, 1], dark=False),
        fusion_heat.entropy_heat(trace, dark=False),
    ):
        assert "<a " not in str(figure.to_plotly_json())
