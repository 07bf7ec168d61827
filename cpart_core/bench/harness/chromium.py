"""Finds Chromium and starts it for measurements and browser tests. Needs the extra `bench` or
`test` (playwright)."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
HOW_TO_INSTALL = (
    "No Chromium found. Install one (Debian, Ubuntu: apt-get install chromium; macOS: brew install"
    " --cask chromium), or name its program in the environment variable CPART_CHROMIUM."
)


def chromium_path() -> str:
    """The browser's program; FileNotFoundError says how to install one."""
    named = os.environ.get("CPART_CHROMIUM")
    found = (
        shutil.which(named)
        if named
        else next((path for name in NAMES if (path := shutil.which(name))), None)
    )
    if found is None:
        raise FileNotFoundError(HOW_TO_INSTALL)
    return found


def why_no_browser() -> str | None:
    """What is missing for `chromium()`, as a sentence; None: nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "The package playwright is not installed: pip install -e '.[bench]'."
    try:
        chromium_path()
    except FileNotFoundError as error:
        return str(error)
    return None


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
