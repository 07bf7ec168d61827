"""Home in each state: it says what is there, offers what is possible, and nothing in a name comes
alive."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import list_runs
from cpart_core.runs.record_writer import RecordWriter
from tests.app.made import HOSTILE, MAIN, button, fine, page, run_in, words_of
from tests.source_files import ROOT, files

SAID = {
    "new": "waiting to start",
    "running": "running",
    "paused": "paused",
    "finished": "finished",
    "stopped": "stopped",
    "crashed": "trainer is dead",
    "failed": "failed",
    "damaged": "damaged",
}


def test_without_a_run_it_says_so_and_offers_training(root):
    app = fine(page())
    assert "No run yet" in words_of(app)
    button(app, "Train a model").click().run()
    assert fine(app).title[0].value == "Train"


@pytest.mark.parametrize("state", SAID)
def test_each_state_is_said(root, held, state):
    run_in(state, root, held)
    assert SAID[state] in words_of(fine(page()))


def test_of_a_run_in_use_no_step_is_made_up(root, held, monkeypatch):
    """Its records were not read, so its step is not known: 0 would be a number from nowhere."""
    run = run_in("finished", root, held)
    monkeypatch.setattr("cpart_core.runs.database.READ_SECONDS", 0.1)
    other = sqlite3.connect(run.folder / DATABASE, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("UPDATE events SET message = message")
    try:
        said = words_of(fine(page()))
    finally:
        other.close()
    assert (
        "Another program has its records in use" in said
        and "step 0" not in said
        and "cannot be read" not in said
    )


def test_losses_stand_with_their_steps_and_n(root, held):
    run_in("finished", root, held)
    assert (
        "sampled validation loss **4.000** :gray[(step 40; a sample of 300 tokens; 4.975 at"
        " step 1)]" in words_of(page())
    )


def test_a_hostile_name_stays_text(root, held):
    run_in("finished", root, held, name=HOSTILE)
    shown = [element.value for element in fine(page()).markdown if "evil.example" in element.value]
    assert shown and all("`` ![x](http://evil.example" in value for value in shown)


def test_rename_and_delete_ask_and_do(root, held):
    run = run_in("finished", root, held)
    app = page()
    app.text_input(key=f"name_{run.id}").set_value("Another").run()
    app.button(key=f"rename_{run.id}").click().run()
    assert [entry.name for entry in list_runs()] == ["Another"]
    app.button(key=f"delete_{run.id}").click().run()
    assert list_runs(), "nothing is deleted before it is confirmed"
    app.button(key=f"really_{run.id}").click().run()
    assert not list_runs()


def test_many_runs_are_searched_and_sorted(root, held):
    for number, name in enumerate(("beta", "alpha", "gamma", "alpha two", "delta")):
        run_in("finished", root, held, name=name, number=number)
    app = fine(page())
    assert "5 of 5 runs" in words_of(app)
    app.selectbox(key="home_sort").set_value("name").run()
    app.text_input(key="home_search").set_value("ALPHA").run()
    shown = [element.value for element in fine(app).markdown if element.value.startswith("**`")]
    assert ["alpha" in shown[0], "alpha two" in shown[1], len(shown)] == [True, True, 2]
    app.text_input(key="home_search").set_value("nothing of this kind").run()
    assert "No run has all of these words" in words_of(fine(app))


def test_two_runs_of_one_name_are_told_apart(root, held):
    runs = [run_in("finished", root, held, name="twice", number=number) for number in (1, 2)]
    said = words_of(fine(page()))
    assert all(f"twice ({run.id})" in said for run in runs)
    app = page("segments", run=runs[0].id)
    assert {option.split(" \u00b7 ")[0] for option in app.selectbox(key="bar_run").options} == {
        f"twice ({run.id})" for run in runs
    }


def test_a_failed_start_says_why_and_is_cleared_away_with_one_click(root, held):
    good = run_in("finished", root, held, number=1)
    bad = run_in("new", root, held, name="no luck", number=2)
    with RecordWriter(bad.folder) as writer:
        writer.event("fail", "3 documents cannot be divided into 6 contexts.")
    app = fine(page())
    assert "3 documents cannot be divided" in words_of(app) and "1 start failed" in words_of(app)
    app.button(key="clear_failed").click().run()
    assert [entry.id for entry in list_runs()] == [good.id] and "failed" not in words_of(fine(app))


def test_a_long_name_is_cut_and_said(root, held):
    run = run_in("finished", root, held)
    app = page()
    app.text_input(key=f"name_{run.id}").set_value("n" * 93).run()
    assert "These are 93 characters; the first 80 are kept" in words_of(fine(app))
    app.button(key=f"rename_{run.id}").click().run()
    assert [entry.name for entry in list_runs()] == ["n" * 80]


def test_no_text_box_drops_what_is_too_long():
    """Streamlit's `max_chars` throws a longer paste away, all of it and without a word."""
    found = [
        path.name
        for path in files()
        if path.relative_to(ROOT).parts[0] == "app" and "max_chars=" in path.read_text("utf-8")
    ]
    assert not found


def test_a_run_at_work_cannot_be_deleted(root, held):
    run = run_in("running", root, held)
    assert page().button(key=f"delete_{run.id}").disabled


def test_the_pages_process_stays_light(root):
    """Home and Train load neither torch nor what is heavy; a fresh process, since this one has
    loaded all sorts."""
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\napp ="
        f" AppTest.from_file({str(MAIN)!r}, default_timeout=60).run();"
        " app.switch_page('views/train/page.py').run()\nassert not app.exception\nprint([name for"
        " name in ('torch', 'umap', 'sklearn', 'numba', 'scipy', 'transformers', 'datasets') if"
        " name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
