"""Laws of the Segments charts: what is drawn and what is exported is the array, and numbering
segments anew changes colours alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.charts.segments import by_context as segments_fusion
from app.charts.segments import change as segments_change
from app.charts.segments import layer_map as segments_map
from app.charts.segments import life as segments_life
from app.text.palette import context_colour, segment_colour
from cpart_core.records.change import Flow
from tests.charts import made

FLAT = {"selected": (), "dark": False}


def drawn_segments(figure):
    """[L, N] the segment drawn for each neuron, whatever the order on the picture."""
    neuron, segment = np.moveaxis(np.asarray(figure.data[0].customdata), 2, 0)
    out = np.empty_like(segment)
    np.put_along_axis(out, neuron, segment, axis=1)
    return out


def painted(figure):
    """[L, N] the colour of each cell."""
    heat = figure.data[0]
    bands = np.array([colour for _, colour in heat.colorscale[::2]])
    return bands[(np.asarray(heat.z) - heat.zmin).astype(int)]


def named(figure):
    """[L, N] what the colour bar calls each cell's colour; the bar's names lie from the last below
    to the first above."""
    bar = figure.data[0].colorbar
    assert list(bar.tickvals) == sorted(bar.tickvals, reverse=True)
    return np.vectorize(dict(zip(bar.tickvals, bar.ticktext, strict=True)).get)(
        np.asarray(figure.data[0].z)
    )


@pytest.mark.parametrize("order", ["neuron", "segment"])
def test_every_neuron_is_drawn_once_with_its_own_segment(order):
    snapshot = made.snapshot()
    figure = segments_map.segment_map(
        snapshot, made.CONTEXTS, order=order, colour="segment", **FLAT
    )
    assert (drawn_segments(figure) == snapshot.segment_of).all()
    neurons, segment = np.moveaxis(np.asarray(figure.data[0].customdata), 2, 0)
    assert (named(figure) == segment.astype(str)).all() and (
        painted(figure) == np.vectorize(segment_colour)(segment)
    ).all()
    by_context = segments_map.segment_map(
        snapshot, made.CONTEXTS, order=order, colour="context", **FLAT
    )
    context = np.take_along_axis(segments_map.strongest_context(snapshot), neurons, axis=1)
    names = np.array(by_context.data[0].colorbar.ticktext)
    assert (named(by_context) == names[context]).all() and (
        painted(by_context) == np.vectorize(context_colour)(context)
    ).all()


def test_permuting_segments_changes_the_colours_and_nothing_else():
    snapshot = made.snapshot()
    new_number = np.array([2, 0, 3, 1], dtype=np.int16)
    other = replace(snapshot, segment_of=new_number[snapshot.segment_of])
    one, two = (
        segments_map.segment_map(s, made.CONTEXTS, order="neuron", colour="segment", **FLAT)
        for s in (snapshot, other)
    )
    assert (new_number[named(one).astype(int)] == named(two).astype(int)).all()
    assert (
        one.data[0].colorscale == two.data[0].colorscale
        and (one.data[0].text == two.data[0].text).all()
    )
    by_context = [
        segments_map.segment_map(s, made.CONTEXTS, order="neuron", colour="context", **FLAT)
        for s in (snapshot, other)
    ]
    assert (np.asarray(by_context[0].data[0].z) == np.asarray(by_context[1].data[0].z)).all()


def test_strongest_context_is_the_planted_one():
    snapshot = made.snapshot()
    assert (segments_map.strongest_context(snapshot) == snapshot.segment_of % 3).all()
    silent = replace(snapshot, signature=np.zeros_like(snapshot.signature))
    assert (segments_map.strongest_context(silent) == -1).all()


@pytest.mark.parametrize("order", ["neuron", "segment"])
def test_a_selection_leaves_exactly_the_selected_uncovered(order):
    chosen = {(0, 3), (1, 20), (9, 9)}
    figure = segments_map.segment_map(
        made.snapshot(), made.CONTEXTS, order=order, colour="segment", selected=chosen, dark=True
    )
    bare = np.argwhere(np.isnan(np.asarray(figure.data[1].z)))
    neurons = np.asarray(figure.data[0].customdata)[..., 0]
    assert {(int(layer), int(neurons[layer, place])) for layer, place in bare} == {(0, 3), (1, 20)}


def test_shared_neurons_are_named_shared():
    snapshot = made.snapshot()
    snapshot.segment_of[:, :4] = -1
    figure = segments_map.segment_map(
        snapshot, made.CONTEXTS, order="segment", colour="segment", **FLAT
    )
    assert figure.data[0].colorbar.ticktext[0] == "shared" and figure.data[0].zmin == -1.5


def test_map_table_is_the_snapshot():
    snapshot = made.snapshot()
    table = segments_map.segment_map_table(snapshot, made.CONTEXTS)
    assert (
        table["segment"].to_numpy().reshape(snapshot.segment_of.shape) == snapshot.segment_of
    ).all()


def flows():
    partitions = [made.snapshot(step, seed=step).segment_of for step in (100, 200, 300)]
    moved = []
    for before, after in zip(partitions, partitions[1:], strict=False):
        count = np.zeros((made.LAYERS, made.SEGMENTS, made.SEGMENTS), dtype=np.int64)
        for layer in range(made.LAYERS):
            np.add.at(count[layer], (before[layer], after[layer]), 1)
        moved.append(count)
    return [
        Flow(100 * n, 100 * (n + 1), m, 1 - np.trace(m, axis1=1, axis2=2) / made.NEURONS)
        for n, m in enumerate(moved, start=1)
    ]


def test_the_river_carries_every_neuron_through_every_column():
    river = segments_change.flow_river(flows(), 1, dark=False).data[0]
    source, value = np.asarray(river.link.source), np.asarray(river.link.value)
    for column in (0, 1):
        assert value[source // made.SEGMENTS == column].sum() == made.NEURONS


def test_tables_of_change_are_the_flows():
    given = flows()
    table = segments_change.flow_table(given)
    for flow in given:
        rebuilt = np.zeros_like(flow.moved)
        rows = table[table["from_step"] == flow.from_step]
        rebuilt[rows["layer"], rows["from_segment"], rows["to_segment"]] = rows["neurons"]
        assert (rebuilt == flow.moved).all()
    assert (
        segments_change.churn_table(given)["churn"].tolist()
        == np.concatenate([flow.churn for flow in given]).tolist()
    )
    churn = segments_change.churn_figure(given, dark=True)
    np.testing.assert_allclose(
        [line.y for line in churn.data], 100 * np.array([flow.churn for flow in given]).T
    )
    assert (
        np.asarray(segments_change.flow_matrix(given[0], 1, dark=False).data[0].z)
        == given[0].moved[1]
    ).all()


def test_context_heat_and_its_table_are_the_array_with_its_n():
    snapshot = made.snapshot()
    figure = segments_fusion.context_heat(
        snapshot.fusion_mass,
        snapshot.fusion_tokens,
        made.CONTEXTS,
        [1],
        segments_fusion.MASS,
        dark=False,
    )
    assert np.allclose(np.asarray(figure.data[0].z), snapshot.fusion_mass[1])
    assert [row[0][2] for row in figure.data[0].customdata] == [1000, 2000, 3000]
    table = segments_fusion.context_table(
        snapshot.fusion_mass, snapshot.fusion_tokens, made.CONTEXTS, segments_fusion.MASS
    )
    assert (
        table["mass"].to_numpy().reshape(snapshot.fusion_mass.shape) == snapshot.fusion_mass
    ).all()
    assert set(table.loc[table["context"] == "prose", "n"]) == {2000}


def test_no_markup_of_a_context_name_reaches_a_figure():
    snapshot = made.snapshot()
    figures = [
        segments_fusion.context_heat(
            snapshot.fusion_mass,
            snapshot.fusion_tokens,
            made.CONTEXTS,
            [0, 1],
            segments_fusion.MASS,
            dark=False,
        ),
        segments_map.segment_map(snapshot, made.CONTEXTS, order="neuron", colour="context", **FLAT),
        segments_life.segment_contexts(
            snapshot.fusion_mass[0, :, 0], snapshot.fusion_tokens, made.CONTEXTS, 4, dark=False
        ),
    ]
    for figure in figures:
        assert "<a " not in str(figure.to_plotly_json())


def test_a_segment_forms_at_the_first_step_from_which_it_keeps_its_neurons():
    final = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]])
    early = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]])
    lost = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 1, 1]])
    nearly = np.array([[0, 0, 0, 0, 1, 0, 1, 1, 1, 1]])
    steps = [10, 20, 30, 40]
    share = segments_life.kept_share([early, lost, nearly, final], 0, 0)
    assert share.tolist() == [1.0, 0.4, 0.8, 1.0]
    assert segments_life.formed_step(steps, share) == 30
    assert (
        segments_life.formed_step(
            steps, segments_life.kept_share([early, lost, nearly, final], 0, 5)
        )
        is None
    )
    assert (
        segments_life.life_table(steps, share)["share_of_final_neurons"].tolist() == share.tolist()
    )


def test_a_scale_of_flat_steps_ends_at_one():
    """plotly replaces any other scale by its default, without a word."""
    for count in range(1, 65):
        places = [place for place, _ in segments_map.bands(["#000000"] * count)]
        assert places[0] == 0 and places[-1] == 1 and places == sorted(places)
