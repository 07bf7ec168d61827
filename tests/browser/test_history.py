"""One page is one entry of the browser's history: Back leads to the page before, with what was
chosen there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.trained import train


@pytest.fixture(scope="module")
def run_id(server):
    return train(server.runs_root, "history", "History")


def entries(seen) -> int:
    return int(seen.page.evaluate("history.length"))


def test_one_page_change_is_one_entry_and_back_works_once(visit, run_id):
    seen = visit().open(f"/?run={run_id}")
    seen.until(
        lambda: seen.address_values().get("run") == run_id, "the run should be in the address"
    )
    before = entries(seen)
    pages = ("Train", "Segments", "Gradients", "Fusion", "Compare")
    for title in pages:
        seen.go(title)
        seen.until(
            lambda: seen.address_values().get("run") == run_id, "the run should be in the address"
        )
    assert entries(seen) == before + len(pages)
    seen.go("Segments")
    seen.page.get_by_role("slider", name="Step").press("ArrowLeft")
    seen.until(
        lambda: seen.address_values().get("step") == "30", "the step should be in the address"
    )
    assert entries(seen) == before + len(pages) + 1, "a choice on a page is no page of its own"
    for title in pages[::-1]:
        seen.page.go_back()
        expect(seen.page).to_have_url(re.compile(rf"/{title.lower()}\?"))
        seen.settle()
        seen.page.get_by_test_id("stMain").get_by_role(
            "heading", name=title, exact=True
        ).first.wait_for()
    seen.page.go_forward()
    expect(seen.page).to_have_url(re.compile(r"/segments\?"))
    seen.settle()
    seen.no_harm()


def test_a_button_that_leads_on_is_one_entry_too(visit, run_id):
    seen = visit().open(f"/?run={run_id}")
    seen.until(
        lambda: seen.address_values().get("run") == run_id, "the run should be in the address"
    )
    before = entries(seen)
    seen.click(
        seen.page.get_by_test_id("stMain").get_by_role("button", name="Open", exact=True).last
    )
    expect(seen.page).to_have_url(re.compile(rf"/segments\?.*run={run_id}"))
    seen.settle()
    assert entries(seen) == before + 1
    seen.page.go_back()
    expect(seen.page).to_have_url(re.compile(r"//[^/]+/(home)?\?"))
    seen.no_harm()
