"""Models beside each other in a real browser: a comparison that can be sent and swapped,
continuations, and a vote that is blind until it is cast."""

from __future__ import annotations

import pytest

from tests.browser.trained import train

READ = r"nats over \d+ (tokens|pieces)"
SLOW = 120.0
"""Seconds: a worker loads both models and reads or writes with them, on two busy cores; waiting
ends as soon as it is there."""


@pytest.fixture(scope="module")
def one(server):
    """A run with its dense twin."""
    return train(server.runs_root, "one", "One", {"--twins": "dense"})


@pytest.fixture(scope="module")
def two(server):
    """Another seed, and other tokens."""
    return train(server.runs_root, "two", "Two", {"--seed": 1, "--vocabulary-size": 400})


def test_a_comparison_can_be_sent_and_swapped(visit, one, two):
    seen = visit().open(f"/compare?run={one}&other={two}&other_step=20")
    seen.page.set_default_timeout(1000 * SLOW)
    seen.shows("2 settings differ", SLOW)
    seen.shows(READ, SLOW)
    seen.shows("into other tokens", SLOW)
    seen.figures().first.wait_for()
    seen.click(seen.button("Swap A and B"))
    seen.until(lambda: seen.address_values().get("run") == two, "A and B should be swapped", SLOW)
    values = seen.address_values()
    assert (values["other"], values["step"], values["other_step"]) == (one, "20", "40")
    seen.no_harm()


def test_a_comparison_that_was_sent_fits_a_telephone(visit, one, two):
    seen = visit(width=390, height=844, color_scheme="dark").open(
        f"/compare?run={two}&step=20&other={one}&other_step=40"
    )
    seen.shows(READ, SLOW)
    seen.picture("comparison-narrow-dark")
    seen.nothing_overflows()
    seen.no_harm()


def test_continuations_stand_side_by_side_and_a_blind_vote_changes_the_tally(visit):
    # the runs made for these tests hold out too few documents to score
    seen = visit().open("/coherence?run=first-light")
    seen.page.set_default_timeout(1000 * SLOW)
    seen.shows("an example, not a finding", SLOW)
    text = seen.text()
    assert "dense" in text and "human text" in text and "random text" in text
    seen.shows("No votes yet", SLOW)
    seen.click(
        seen.page.locator('[data-testid="stButtonGroup"]')
        .filter(has_text="24")
        .get_by_text("8", exact=True)
    )
    seen.click(seen.button("Measure on 8 documents"))
    seen.shows("You see two, drawn by chance", SLOW)
    assert "left was" not in seen.text().lower(), "nobody is named before the vote"
    seen.click(seen.button("Left is better"))
    seen.shows("Your last vote: left was", SLOW)
    seen.shows("n = 1 votes, 1 decided", SLOW)
    seen.picture("coherence-voted")
    seen.nothing_overflows()
    seen.no_harm()
