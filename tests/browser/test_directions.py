"""Right-to-left text as a browser draws it: from right to left, its letters joined across tokens,
and nothing around it turned."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from app.text.escape import escaped, plain, running_text_html

PERSIAN = [
    "\u0645",
    "\u06cc",
    "\u200c",
    "\u062e\u0648\u0627",
    "\u0647\u0645",
    " 12",
    " \u06a9\u062a\u0627\u0628",
]
"""Cut as byte-level BPE cuts: within words, and a joiner alone."""


@pytest.fixture
def page(browser: Browser):
    page = browser.new_page(viewport={"width": 900, "height": 300})
    yield page
    page.close()


def drawn(page: Page, tokens: list[str]) -> list[dict[str, float]]:
    """The boxes of the tokens."""
    hover = ["card"] * len(tokens)
    page.set_content(
        running_text_html(tokens, list(range(len(tokens))), [1.0] * len(tokens), hover)
    )
    return [token.bounding_box() for token in page.locator(".cp-token").all()]


def test_words_stand_from_right_to_left_and_numbers_within_them(page):
    boxes = drawn(page, PERSIAN)
    places = [box["x"] for box, token in zip(boxes, PERSIAN, strict=True) if token != "\u200c"]
    assert places == sorted(places, reverse=True)
    frame = page.locator(".cp-text").bounding_box()
    assert boxes[0]["x"] + boxes[0]["width"] == pytest.approx(frame["x"] + frame["width"], abs=2), (
        "it begins at the right edge"
    )


def test_left_to_right_text_stays_as_it_was(page):
    boxes = drawn(page, ["one", " two", " 3"])
    assert [box["x"] for box in boxes] == sorted(box["x"] for box in boxes)


def test_letters_join_across_tokens(page):
    """Cut into tokens a word is as wide as whole: each letter has the form that its neighbours ask
    for."""
    cut = drawn(page, PERSIAN[:5])
    width = max(box["x"] + box["width"] for box in cut) - min(box["x"] for box in cut)
    whole = drawn(page, ["".join(PERSIAN[:5])])[0]["width"]
    assert width == pytest.approx(whole, abs=1.5)


def test_a_token_without_width_can_be_pointed_at(page):
    drawn(page, PERSIAN)
    thin = page.locator(".cp-thin")
    box = thin.bounding_box()
    page.mouse.move(box["x"], box["y"] + box["height"] / 2)
    assert thin.locator(".cp-card").is_visible()


def test_a_hostile_name_turns_nothing_beside_it(page):
    """Overrides are squares, and right-to-left letters are isolated: what stands after a name stays
    after it."""
    for name in ("\u05d0\u05d1", "\u202e\u05d0 abc", "abc\u202edef"):
        page.set_content(
            f"<p><span id=a>run {escaped(name)}</span> <b id=b>step 600</b> <i id=c>of 700</i></p>"
        )
        assert "\u202e" not in plain(name)
        b, c = (page.locator(f"#{place}").bounding_box()["x"] for place in "bc")
        a = page.locator("#a").bounding_box()
        assert a["x"] + a["width"] <= b + 6 and b < c
