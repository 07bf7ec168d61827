"""Figures in the browser: one toolbar that sends nothing, pictures and tables that say where they
are from, a place that keeps its height."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from playwright.sync_api import expect

from cpart_core import __version__
from tests.browser.pages import wait_until_drawn
from tests.browser.trained import TINY, train
from tests.browser.visit import Visit

SAVE = ["Save as SVG", "Save as PNG", "Full screen"]
MOVE = ["Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"]
SELECT = ["Lasso Select", "Box Select"]
SHOWING = ("train", "segments", "gradients", "fusion", "claims", "speed")
PLACE = "box => [box.getBoundingClientRect().top, box.getBoundingClientRect().bottom]"


@pytest.fixture(scope="module")
def run_id(server):
    return train(server.runs_root, "figures", "Figures", {"--seed": 3})


def show(visit, run_id: str, name: str, **options: int) -> Visit:
    seen = visit(**options).open(f"/{name}?run={run_id}")
    wait_until_drawn(seen, name)
    seen.figures().first.locator(".modebar-btn").first.wait_for(state="attached")
    return seen


def test_a_journey_stays_on_this_machine_and_every_figure_has_the_one_toolbar(visit, run_id):
    """All pages with figures, every button of a figure pressed: nothing is asked of anyone else,
    and no window opens."""
    seen = visit().open(f"/train?run={run_id}")
    found = {}
    for name in SHOWING:
        if name != "train":
            seen.go(name.title())
        wait_until_drawn(seen, name)
        seen.figures().first.locator(".modebar-btn").first.wait_for(state="attached")
        for figure in seen.figures().all():
            figure.scroll_into_view_if_needed()
            figure.locator(".modebar-btn").first.wait_for(state="attached")
            found.setdefault(name, []).append(
                figure.evaluate(
                    "box => [...box.querySelectorAll('.modebar-btn')].map(one => one.dataset.title)"
                )
            )
            sends = figure.evaluate(
                "box => [box._context.showSendToCloud, box._context.plotlyServerURL,"
                " box._context.displaylogo]"
            )
            assert sends == [False, "", False]
            assert not figure.locator(".modebar a[href]").count()
    assert set(found) == set(SHOWING)
    assert {tuple(titles) for of_page in found.values() for titles in of_page} == {
        (*SAVE, *MOVE),
        (*SAVE, *SELECT, *MOVE),
    }
    figure = seen.figures().first
    for button in figure.locator(".modebar-btn").all():
        figure.hover()
        button.click()
        seen.page.wait_for_timeout(300)
        seen.page.evaluate("document.fullscreenElement && document.exitFullscreen()")
    seen.no_harm()
    assert seen.requests and all(
        re.match(r"[A-Z]+ (http|ws)://127\.0\.0\.1:\d+/", request) for request in seen.requests
    )
    assert len(seen.context.pages) == 1, "a window was opened"
    print(f"{len(seen.requests)} requests over {len(SHOWING)} pages, all of {seen.address}")


def test_saved_pictures_and_tables_say_where_they_are_from(visit, run_id):
    seen = show(visit, run_id, "segments")
    fields = {
        "source_run": run_id,
        "source_step": TINY["--steps"],
        "source_training_seed": 3,
        "source_cpart_version": __version__,
    }
    stem = f"segments_map-{run_id}-step{TINY['--steps']}-seed3"
    svg, png = saved(seen, "Save as SVG"), saved(seen, "Save as PNG")
    assert svg.name == f"{stem}.svg" and png.name == f"{stem}.png"
    drawing = ElementTree.parse(svg).getroot()
    told = {child.tag.rpartition("}")[2]: child.text for child in drawing if child.text}
    assert (
        fields.items() <= json.loads(told["metadata"]).items()
        and "Map of 2 layers" in told["title"]
    )
    printed = " ".join(
        text.text or "" for text in drawing.findall("{http://www.w3.org/2000/svg}text")
    )
    assert (
        printed == told["desc"]
        and f"Figures ({run_id})" in printed
        and "step 40" in printed
        and "n = " in printed
        and "seed 3" in printed
    )
    chunks = text_chunks(png.read_bytes())
    assert (
        fields.items() <= json.loads(chunks["Source"]).items() and chunks["Description"] == printed
    )
    seen.page.get_by_role("button", name="Data").first.click()
    with seen.page.expect_download() as taken:
        seen.page.get_by_role("button", name="Data as CSV").click()
    seen.page.get_by_test_id("stDataFrame").last.hover()
    expect(seen.page.get_by_role("button", name=re.compile("^Search")).last).to_be_visible()
    assert not seen.page.get_by_role("button", name=re.compile("^Download as CSV")).count(), (
        "a CSV that escapes nothing"
    )
    table = pd.read_csv(taken.value.path())
    assert taken.value.suggested_filename == f"{stem}.csv"
    assert len(table) == 2 * 72 and all(
        (table[name] == value).all() for name, value in fields.items()
    )
    seen.no_harm()


def saved(seen: Visit, button: str) -> Path:
    """What a button of the first figure's toolbar saves, under its own name."""
    figure = seen.figures().first
    figure.hover()
    with seen.page.expect_download() as taken:
        figure.locator(f'.modebar-btn[data-title="{button}"]').click()
    path = seen.pictures / taken.value.suggested_filename
    taken.value.save_as(path)
    return path


