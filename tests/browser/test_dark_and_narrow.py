"""Every page in the dark and on a telephone's width: nothing runs out of the window, and axe finds nothing serious."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

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
        f"{item['id']} ({item['impact']}): {item['help']} at {item['nodes'][0]['target']}: {item['nodes'][0]['html'][:200]}"
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
