"""Runs in every state, made without training, for the tests of the pages."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from cpart_core.records.training import Evaluation
from cpart_core.runs.control import RunLock
from cpart_core.runs.folder import Run
from cpart_core.runs.record_writer import Heartbeat, RecordWriter
from cpart_core.runs.snapshots import save_snapshot
from cpart_core.settings.run import Settings
from tests.runs.made import C, N, S, make_change, make_record, make_run, make_snapshot

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
HOSTILE = "![x](http://evil.example/a) <img src=x onerror=alert(1)> :material/home: `a`"
STEPS = 40
ENDS = {"finished": "finish", "stopped": "stop", "failed": "fail"}
SETTINGS = Settings().with_values(
    {"num_layers": 4, "num_neurons": N, "shared_neurons": 0, "num_segments": S, "steps": 2 * STEPS}
)


def run_in(state: str, root: Path, held: ExitStack, name: str = "a run", number: int = 0) -> Run:
    """A run in the state; a living trainer is played by `held`, which holds its lock until it is
    closed."""
    run = make_run(
        root, f"20260102-030405-ab{number:02d}", name=name, settings=SETTINGS, num_parameters=12_345
    )
    if state == "damaged":
        (run.folder / "records.sqlite").write_bytes(b"this is no database" * 200)
        return run
    with RecordWriter(run.folder) as writer:
        if state != "new":
            write_life(run, writer, state)
    if state in ("running", "paused"):
        held.enter_context(RunLock(run.folder))
    if state in ("crashed", "failed"):
        (run.folder / "log.txt").write_text("step 40\nMemoryError: the last words\n")
    return run


def write_life(run: Run, writer: RecordWriter, state: str) -> None:
    """Forty steps, two evaluations, a partition and two snapshots, then what the state says."""
    generator = np.random.default_rng(0)
    writer.event("start")
    for step in range(1, STEPS + 1):
        evaluation = (
            Evaluation(5 - step / STEPS, np.full(C, 5 - step / STEPS), np.full(C, 100))
            if step in (1, STEPS)
            else None
        )
        change = make_change(first=True) if step == 10 else None
        writer.append(make_record(step, evaluation=evaluation, change=change))
    for step in (20, STEPS):
        save_snapshot(run.folder, make_snapshot(step, generator))
    writer.heartbeat(
        Heartbeat(STEPS, "paused" if state == "paused" else "training", 1234.0, 60.0, 1 << 28)
    )
    if state in ENDS:
        writer.event(ENDS[state], "The loss is not a number." if state == "failed" else "", STEPS)


def page(name: str = "home", **query: str) -> AppTest:
    """The app, on a page, run once."""
    app = AppTest.from_file(str(MAIN), default_timeout=30)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    if name != "home":
        app.switch_page(os.path.join("views", name, "page.py")).run()
    return app


def words_of(app: AppTest) -> str:
    """All that the page says."""
    shown = [
        *app.markdown,
        *app.caption,
        *app.title,
        *app.subheader,
        *app.error,
        *app.warning,
        *app.info,
        *app.code,
    ]
    return "\n".join(str(element.value) for element in shown)


def fine(app: AppTest) -> AppTest:
    """Neither an exception nor our own box for one."""
    assert not app.exception, [element.message for element in app.exception]
    assert "could not be drawn" not in words_of(app)
    return app


def button(app: AppTest, label: str):
    return next(element for element in app.button if element.label == label)
