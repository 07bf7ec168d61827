"""Run folders of former releases, long runs, long lists, and a page that is open for a long
time."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import numpy as np

from cpart_core.runs.database import DATABASE, TABLES
from cpart_core.runs.folder import list_runs, open_run
from cpart_core.runs.listing import YOUNG_SECONDS
from tests.abuse.case import Look, case
from tests.abuse.place import Place
from tests.source_files import ROOT

STEPS = 1_000_000


@case(
    "23",
    "run folders of each former release",
    "open in this one, with everything in them",
    quick=True,
)
def former_releases(place: Place) -> str:
    look = Look()
    folders = sorted(
        path.parent
        for root in ("tests", "sample_checkpoints")
        for path in (ROOT / root).rglob("run.json")
    )
    look(
        any("tests" in folder.relative_to(ROOT).parts for folder in folders),
        "golden folders lie in tests/",
    )
    for root in sorted({folder.parent for folder in folders}):
        read_root(root, look)
    return look.said()


def read_root(root: Path, look: Look) -> None:
    """Read all of every run below a root."""
    os.environ["CPART_SAMPLES"] = str(root)
    for entry in list_runs():
        if entry.info is None:
            look(False, f"{entry.id}: {entry.state.last_words}")
            continue
        run = open_run(entry.id)
        counts = (
            len(run.records().step),
            len(run.evaluations().step),
            len(run.snapshot_steps()),
            len(run.checkpoint_steps()),
        )
        for step in run.snapshot_steps():
            run.snapshot(step)
        look(
            entry.state.state != "damaged" and counts[0] > 0,
            f"{entry.id}: {entry.state.state}, {counts[0]} records, {counts[2]} snapshots",
        )


@case("24", "a run of a million steps", "opens in less than 2 s", limit=120)
def million_steps(place: Place) -> str:
    run = place.finished()
    rows = len(open_run(run.id).info.contexts)
    add_steps(run.folder / DATABASE, STEPS, rows)
    began = time.process_time()
    opened = open_run(run.id)
    opened.state()
    records = opened.records()
    opened.evaluations()
    seconds = time.process_time() - began
    assert (records.step[0], records.step[-1]) == (
        1,
        STEPS,
    ), f"steps {records.step[:1]} to {records.step[-1:]}"
    assert seconds < 2, f"{seconds:.2f} s of CPU"
    return f"{seconds:.2f} s of CPU for {STEPS:,} records, thinned to {len(records.step):,}"


@case("25", "500 runs in the list", "listed in less than 1 s", limit=120)
def many_runs(place: Place) -> str:
    seconds, count = list_many(place, 500)
    assert seconds < 1, f"{count} runs listed in {seconds:.2f} s of CPU"
    return f"{count} runs listed in {seconds:.2f} s of CPU"


@case(
    "C40",
    "1,000 runs, one of them alive, and a run of a million steps",
    "Home below 0.2 s of CPU a tick, a million steps below 1 s",
    limit=240,
)
def list_and_length(place: Place) -> str:
    look = Look()
    seconds, count = list_many(place, 1000)
    look(seconds < 0.2, f"{count} runs listed again in {seconds:.2f} s of CPU")
    run = place.finished()
    add_steps(run.folder / DATABASE, STEPS, len(run.info.contexts))
    began = time.process_time()
    opened = open_run(run.id)
    opened.state()
    opened.records()
    opened.records(max_points=128)
    opened.evaluations()
    seconds = time.process_time() - began
    look(seconds < 1, f"a million steps opened and thinned twice in {seconds:.2f} s of CPU")
    return look.said()


def list_many(place: Place, number: int) -> tuple[float, int]:
    """(seconds of CPU, runs listed), of finished runs with all their records; the second listing is
    timed, as a page asks again and again."""
    first = place.finished()
    text = (first.folder / "run.json").read_text("utf-8")
    for place_of in range(number - 1):
        folder = place.runs / f"20250101-000000-{place_of:04d}"
        folder.mkdir()
        (folder / "run.json").write_text(text.replace(first.id, folder.name), "utf-8")
        for name in (DATABASE, "lock"):
            (folder / name).write_bytes((first.folder / name).read_bytes())
    time.sleep(YOUNG_SECONDS + 0.1)  # runs as old as any list's: what is younger is read again
    list_runs()
    began = time.process_time()
    listed = list_runs()
    return time.process_time() - began, len(listed)


def add_steps(path: Path, steps: int, contexts: int) -> None:
    """Records up to a step, as a long training would have left them."""
    by_context = np.ones(contexts, "<f4").tobytes()
    connection = sqlite3.connect(path)
    connection.executescript(TABLES)
    rows = (
        (step, 64 * step, 2.0, 0.0, 0.0, 0.3, 1e-3, 0.01, 1 << 28, by_context)
        for step in range(1, steps + 1)
    )
    connection.executemany(
        "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    connection.commit()
    connection.close()


CASES = (former_releases, million_steps, many_runs, list_and_length)
