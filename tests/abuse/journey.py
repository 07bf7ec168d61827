"""The longest journey through the app: every page, a training from an upload, a look, a carving, a
comparison, an export; nothing leaves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Locator, TimeoutError

from tests.browser.pages import NAMES, TITLES, wait_until_drawn
from tests.browser.visit import Visit

SLOW = 150.0
TEXTS = {
    "river.txt": "The mill stands at the river, and the boat lies at the bridge. ",
    "sums.txt": "12 + 30 = 42; 7 + 5 = 12; 40 + 2 = 42. ",
}


def travel(seen: Visit, folder: Path, run_id: str, other_id: str) -> list[str]:
    """Go all the way; what was done, in words. folder: for what is uploaded and saved. The two runs
    are of the same text."""
    done = []
    parts: tuple[tuple[str, Callable[[], None]], ...] = (
        ("every page", lambda: every_page(seen, run_id)),
        ("a figure and its data saved", lambda: save_figure(seen, folder, run_id)),
        ("a text of one's own read and continued", lambda: read_own_text(seen, run_id)),
        ("two runs compared", lambda: compare(seen, run_id, other_id)),
        ("a run carved", lambda: carve(seen, run_id)),
        (
            "text uploaded and a training begun, watched and stopped",
            lambda: train_from_upload(seen, folder),
        ),
    )
    # a worker loads models and lays out maps, on cores that are busy
    seen.page.set_default_timeout(1000 * SLOW)
    for name, part in parts:
        try:
            part()
        except (AssertionError, TimeoutError) as error:
            seen.picture("gave-up")
            where = f"not done: {name}, after {', '.join(done) or 'nothing'}: {str(error)[:300]}"
            raise AssertionError(f"{where} ... {seen.text()[-500:]}") from None
        done.append(name)
    return done


def every_page(seen: Visit, run_id: str) -> None:
    seen.open(f"/?run={run_id}")
    for name in NAMES:
        if name != "home":
            seen.go(TITLES[name])
        wait_until_drawn(seen, name)


def save_figure(seen: Visit, folder: Path, run_id: str) -> None:
    """Every button of a figure's toolbar is pressed: pictures are saved; and the data, by its own
    button."""
    seen.open(f"/gradients?run={run_id}")
    plot = seen.figures().first
    plot.wait_for()
    plot.scroll_into_view_if_needed()
    titles = [
        button.get_attribute("data-title") or "" for button in plot.locator(".modebar-btn").all()
    ]
    assert any("SVG" in title for title in titles), titles
    for title in titles:
        press(seen, plot.locator(f'.modebar-btn[data-title="{title}"]').first, title, folder)
    seen.click(seen.button("Data"))
    with seen.page.expect_download() as saved:
        seen.click(seen.button("data as csv"))
    saved.value.save_as(folder / "data.csv")


def press(seen: Visit, button: Locator, title: str, folder: Path) -> None:
    """One button; what it saves is kept, and full screen is left again."""
    if title.startswith("Save"):
        with seen.page.expect_download() as saved:
            button.click(force=True)
        saved.value.save_as(folder / f"figure.{title[-3:].lower()}")
        return
    button.click(force=True)
    if title == "Full screen":
        seen.page.wait_for_function("document.fullscreenElement !== null")
        seen.page.evaluate("document.exitFullscreen()")


def read_own_text(seen: Visit, run_id: str) -> None:
    seen.open(f"/fusion?run={run_id}")
    box = seen.page.get_by_role("textbox").first
    box.fill(
        "The mill stands at the river; 12 + 30 = 42. https://beacon.invalid/a.png"
        " ![](https://beacon.invalid/b.png)"
    )
    box.press("Control+Enter")
    seen.shows("beacon", SLOW)
    seen.figures().first.wait_for()
    seen.click(
        seen.page.get_by_test_id("stExpander")
        .filter(has_text="Continue the text")
        .locator("summary")
    )
    seen.click(seen.button("Continue the text"))
    seen.settle()


def compare(seen: Visit, run_id: str, other_id: str) -> None:
    seen.open(f"/compare?run={run_id}&other={other_id}")
    seen.shows("What differs", SLOW)
    seen.figures().first.wait_for()
    seen.click(seen.button("Swap A and B"))
    seen.until(
        lambda: seen.address_values().get("run") == other_id, "A and B should be swapped", SLOW
    )


def carve(seen: Visit, run_id: str) -> None:
    seen.open(f"/carve?run={run_id}")
    seen.click(seen.button("Measure every number of segments"))
    seen.shows("What each number of segments costs", SLOW)
    seen.button(r"^\W*carve$").wait_for(timeout=1000 * SLOW)
    seen.click(seen.button(r"^\W*carve$"))
    seen.button("Open the carved run").wait_for(timeout=1000 * SLOW)


def train_from_upload(seen: Visit, folder: Path) -> None:
    """As a person does with text of their own; stopped as soon as there are segments."""
    files = []
    for name, words in TEXTS.items():
        (folder / name).write_text(
            "\n\n<|doc|>\n\n".join(f"{number}. {words * 60}" for number in range(12)), "utf-8"
        )
        files.append(folder / name)
    seen.open("/train")
    seen.page.get_by_text("New run").first.click()
    seen.page.get_by_text("Upload", exact=False).first.click()
    seen.page.locator('input[type="file"]').first.set_input_files(files)
    seen.shows("tokens to train on", SLOW)
    seen.settle()
    seen.click(seen.button("^\\W*start training"))
    seen.page.get_by_role("button", name=re.compile("stop", re.IGNORECASE)).first.wait_for(
        timeout=1000 * SLOW
    )
    seen.figures().first.wait_for(timeout=1000 * SLOW)
    seen.click(seen.button(r"^\W*stop"))
    seen.shows("stopped|finished", SLOW)


def log(seen: Visit) -> str:
    """Every request in order, and before them how many went to which host."""
    hosts = Counter(urlsplit(entry.split(" ", 1)[1]).netloc for entry in seen.requests)
    head = "\n".join(f"# {count} to {host}" for host, count in hosts.most_common())
    return head + "\n" + "\n".join(seen.requests) + "\n"