def text_chunks(png: bytes) -> dict[str, str]:
    """iTXt chunks of a PNG: keyword -> text. Every chunk's checksum is checked."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kind, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack(">I", png[place + 8 + length : place + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        if kind == b"iTXt":
            keyword, _, rest = body.partition(b"\0")
            found[keyword.decode()] = rest[4:].decode()
        place += 12 + length
    return found


def test_neurons_are_chosen_by_lasso_and_cleared_by_a_double_click(visit, run_id):
    seen = show(visit, run_id, "gradients")
    seen.page.get_by_text("PCA", exact=True).first.click()
    seen.settle()
    place = seen.figures().first.locator(".nsewdrag").bounding_box()
    assert place
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.05)]
    points = [
        (place["x"] + x * place["width"], place["y"] + y * place["height"]) for x, y in corners
    ]
    seen.page.mouse.move(*points[0])
    seen.page.mouse.down()
    for point in points[1:]:
        seen.page.mouse.move(*point, steps=5)
    seen.page.mouse.up()
    seen.shows(r"\d+ neurons selected")
    seen.settle()
    spot = (place["x"] + 0.9 * place["width"], place["y"] + 0.9 * place["height"])

    def cleared() -> bool:  # on a busy machine two clicks may lie too far apart to be a double one
        seen.page.mouse.dblclick(*spot)
        seen.page.wait_for_timeout(1500)
        return "neurons selected" not in seen.text()

    seen.until(cleared, "a double click clears the selection")
    seen.no_harm()


def test_slider_and_map_share_the_first_screen_and_the_map_keeps_its_place(visit, run_id):
    """plotly.js is held back: the place of the map is there before the map, and nothing moves when
    it comes."""
    seen = visit(width=1366, height=768)
    held = []
    seen.page.route("**/plotly.min.js", lambda route: held.append(route))
    seen.open(f"/gradients?run={run_id}")
    box = seen.page.locator(".cpart-live").first
    box.wait_for()
    seen.until(lambda: held != [], "plotly.js is asked for")
    seen.settle()
    top, bottom = before = box.evaluate(PLACE)
    slider = seen.page.get_by_role("slider", name="Step").bounding_box()
    assert slider and 0 < slider["y"] < top and bottom <= 768
    for route in held:
        route.continue_()
    seen.figures().first.locator(".scatterlayer").first.wait_for(state="attached")
    seen.settle()
    assert box.evaluate(PLACE) == pytest.approx(before, abs=2)
    seen.picture("gradients-1366")
    seen.no_harm()
