"""Somebody opens CPart for the first time: the sample is there at once, and nothing is fetched from
elsewhere."""

from __future__ import annotations

import time

import pytest

from tests.browser.pages import NAMES, TITLES, wait_until_drawn


def test_the_first_screen_says_what_it_is_and_shows_the_sample(visit):
    visit().open()  # the first session of a server compiles and imports: the goal is for a warm one
    seen = visit()
    began = time.monotonic()
    seen.page.goto(seen.address, wait_until="commit")
    seen.page.locator("h1").first.wait_for()
    first_paint = time.monotonic() - began
    seen.settle()
    print(f"first paint: {first_paint:.2f} s")
    assert first_paint < 5, (
        "the goal is 1 s on a warm server; five times that on a busy machine is a fault"
    )
    seen.shows("sample")
    assert (
        seen.button("train").is_visible()
        or seen.page.get_by_role("link", name="Train").first.is_visible()
    )
    seen.picture("first-visit")
    seen.no_harm()


@pytest.mark.parametrize("name", NAMES)
def test_every_page_shows_the_sample(visit, name):
    seen = visit().open()
    if name != "home":
        seen.go(TITLES[name])
    wait_until_drawn(seen, name)
    seen.picture(f"page-{name}")
    seen.no_harm()
