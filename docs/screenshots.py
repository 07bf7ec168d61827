"""Makes the pictures of docs/screenshots again, from the sample run: `python docs/screenshots.py`.

Needs Chromium and playwright (`pip install -e '.[bench]'`). Starts the app with an empty folder of
runs, so that only the samples are there, and takes about two minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cpart_core.bench.harness.app_server import AppServer
from cpart_core.bench.harness.chromium import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).resolve().parent / "screenshots"
MOST_BYTES = 250_000
"""Of one picture: they are part of every clone."""
WIDTH, HEIGHT = 1280, 860
"""Of the browser's window, in pixels."""
PATIENCE = 180_000
"""Milliseconds; the first figure of a page may start the worker and load torch."""
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
FIGURE = ".js-plotly-plot .main-svg"


@dataclass(frozen=True)
class Shot:
    """One picture: what is visited and how much of the page is seen."""

    name: str
    path: str
    query: str = "run=first-light&step=1200"
    top: str = ""
    """The text that is scrolled to the top of the picture; empty: the page from its beginning."""


SHOTS = (
    Shot("segments", "segments"),
    Shot("gradients", "gradients"),
    Shot("fusion", "fusion", top="Tint by"),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [shot.name for shot in SHOTS]
    parser.add_argument("names", nargs="*", choices=[*names, []], help="which (default: all)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the PNG files")
    arguments = parser.parse_args(argv)
    wanted = [shot for shot in SHOTS if not arguments.names or shot.name in arguments.names]
    arguments.out.mkdir(parents=True, exist_ok=True)
    too_large = []
    with tempfile.TemporaryDirectory(prefix="cpart-screenshots-") as folder, chromium() as browser:
        runs = Path(folder) / "runs"
        runs.mkdir()
        with AppServer(runs, Path(folder) / "server.log") as server:
            for shot in wanted:
                context = browser.new_context(
                    viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light"
                )
                page = context.new_page()
                page.set_default_timeout(PATIENCE)
                page.goto(f"{server.address}/{shot.path}?{shot.query}", wait_until="commit")
                wait_until_drawn(page)
                if shot.top:
                    scroll_to(page, shot.top)
                file = arguments.out / f"{shot.name}.png"
                page.screenshot(path=str(file))
                context.close()
                size = file.stat().st_size
                print(f"{file} {size:,} bytes", flush=True)
                too_large += [shot.name] if size > MOST_BYTES else []
    if too_large:
        print(f"Larger than {MOST_BYTES:,} bytes: {', '.join(too_large)}", file=sys.stderr)
    return 1 if too_large else 0


def wait_until_drawn(page: Page) -> None:
    """Figures are there, the page's script has ended, and no bar of progress is left."""
    page.locator(FIGURE).first.wait_for()
    page.locator(SETTLED).wait_for(state="attached")
    page.wait_for_function(
        "!document.querySelector('[data-testid=stProgress], [data-testid=stSpinner]')"
    )
    page.wait_for_timeout(3000)  # figures out of sight are drawn when seen; the rest is painted


def scroll_to(page: Page, text: str) -> None:
    """Put the line that says this at the top, below the bar of pages."""
    page.get_by_text(text, exact=True).first.evaluate(
        "e => { e.style.scrollMarginTop = '90px'; e.scrollIntoView({block: 'start'}); }"
    )
    page.wait_for_timeout(3000)


if __name__ == "__main__":
    raise SystemExit(main())
