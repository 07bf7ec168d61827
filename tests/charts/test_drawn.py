"""Figures are drawn from plain data and not checked while a page waits: here plotly checks every
one of them."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from app.charts.gradients import documents as gradients_documents
from app.charts.gradients import signature_map as gradients_map
from app.charts.segments import by_context as segments_fusion
from app.charts.segments import change as segments_change
from app.charts.segments import layer_map as segments_map
from app.charts.segments import over_time as meaning_time
from app.charts.theme import LIGHT, drawn
from cpart_core.analysis.segments.flow import flow
from cpart_core.analysis.segments.saturation import saturation
from tests.charts import made


def every_figure(dark: bool) -> dict[str, go.Figure]:
    snapshots = [made.snapshot(step, seed=step) for step in (100, 200, 300)]
    last, neurons, documents = snapshots[-1], made.neuron_map(), made.document_map()
    flows = [flow(before, after) for before, after in zip(snapshots, snapshots[1:], strict=False)]
    heat = (last.fusion_mass, last.fusion_tokens, made.CONTEXTS, [0, 1])
    figures = {
        f"map {order} {colour}": segments_map.segment_map(
            last, made.CONTEXTS, order=order, colour=colour, selected={(0, 3)}, dark=dark
        )
        for order in ("segment", "neuron")
        for colour in ("segment", "context")
    }
    for colouring in gradients_map.COLOURINGS:
        figures[f"neurons {colouring}"] = gradients_map.neuron_map(
            neurons, 100, colouring, selected={(0, 1)}, trails=True, dark=dark
        )
    for colouring in gradients_documents.COLOURINGS:
        figures[f"documents {colouring}"] = gradients_documents.document_map(
            documents, colouring, 0, dark=dark
        )
    return figures | {
        "many neurons": gradients_map.neuron_map(
            made.neuron_map(points=3000), 100, "segment", dark=dark
        ),
        "heat": segments_fusion.context_heat(*heat, segments_fusion.CHOSEN, dark=dark, marked=1),
        "churn": segments_change.churn_figure(flows, dark=dark),
        "river": segments_change.flow_river(flows, 1, dark=dark),
        "saturation": meaning_time.saturation_figure(saturation(snapshots), dark=dark),
    }


@pytest.mark.parametrize("dark", [False, True])
def test_plotly_accepts_what_is_drawn_and_would_draw_the_same(dark: bool) -> None:
    for name, figure in every_figure(dark).items():
        plain = figure.to_dict()
        checked = go.Figure(plain).to_dict()
        for axis in (part for part in plain["layout"] if part.startswith(("xaxis", "yaxis"))):
            assert plain["layout"][axis] == checked["layout"][axis], (name, axis)
        assert [
            sorted(k for k, v in trace.items() if v is not None) for trace in plain["data"]
        ] == [sorted(trace) for trace in checked["data"]], name


def test_a_layout_of_ones_own_goes_before_the_shared_one() -> None:
    figure = drawn(
        [{"type": "scatter", "y": np.arange(3)}],
        {"margin": {"t": 99}, "xaxis": {"title": {"text": "step"}}},
        dark=False,
    )
    assert figure.layout.margin.t == 99 and figure.layout.margin.l == 8
    assert (
        figure.layout.xaxis.title.text == "step"
        and figure.layout.xaxis.title.font.color == LIGHT.faint
    )
    assert figure.layout.yaxis.gridcolor == LIGHT.grid
