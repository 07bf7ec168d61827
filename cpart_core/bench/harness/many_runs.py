"""What many runs and a long run cost the page's process, in seconds of its CPU: waiting and the
browser's own work are not counted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from cpart_core.bench.harness.app_server import AppServer
from cpart_core.bench.models.synthetic_run import made_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
PATIENCE = 120_000
"""Milliseconds."""
POLLS = 10
"""Of the list while a run is at work, over which its cost is divided."""
POLL_SECONDS = 3.0
SECONDS_TO_READ = 5.0
"""For a thousand runs, at the server's start."""
LONG, ALIVE = "bench-long", "bench-alive"


def make(root: Path, runs: int, steps: int) -> None:
    """Below `root`: one run of so many steps with a validation every 50, and so many short finished
    ones; all numbers invented."""
    from cpart_core.runs.info import read_info, write_info

    made_run(LONG, steps, evaluate_every=50)
    short = made_run("bench-short-0000", 60, snapshots=2)
    for number in range(1, runs):
        folder = root / f"bench-short-{number:04d}"
        shutil.copytree(short.folder, folder)
        write_info(
            folder,
            replace(read_info(short.folder), id=folder.name, name=f"Made for measuring {number}"),
        )


def measure(browser: Browser, folder: Path, runs: int, steps: int, repeats: int) -> dict[str, Any]:
    """CPU seconds of the server, each beside what it was for. The server reads every run once when
    it starts, and then what has changed."""
    from cpart_core.runs.control import RunLock
    from cpart_core.runs.folder import list_runs
    from cpart_core.runs.record_writer import Heartbeat, RecordWriter

    root = folder / "runs"
    results: dict[str, Any] = {"runs": runs, "steps of the long run": steps}
    began = time.process_time()
    list_runs()
    results["reading all runs once, as the server does at its start"] = time.process_time() - began
    with AppServer(root, folder / "server.log") as server:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE)
        opened(page, f"{server.address}/speed")  # imports, and Streamlit's own first page
        page.wait_for_timeout(SECONDS_TO_READ * 1000 * max(1, runs / 1000))

        def cost(path: str) -> float:
            return spent(process, lambda: opened(page, server.address + path))

        results["Home, first visit"] = cost("/")
        results["Home"] = median(cost("/") for _ in range(repeats))
        results["Train, long run, first visit"] = cost(f"/train?run={LONG}")
        results["Train, long run"] = median(cost(f"/train?run={LONG}") for _ in range(repeats))
        results["Segments, long run"] = median(
            cost(f"/segments?run={LONG}") for _ in range(repeats)
        )
        alive = made_run(ALIVE, 60, snapshots=2, ended=False)
        with RunLock(alive.folder), RecordWriter(alive.folder) as writer:
            writer.heartbeat(Heartbeat(60, "training", 1000.0, 60.0, 1 << 28))
            writer.flush()
            results["Home, one run at work"] = median(cost("/") for _ in range(repeats))
            results["each poll of Home, one run at work"] = (
                spent(process, lambda: time.sleep(POLLS * POLL_SECONDS)) / POLLS
            )
        page.context.close()
    return results


def opened(page: Page, address: str) -> None:
    """Load an address anew, and wait until its script has ended."""
    page.goto(address, wait_until="commit")
    page.get_by_test_id("stMain").get_by_role("heading").first.wait_for()
    page.locator(SETTLED).wait_for(state="attached")
    page.wait_for_timeout(300)


def spent(process: psutil.Process, action: Callable[[], object]) -> float:
    """CPU seconds, user and system, that the process took during the action."""
    before = process.cpu_times()
    action()
    after = process.cpu_times()
    return float(after.user + after.system - before.user - before.system)
