"""Every page in the dark and on a telephone's width: nothing runs out of the window, and axe finds
nothing serious."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.pages import NAMES, address, wait_until_drawn
from tests.browser.trained import train

SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def run_id(server):
    return train(server.runs_root, "looks", "Looks")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(visit, run_id, name, scheme):
    seen = visit(color_scheme=scheme).open(f"{address(name)}?run={run_id}")
    wait_until_drawn(seen, name)
    seen.picture(f"{name}-{scheme}")
    found = [
        f"{item['id']} ({item['impact']}): {item['help']} at {item['nodes'][0]['target']}:"
        f" {item['nodes'][0]['html'][:200]}"
        for item in Axe().run(seen.page).response["violations"]
        if item["impact"] in SERIOUS
    ]
    assert not found, "\n".join(found)
    seen.no_harm()


@pytest.mark.parametrize("name", NAMES)
def test_a_telephone_shows_all_of_it(visit, run_id, name):
    seen = visit(width=390, height=844, color_scheme="dark").open(f"{address(name)}?run={run_id}")
    wait_until_drawn(seen, name)
    seen.picture(f"{name}-narrow-dark")
    seen.nothing_overflows()
    seen.no_harm()


@pytest.mark.parametrize(
    ("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(15, 19, 25)")]
)
def test_the_first_paint_has_the_colour_of_the_page(visit, run_id, scheme, background):
    """Before any code of Streamlit's runs: it is held back here."""
    seen = visit(color_scheme=scheme)
    seen.page.route("**/static/js/**", lambda route: None)
    seen.page.goto(seen.address, wait_until="commit")
    seen.page.locator("noscript").wait_for(state="attached")
    assert (
        seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        == background
    )


def test_the_page_that_is_open_is_marked_among_the_tabs(visit, run_id):
    """Or the menu that hides its tab, where the window is too narrow for all."""
    seen = visit(width=1366, height=768).open(f"/claims?run={run_id}")
    tab = seen.page.locator('[data-testid="stTopNavLink"][aria-current="page"]')
    menu = seen.page.get_by_test_id("stTopNavSection")
    expect(menu).not_to_be_visible()
    assert "Claims" in tab.inner_text()
    for width in (1024, 800):
        seen.page.set_viewport_size({"width": width, "height": 768})
        expect(menu).to_be_visible()
        hidden = tab.evaluate("link => Boolean(link.closest('[aria-hidden=true]'))")
        if hidden:
            expect(menu).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
        else:
            expect(menu).to_have_css("background-color", "rgba(0, 0, 0, 0)")
        seen.picture(f"tabs-{width}")
    assert hidden, "800 pixels have no room for all"
