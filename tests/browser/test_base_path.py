"""Served below a path behind a proxy that lets nothing else through: pages, live figures and
uploads work."""

from __future__ import annotations

import pytest

from cpart_core.bench.harness.app_server import AppServer
from tests.browser.proxy import lets_through
from tests.browser.visit import BASE_PATH_PROBE, Visit

PATH = "/lab"
OURS = "fetch(new URL('./api/healthz', document.baseURI)).then(answer => answer.status)"


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxied")
    with (
        AppServer(folder / "runs", folder / "server.log", base_path=PATH) as server,
        lets_through(PATH, server.port) as (address, refused),
    ):
        yield f"{address}{PATH}", refused


def test_pages_live_figures_and_uploads_work_behind_a_proxy(
    browser, pictures, behind_proxy, tmp_path
):
    address, refused = behind_proxy
    seen = Visit(browser.new_context(viewport={"width": 1280, "height": 900}), address, pictures)
    seen.open("/segments")
    seen.figures().first.wait_for()
    # the page's address changes without a new page
    for title, heading in (("Home", "See a language model"), ("Gradients", "Gradients")):
        seen.page.get_by_test_id("stTopNavLink").filter(has_text=title).first.click()
        seen.page.get_by_role("heading", name=heading, level=1).first.wait_for()
        seen.settle()
        assert seen.page.evaluate(OURS) == 200, seen.page.url
    seen.figures().first.wait_for()
    seen.page.get_by_test_id("stTopNavLink").filter(has_text="Train").first.click()
    seen.page.get_by_text("Upload", exact=False).first.click()
    text = tmp_path / "tides.txt"
    text.write_text(
        "\n\n".join(
            f"On day {day} the tide came in {day % 7} times, and went out again."
            for day in range(600)
        )
    )
    seen.page.locator('input[type="file"]').first.set_input_files(text)
    seen.shows(r"tokens to train on|held out")
    outside = [path for path in refused if not BASE_PATH_PROBE.search(path)]
    assert not outside, f"asked outside {PATH}: {outside}"
    assert any(url.endswith(f"{PATH}/api/plotly.min.js") for url in seen.requests)
    seen.no_harm()
    seen.context.close()
