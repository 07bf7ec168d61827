"""`bench app`: how long a person waits for the pages, in a real Chromium, with a made run of 5,000
neurons and 50,000 records.

First paint: the browser's own first contentful paint, server warm. Heading: from the request until
the page's heading is there. First figure: until a figure is drawn. Page change: from the click on a
page's name until its figure is drawn. Slider: from the key press on the step slider until a
figure's caption says the new step, the page's script has ended, and the browser has painted what it
drew. CPU: what Home costs the page's process with a thousand runs, and what a run of a million
steps costs it.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpart_core.bench.harness import many_runs
from cpart_core.bench.harness.app_server import AppServer
from cpart_core.bench.harness.chromium import chromium
from cpart_core.bench.models.synthetic_run import LAYERS, NEURONS, made_run
from cpart_core.bench.report.save import save, spread
from cpart_core.files.paths import given_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RUN = "bench-app"
FIGURE = ".js-plotly-plot .main-svg"
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Resolved after plotly, which draws in one piece, has let go of the browser's main thread."""
PATIENCE = 120_000
"""Milliseconds; the first neuron map starts the worker and computes a layout."""
PAGES = ("segments", "gradients")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--records",
        type=int,
        default=50_000,
        help="training records of the made run (default 50,000)",
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=1000,
        help="made runs in the list whose cost is measured (default 1,000)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=1_000_000,
        help="steps of the made long run (default 1,000,000)",
    )
    parser.add_argument(
        "--only",
        choices=("waits", "cpu"),
        help="only how long a person waits, or only what it costs the server",
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="repeats of each measurement (default 5)"
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench app",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.repeats < 1 or arguments.records < 1000:
        raise ValueError("Give --repeats of 1 or more and --records of 1,000 or more.")
    if arguments.runs < 10 or arguments.steps < 1000:
        raise ValueError("Give --runs of 10 or more and --steps of 1,000 or more.")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as folder, chromium() as browser:
        if arguments.only != "cpu":
            root = new_root(Path(folder) / "waits")
            made_run(RUN, arguments.records)
            with AppServer(root, Path(folder) / "server.log") as server:
                results = measure(server, browser, arguments.repeats)
        if arguments.only != "waits":
            root = new_root(Path(folder) / "many")
            many_runs.make(root, arguments.runs, arguments.steps)
            results["CPU seconds of the page's process"] = cpu = many_runs.measure(
                browser, root.parent, arguments.runs, arguments.steps, arguments.repeats
            )
            for name, value in cpu.items():
                print(
                    (
                        f"{name:40} {value:.3f} s of CPU"
                        if isinstance(value, float)
                        else f"{name:40} {value:,}"
                    ),
                    flush=True,
                )
    results["made run"] = {"records": arguments.records, "neurons": LAYERS * NEURONS, "seed": 0}
    save("app", results, arguments.out)
    return 0


def new_root(folder: Path) -> Path:
    """A folder of runs of its own, which this process and its children use from now on."""
    root = folder / "runs"
    root.mkdir(parents=True)
    os.environ["CPART_RUNS"] = str(root)
    return root


def measure(server: AppServer, browser: Browser, repeats: int) -> dict[str, Any]:
    """All measurements; prints each as it is known."""
    cold = first_paint(server, browser, "")
    results: dict[str, Any] = {"first visit of a fresh server": cold}
    paints = [first_paint(server, browser, "") for _ in range(repeats)]
    results["heading, empty browser cache"] = spread(paints)
    painted, headed = returning_paints(server, browser, repeats)
    results["first paint, returning"], results["heading, returning"] = (
        spread(painted),
        spread(headed),
    )
    page = visit(server, browser, f"/gradients?run={RUN}")  # computes the maps, once
    page.wait_for_function("!document.querySelector('[data-testid=stProgress]')")
    page.context.close()
    for name in PAGES:
        results[f"first figure, {name}"] = spread(
            [first_figure(server, browser, f"/{name}?run={RUN}") for _ in range(repeats)]
        )
    page = visit(server, browser, f"/segments?run={RUN}")
    changes = [change_page(page, PAGES[number % 2 - 1]) for number in range(2 * repeats)]
    results["page change, to gradients"], results["page change, to segments"] = (
        spread(changes[0::2]),
        spread(changes[1::2]),
    )
    slides = {name: spread(slide(page, name, repeats)) for name in PAGES}
    results |= {f"step slider, {name}": seconds for name, seconds in slides.items()}
    results["memory of the page's process"] = server.memory_bytes()
    page.context.close()
    for name, value in results.items():
        said = (
            f"{value['median']:.2f} s"
            if isinstance(value, dict)
            else f"{value:.2f} s"
            if value < 1e6
            else f"{value / 1e6:,.0f} MB"
        )
        print(f"{name:32} {said}", flush=True)
    return results


def visit(server: AppServer, browser: Browser, path: str) -> Page:
    """A new visitor with an empty cache, on a page that has drawn its first figure."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address + path, wait_until="commit")
    page.locator(FIGURE).first.wait_for()
    return page


def first_paint(server: AppServer, browser: Browser, path: str) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    began = time.perf_counter()
    page.goto(f"{server.address}/{path}", wait_until="commit")
    page.get_by_test_id("stMain").get_by_role("heading").first.wait_for()
    seconds = time.perf_counter() - began
    context.close()
    return seconds


def returning_paints(
    server: AppServer, browser: Browser, repeats: int
) -> tuple[list[float], list[float]]:
    """(browser's own first contentful paint, heading there) of a person who has been here before:
    the browser has Streamlit's code."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    painted, headed = [], []
    for visit_number in range(repeats + 1):
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        began = time.perf_counter()
        page.goto(server.address, wait_until="commit")
        page.get_by_test_id("stMain").get_by_role("heading").first.wait_for()
        if visit_number:  # the first visit fills the browser's cache
            headed.append(time.perf_counter() - began)
            painted.append(
                page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
                / 1000
            )
        page.close()
    context.close()
    return painted, headed


def first_figure(server: AppServer, browser: Browser, path: str) -> float:
    began = time.perf_counter()
    page = visit(server, browser, path)
    seconds = time.perf_counter() - began
    page.context.close()
    return seconds


def change_page(page: Page, name: str) -> float:
    """Seconds from the click on a page's name to its first figure."""
    began = time.perf_counter()
    page.get_by_test_id("stTopNavLink").filter(has_text=name.title()).click()
    page.get_by_test_id("stMain").get_by_role("heading", name=name.title(), exact=True).wait_for()
    page.locator(FIGURE).first.wait_for()
    return time.perf_counter() - began


def slide(page: Page, name: str, repeats: int) -> list[float]:
    """Seconds from each key press on the step slider until the page shows the new step and the
    browser is free again."""
    change_page(page, name)
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        slider.press("ArrowLeft")
        step = slider.get_attribute("aria-valuetext") or ""
        caption = page.get_by_test_id("stCaptionContainer").filter(
            has_text=re.compile(rf"step {re.escape(step)}\b")
        )
        caption.first.wait_for()
        page.locator(SETTLED).wait_for(state="attached")
        page.evaluate(PAINTED)
        seconds.append(time.perf_counter() - began)
    return seconds
