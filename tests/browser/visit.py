"""One browser page of a test: goes places, waits until the app has settled, and keeps what a person
would never see (errors, requests)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, TimeoutError, expect

SECONDS = 1000.0
"""Playwright counts in milliseconds."""
PATIENCE = 45 * SECONDS
"""Longer than anything should take on two busy cores; waiting ends as soon as the thing is
there."""

BASE_PATH_PROBE = re.compile(r"/_stcore/(health|host-config)$")
"""Streamlit first asks below which part of the page's own path it is served; the 404s it gets are
its answer, no faults."""


class Visit:
    def __init__(self, context: BrowserContext, address: str, pictures: Path) -> None:
        self.context = context
        self.address = address
        self.pictures = pictures
        self.errors: list[str] = []
        """Exceptions and error messages of the browser's console."""
        self.requests: list[str] = []
        """Method and address of every request, and every websocket, in order."""
        self.strangers: list[str] = []
        """Those to anything but the app."""
        self.clicks = 0
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self.note_message)
        # of windows that it opens, too
        context.on("request", lambda request: self.note_request(request.method, request.url))
        self.page.on("websocket", lambda socket: self.note_request("WEBSOCKET", socket.url))
        self.page.on(
            "dialog",
            lambda dialog: (
                self.errors.append(f"a dialog opened: {dialog.message}"),
                dialog.dismiss(),
            ),
        )

    def note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not BASE_PATH_PROBE.search(message.location.get("url", "")):
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def note_request(self, method: str, url: str) -> None:
        """What a page carries in itself (data:, blob:) asks nobody."""
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob"):
            return
        self.requests.append(f"{method} {url}")
        if parts.netloc != urlsplit(self.address).netloc:
            self.strangers.append(url)

    def open(self, path: str = "/") -> Visit:
        """Load an address of the app, anew."""
        self.page.goto(self.address + path, wait_until="domcontentloaded")
        return self.settle()

    def settle(self) -> Visit:
        """Wait until the script has run and nothing on the page is a placeholder or greyed out."""
        self.page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(
            state="attached"
        )
        self.page.get_by_test_id("stMain").get_by_role("heading").first.wait_for()
        return self

    def go(self, title: str) -> Visit:
        """Follow the link of the navigation, on a narrow screen through its menu."""
        link = (
            self.page.get_by_test_id("stTopNavLink")
            .filter(has_text=title)
            .or_(self.page.get_by_test_id("stSidebarNavLink").filter(has_text=title))
        )
        if not link.first.is_visible():
            self.page.get_by_test_id("stExpandSidebarButton").click()
        self.click(link.first)
        expect(self.page).to_have_url(
            re.compile(rf"/{title.lower()}(\?|$)")
            if title != "Home"
            else re.compile(r"//[^/]+/(home)?(\?|$)")
        )
        return self.settle()

    def click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=re.compile(name, re.IGNORECASE)).first

    def address_values(self) -> dict[str, str]:
        """What the URL says after the question mark."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    def text(self) -> str:
        return self.page.locator('[data-testid="stMain"]').inner_text()

    def figures(self) -> Locator:
        return self.page.locator(".js-plotly-plot")

    def picture(self, name: str) -> Path:
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def until(
        self, holds: Callable[[], bool], what: str, seconds: float = PATIENCE / SECONDS
    ) -> None:
        """Poll a fact of the world outside the page."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                self.picture("gave-up")
                raise AssertionError(
                    f"Waited {seconds:.0f} s: {what}. The page says:\n{self.text()[:1500]}"
                )
            self.page.wait_for_timeout(200)

    def shows(self, pattern: str, seconds: float = PATIENCE / SECONDS) -> None:
        """Wait until the page's text matches."""
        wanted = re.compile(pattern, re.IGNORECASE)
        self.until(
            lambda: wanted.search(self.text()) is not None,
            f"the page should say /{pattern}/",
            seconds,
        )

    def nothing_overflows(self) -> None:
        """No part of the page can be scrolled sideways out of the window, except boxes that scroll
        by themselves."""
        width = self.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        main = self.page.evaluate(
            "(e => [e.scrollWidth, e.clientWidth])(document.querySelector('[data-testid=stMain]'))"
        )
        assert width[0] <= width[1] + 1, f"the page is {width[0]} px wide in a window of {width[1]}"
        assert main[0] <= main[1] + 1, f"the content is {main[0]} px wide in a room of {main[1]}"

    def no_harm(self) -> None:
        """Nothing failed in the browser and nothing was asked of strangers."""
        assert not self.strangers, f"requests to elsewhere: {self.strangers}"
        assert not self.errors, f"errors in the browser: {self.errors}"
        failures = self.page.get_by_test_id("stException").all_inner_texts()
        assert not failures, failures
        assert "could not be drawn" not in self.text(), self.text()[:1500]


__all__ = ["PATIENCE", "SECONDS", "TimeoutError", "Visit"]
