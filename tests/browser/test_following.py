"""A page follows a running run until the person moves the slider, and only then: also where the
browser hears of each step late."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from cpart_core.bench.harness.app_server import end_processes_of
from tests.browser.trained import TINY
from tests.source_files import ROOT

LATE = """
const Real = window.WebSocket;
window.WebSocket = class extends Real {
  addEventListener(type, hear, options) {
    super.addEventListener(type, type === "message" ? (event) => setTimeout(() => hear.call(this, event), 1200) : hear, options);
  }
  set onmessage(hear) { this.addEventListener("message", hear); }
};
"""
"""What a busy machine does: the browser hears everything 1.2 s late, so that most ticks (every 2 s)
report what was shown before."""
CHANGES = 8
"""New snapshots that are waited for in a row; before this was mended, one or two were enough to
lose the newest step."""
RUN = "at-work"


@pytest.fixture(scope="module")
def training(server):
    """A run that goes on for longer than this file, with a snapshot about every second."""
    flags = {**TINY, "--steps": 200_000, "--snapshot-every": 25, "--checkpoint-every": 1000}
    words = [str(word) for pair in flags.items() for word in pair]
    command = [
        sys.executable,
        "-m",
        "cpart_core",
        "train",
        "--id",
        RUN,
        "--name",
        "At work",
        "--out",
        str(server.runs_root),
        *words,
    ]
    with server.log.with_name("train.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    while not (server.runs_root / RUN / "run.json").is_file():  # the command reads its text first
        assert process.poll() is None, server.log.with_name("train.log").read_text()
        time.sleep(0.1)
    yield process
    process.terminate()
    process.wait(60)
    end_processes_of(server.runs_root)


def shown(seen) -> int:
    """The step of the picture, by the caption under it; -1 before there is one."""
    found = re.findall(r"step ([\d,]+) \u00b7 n = \d+ \u00d7 \d+ neurons", seen.text())
    return max((int(step.replace(",", "")) for step in found), default=-1)


def held(seen) -> str | None:
    return seen.address_values().get("step")


def test_the_live_page_follows_until_the_slider_is_moved(visit, training):
    seen = visit()
    seen.page.add_init_script(LATE)
    seen.open(f"/train?run={RUN}")
    seen.shows("following the newest step", 120)
    steps = []
    while len(steps) < CHANGES:
        before = shown(seen)
        seen.until(
            lambda before=before: shown(seen) > before or held(seen) is not None,
            "a newer step should be shown",
            120,
        )
        assert held(seen) is None, (
            f"nobody moved the slider, but the address holds step {held(seen)}"
        )
        steps.append(shown(seen))
    assert training.poll() is None
    assert steps == sorted(steps) and "Back to live" not in seen.text()

    seen.page.get_by_role("slider", name="Step").press("Home")
    seen.until(lambda: held(seen) is not None, "the person's step should be in the address")
    first = held(seen)
    seen.shows(f"step {first}[^\\d]")
    seen.button("Back to live").wait_for()
    seen.picture("held-while-training")
    seen.page.wait_for_timeout(9000)
    assert held(seen) == first and "following the newest" not in seen.text()

    seen.click(seen.button("Back to live"))
    seen.shows("following the newest step")
    for _ in range(3):
        before = shown(seen)
        seen.until(
            lambda before=before: shown(seen) > before,
            "the newest step should be followed again",
            120,
        )
        assert held(seen) is None
    seen.picture("following")
    seen.no_harm()


def test_other_pages_follow_too(visit, training):
    seen = visit()
    seen.page.add_init_script(LATE)
    seen.open(f"/segments?run={RUN}")
    seen.shows("following the newest step", 60)
    number = re.compile(r"following the newest step: ([\d,]+)")
    first = number.search(seen.text()).group(1)
    seen.until(
        lambda: (said := number.search(seen.text())) is not None and said.group(1) != first,
        "the page should follow",
        90,
    )
    assert held(seen) is None
    seen.no_harm()
