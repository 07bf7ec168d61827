"""Laws of the Gradients charts: points keep their identity, a selection greys and never hides, one
frame for all steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.charts.gradients import documents as gradients_documents
from app.charts.gradients import neighbours as gradients_neighbours
from app.charts.gradients import signature_map as gradients_map
from tests.charts import made


def drawn(figure):
    """(layer, neuron) -> (x, y) of everything on the figure."""
    return {
        tuple(int(number) for number in who): (float(x), float(y))
        for trace in figure.data
        if trace.customdata is not None
        for who, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


@pytest.mark.parametrize("colouring", gradients_map.COLOURINGS)
def test_every_neuron_is_drawn_where_the_result_puts_it_whatever_the_colour(colouring):
    result = made.neuron_map()
    figure = gradients_map.neuron_map(result, 100, colouring, dark=False)
    wanted = {
        (int(a), int(b)): tuple(map(float, p))
        for a, b, p in zip(result.layer, result.neuron, result.position[1], strict=True)
    }
    assert drawn(figure) == wanted


def test_permuting_segments_changes_only_colour_symbol_and_name():
    result = made.neuron_map()
    other = replace(result, segment=np.array([3, 1, 0, 2], np.int16)[result.segment])
    one, two = (gradients_map.neuron_map(r, 50, "segment", dark=True) for r in (result, other))
    assert drawn(one) == drawn(two) and one.layout.xaxis.range == two.layout.xaxis.range
    assert {t.marker.color for t in one.data} == {t.marker.color for t in two.data}


def test_all_steps_share_one_frame():
    result = made.neuron_map()
    one, two = (
        gradients_map.neuron_map(result, step, "layer", dark=False) for step in result.steps
    )
    assert (
        one.layout.xaxis.range == two.layout.xaxis.range
        and one.layout.yaxis.range == two.layout.yaxis.range
    )


def test_a_selection_greys_the_rest_and_hides_nothing():
    chosen = {(0, 1), (1, 5), (7, 7)}
    figure = gradients_map.neuron_map(
        made.neuron_map(), 100, "segment", selected=chosen, trails=True, dark=False
    )
    points = [t for t in figure.data if t.customdata is not None]
    picked = {
        tuple(int(n) for n in t.customdata[place]) for t in points for place in t.selectedpoints
    }
    assert picked == {(0, 1), (1, 5)} and len(drawn(figure)) == made.LAYERS * made.NEURONS
    assert all(
        t.selectedpoints is None
        for t in gradients_map.neuron_map(made.neuron_map(), 100, "segment", dark=False).data
    )


def test_webgl_only_above_the_limit():
    few, many = made.neuron_map(), made.neuron_map(points=gradients_map.MOST_SVG_POINTS + 2)
    assert {t.type for t in gradients_map.neuron_map(few, 50, "segment", dark=False).data} == {
        "scatter"
    }
    assert {t.type for t in gradients_map.neuron_map(many, 50, "segment", dark=False).data} == {
        "scattergl"
    }


def test_tables_are_the_arrays():
    result, documents = made.neuron_map(), made.document_map()
    table = gradients_map.neuron_table(result, 50)
    assert (table[["x", "y"]].to_numpy() == result.position[0]).all() and (
        table["segment"] == result.segment[0]
    ).all()
    table = gradients_documents.document_table(documents)
    assert (table["loss"] == documents.loss).all() and (
        table["segment_in_layer_1"] == documents.strongest_segment[1]
    ).all()
    assert table["excerpt"].tolist() == list(documents.excerpt)


@pytest.mark.parametrize("colouring", gradients_documents.COLOURINGS)
def test_documents_are_all_drawn_and_their_words_are_harmless(colouring):
    figure = gradients_documents.document_map(made.document_map(), colouring, 1, dark=False)
    assert sorted(int(n) for t in figure.data for n in t.customdata) == list(range(30))
    assert "<a " not in str(figure.to_plotly_json())


def test_typical_tokens_and_hostile_names_in_the_hover():
    typical = [[("=", made.HOSTILE)] * made.NEURONS] * made.LAYERS
    figure = gradients_map.neuron_map(
        made.neuron_map(), 100, "strongest context", typical=typical, dark=False
    )
    assert "typical: ‘=’" in figure.data[0].text[0] and "<a " not in str(figure.to_plotly_json())


def test_neighbours_are_the_neurons_with_the_same_profile():
    snapshot = made.snapshot()
    near = gradients_neighbours.nearest(snapshot, 0, 0, 5)
    kind = snapshot.segment_of[0, 0] % 3
    assert all(snapshot.segment_of[0, neuron] % 3 == kind for neuron, _ in near) and 0 not in [
        neuron for neuron, _ in near
    ]
    assert [c for _, c in near] == sorted((c for _, c in near), reverse=True)
    twice = replace(snapshot, signature=snapshot.signature * np.float16(0.5))
    assert [neuron for neuron, _ in gradients_neighbours.nearest(twice, 0, 0, 5)] == [
        neuron for neuron, _ in near
    ]
    with pytest.raises(ValueError, match="0 to 23"):
        gradients_neighbours.nearest(snapshot, 0, 24, 5)


def test_the_list_of_a_selection_says_what_the_snapshot_says_and_passes_over_strangers():
    snapshot = made.snapshot()
    table = gradients_neighbours.listed(snapshot, made.CONTEXTS, {(1, 4), (0, 2), (5, 5)})
    assert table[["layer", "neuron"]].to_numpy().tolist() == [[0, 2], [1, 4]]
    assert table["segment"].tolist() == [
        str(snapshot.segment_of[0, 2]),
        str(snapshot.segment_of[1, 4]),
    ]
    assert gradients_neighbours.listed(snapshot, made.CONTEXTS, set()).empty
