"""What is chosen on one page is chosen on all, and an address carries it to somebody else."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.trained import train


@pytest.fixture(scope="module")
def run_id(server):
    return train(server.runs_root, "choices", "Choices")


def test_an_address_opens_the_same_view(visit, run_id):
    seen = visit().open(f"/segments?run={run_id}&step=20&layer=1&segment=2")
    seen.shows("step 20")
    seen.go("Fusion")
    carried = seen.address_values()
    assert {**carried, "run": run_id, "step": "20", "layer": "1"} == carried
    somebody_else = visit().open(
        "/fusion?"
        + "&".join(f"{name}={value}" for name, value in carried.items() if name != "text")
    )
    chosen = somebody_else.page.get_by_role("slider", name="Step")
    expect(chosen).to_have_attribute("aria-valuetext", re.compile("20"))
    somebody_else.no_harm()


@pytest.mark.parametrize(
    "query",
    ["run=../../etc", "run=nothing-here", "step=-4&layer=99&segment=1e9", "run=%00&layer=<script>"],
)
def test_a_wrong_address_is_answered_kindly(visit, run_id, query):
    seen = visit().open(f"/segments?{query}")
    seen.figures().first.wait_for()
    seen.no_harm()


def test_a_selection_in_the_map_is_seen_on_other_pages(visit, run_id):
    seen = visit().open(f"/gradients?run={run_id}")
    plot = seen.figures().first
    plot.wait_for()
    plot.scroll_into_view_if_needed()
    plot.locator('[data-attr="dragmode"][data-val="select"]').click(force=True)
    box = plot.locator(".nsewdrag").first.bounding_box()
    seen.page.mouse.move(box["x"] + 4, box["y"] + 4)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=8)
    seen.page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4, steps=8)
    seen.page.mouse.up()
    seen.shows(r"\b\d+ neurons? (are )?selected|selected:? \d+")
    seen.picture("selected-in-the-map")
    seen.go("Segments")
    seen.shows(r"\b\d+ neurons? (are )?selected|selected:? \d+")
    seen.picture("selected-elsewhere")
    seen.no_harm()


def test_a_step_redraws_the_chart_that_is_there(visit, run_id):
    """A new chart at each step would take the browser three times as long, and lose what somebody
    zoomed to."""
    seen = visit().open(f"/segments?run={run_id}")
    plot = seen.figures().first
    plot.wait_for()
    before = plot.evaluate(
        "chart => { chart.querySelector('.main-svg').known = true; return"
        " JSON.stringify(chart.data[0].z); }"
    )
    seen.page.get_by_role("slider", name="Step").press("ArrowLeft")
    seen.until(
        lambda: plot.evaluate("chart => JSON.stringify(chart.data[0].z)") != before,
        "the map should show another step",
    )
    assert plot.evaluate("chart => chart.querySelector('.main-svg').known") is True
    assert seen.address_values()["step"] == "30"
    seen.no_harm()


def test_a_picture_out_of_sight_catches_up_when_it_is_seen(visit, run_id):
    seen = visit(height=420).open(f"/segments?run={run_id}")
    map_of_neurons, contexts = (
        seen.page.locator(".cpart-live").nth(0),
        seen.page.locator(".cpart-live").nth(1),
    )
    values = "chart => JSON.stringify(chart.data[0].z)"
    for chart in (map_of_neurons, contexts):
        chart.locator(".main-svg").first.wait_for()
    above, below = map_of_neurons.evaluate(values), contexts.evaluate(values)
    seen.page.get_by_role("slider", name="Step").press("ArrowLeft")
    seen.until(
        lambda: map_of_neurons.evaluate(values) != above,
        "the map, just below the slider, should show another step",
    )
    assert contexts.evaluate(values) == below, "nobody sees this one"
    contexts.scroll_into_view_if_needed()
    seen.until(
        lambda: contexts.evaluate(values) != below,
        "what comes into sight should show the chosen step",
    )
    seen.page.get_by_role("slider", name="Step").scroll_into_view_if_needed()
    seen.no_harm()
