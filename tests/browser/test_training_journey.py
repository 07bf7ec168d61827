"""Train to picture; close the tab and come back; kill the server and come back; stop. One training,
one long visit in several parts."""

from __future__ import annotations

import time

import pytest

from cpart_core.bench.harness.app_server import processes_of

MOST_CLICKS = 10
SECONDS_TO_STRUCTURE = 60
"""The goal on a laptop; twice that is allowed where two cores also run the browser and the
server."""
MOST_SECONDS_TO_OBEY = 90
"""A trainer reads its commands between two steps; partitioning and looking may lie between."""


@pytest.fixture(scope="module")
def own_run(server, browser, pictures):
    """Id of the run that the first test started; found in the server's runs folder as a page finds
    it."""

    def find() -> str | None:
        folders = (
            [path.parent.name for path in server.runs_root.glob("*/run.json")]
            if server.runs_root.is_dir()
            else []
        )
        return folders[0] if folders else None

    return find


@pytest.fixture
def open_own_run(own_run, monkeypatch, server):
    """Opens the run as the engine reads it, on the server's folder."""
    from cpart_core.runs.folder import open_run

    monkeypatch.setenv("CPART_RUNS", str(server.runs_root))

    def opened():
        run_id = own_run()
        assert run_id, "the first test of this file starts a run"
        return open_run(run_id)

    return opened


@pytest.fixture
def run(open_own_run):
    """The run, at work during a test and paused between two, so that it outlasts this file on any
    machine."""
    run = open_own_run()
    steer(run, "resume", "running")
    yield run
    steer(run, "pause", "paused")


def steer(run, command: str, wanted: str) -> None:
    """Send the command and wait until it is obeyed; nothing for a run that is no longer at work."""
    if run.state().alive:
        run.send(command)
    deadline = time.monotonic() + MOST_SECONDS_TO_OBEY
    while (state := run.state()).alive and state.state != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not state.alive or state.state == wanted, (
        f"{command}: the run is still {state.state} after {MOST_SECONDS_TO_OBEY} s"
    )


def test_from_the_first_page_to_a_picture_of_segments(visit, own_run, open_own_run):
    seen = visit().open()
    seen.go("Train")
    began = time.monotonic()
    seen.click(seen.button(r"^\W*(train|start)\b"))
    seen.until(lambda: own_run() is not None, "a run folder should appear")
    seen.page.get_by_test_id("segment-map").or_(seen.figures()).first.wait_for(
        timeout=2 * SECONDS_TO_STRUCTURE * 1000
    )
    seen.shows(
        r"segments? (formed|are|since)|partition(ed)? (at|since|in) step|partition \d",
        2 * SECONDS_TO_STRUCTURE,
    )
    seconds = time.monotonic() - began
    steer(open_own_run(), "pause", "paused")
    seen.picture("train-to-picture")
    print(f"from Train to segments: {seconds:.1f} s, {seen.clicks} clicks")
    assert seen.clicks <= MOST_CLICKS
    assert seconds <= 2 * SECONDS_TO_STRUCTURE
    seen.no_harm()


def test_closing_the_tab_loses_nothing(visit, run):
    seen = visit().open("/train")
    before = run.state().step
    seen.context.close()
    deadline = time.monotonic() + 30
    while (
        run.state().step <= before
        and run.state().state == "running"
        and time.monotonic() < deadline
    ):
        time.sleep(0.2)
    assert run.state().step > before
    back = visit().open("/train")
    back.shows(r"running|finished")
    back.no_harm()


def test_killing_the_server_loses_nothing(visit, server, run):
    trainers = set(processes_of(server.runs_root)) - {server.process.pid}
    assert run.state().state == "running", "the training should outlast this file; make it longer"
    server.kill()
    assert trainers & set(processes_of(server.runs_root)), (
        "the trainer must not die with its server"
    )
    before = run.state().step
    server.start()
    seen = visit().open("/train")
    seen.shows("running|finished")
    seen.until(lambda: run.state().step > before, "training should go on")
    seen.picture("server-came-back")
    seen.no_harm()


def test_stopping_from_the_page(visit, run):
    seen = visit().open(f"/train?run={run.id}")
    if run.state().state == "running":
        seen.click(seen.button(r"^\W*stop"))
    seen.until(lambda: run.state().state in ("stopped", "finished"), "the run should stop")
    seen.shows("stopped|finished")
    assert run.checkpoint_steps()
    seen.no_harm()
