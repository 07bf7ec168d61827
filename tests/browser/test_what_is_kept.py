"""What a person gave stays for the visit: uploaded files and pasted text outlast a change of the
page, long names are not dropped."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

PROSE = ("One day the sea was calm and the boats went out. " * 120).encode()
CODE = ("def add(a, b):\n    return a + b\n\n" * 120).encode()


def to_form(seen, source: str):
    seen.page.get_by_test_id("stMain").get_by_role("radio", name=source).or_(
        seen.button(rf"{source}$")
    ).first.click()
    return seen.settle()


@pytest.fixture
def form(visit):
    return visit().open("/train")


def give(seen, *files: tuple[str, bytes]) -> None:
    seen.page.locator('[data-testid="stFileUploader"] input[type=file]').set_input_files(
        [{"name": name, "mimeType": "text/plain", "buffer": content} for name, content in files]
    )


def test_uploaded_files_outlast_the_page_and_can_be_removed(form):
    seen = to_form(form, "Upload")
    give(seen, ("prose.txt", PROSE), ("code.txt", CODE))
    seen.shows("2 documents")
    seen.go("Home").go("Train")
    seen.shows(r"prose\.txt[\s\S]*kept[\s\S]*code\.txt[\s\S]*kept")
    seen.shows("2 documents")
    give(seen, ("more.txt", PROSE[::-1]))
    seen.shows("3 documents")
    seen.click(seen.page.get_by_test_id("stMain").get_by_role("button", name="close").first)
    seen.shows("2 documents")
    assert "prose.txt" not in seen.text() and "code.txt" in seen.text()
    seen.picture("kept-files")
    seen.no_harm()


def test_a_long_name_and_a_long_paste_are_kept_and_their_limit_is_said(form):
    seen = form
    name = seen.page.get_by_label("Name of the run")
    name.click()
    seen.page.keyboard.insert_text("n" * 93)  # as a paste: all at once
    name.press("Enter")
    seen.shows("These are 93 characters; the first 80 are kept")
    to_form(seen, "Paste")
    text = seen.page.get_by_label("Text", exact=True).first
    text.click()
    seen.page.keyboard.insert_text(PROSE.decode())
    text.press("Control+Enter")
    seen.settle()
    seen.go("Home").go("Train")
    expect(seen.page.get_by_label("Name of the run")).to_have_value("n" * 93)
    expect(seen.page.get_by_label("Text", exact=True).first).to_have_value(PROSE.decode())
    seen.no_harm()
