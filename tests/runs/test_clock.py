"""The time of day may be anything: commands, launches, liveness and the trainer's identity do not
depend on it."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from cpart_core.runs import clock
from cpart_core.runs import status as state
from cpart_core.runs.commands import Commands, note_launch, send_command
from cpart_core.runs.control import RunLock, last_holder, signal_trainer, trainer_pid
from cpart_core.runs.database import open_for_writing
from cpart_core.runs.record_writer import Heartbeat, RecordWriter
from tests.runs.made import make_run

DAY = 86_400.0


def shift(run, table: str, seconds: float) -> None:
    with closing(sqlite3.connect(run.folder / "records.sqlite")) as connection, connection:
        connection.execute(f"UPDATE {table} SET time = time + ?", (seconds,))
    (run.folder / "records.sha256").unlink(missing_ok=True)


@pytest.fixture(params=[-DAY, DAY], ids=["back", "ahead"])
def jump(request, monkeypatch):
    """The clock is set by a day, from the moment the test says so."""
    real = time.time
    return lambda: monkeypatch.setattr(time, "time", lambda: real() + request.param)


@pytest.mark.parametrize("dated", [-DAY, DAY])
@pytest.mark.parametrize("launched", [True, False])
def test_a_stop_of_an_earlier_life_stops_nobody(root, dated, launched):
    run = make_run(root)
    send_command(run.folder, "stop")
    shift(run, "commands", dated)
    if launched:
        note_launch(run.folder)
    with closing(Commands(run.folder)) as commands:
        assert commands.read_new() == []
        send_command(run.folder, "pause")
        assert commands.read_new() == ["pause"]


def test_what_is_told_after_a_launch_arrives_though_the_clock_was_set(root, jump):
    run = make_run(root)
    note_launch(run.folder)
    jump()
    send_command(run.folder, "stop")
    with closing(Commands(run.folder)) as commands:
        assert commands.read_new() == ["stop"]


def test_a_launch_is_as_old_as_it_is(root, jump, monkeypatch):
    run = make_run(root)
    note_launch(run.folder)
    jump()
    assert run.state().phase == "starting"
    monkeypatch.setattr(state, "LAUNCH_SECONDS", -1.0)
    assert run.state().state == "crashed"


@pytest.mark.parametrize("dated", [DAY, -DAY])
def test_a_launch_that_says_no_more_than_a_wrong_time_is_over(root, dated):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        writer.event("launch")
    assert run.state().phase == "starting"
    shift(run, "events", dated)
    assert run.state().state == "crashed"


def test_a_launch_before_the_machine_was_started_anew_is_over(root, monkeypatch):
    run = make_run(root)
    note_launch(run.folder)
    monkeypatch.setattr(clock, "boot", lambda: "another start")
    assert run.state().state == "crashed"


def test_a_trainer_is_found_and_hung_ones_are_told_whatever_the_clock_says(root, jump, monkeypatch):
    run = make_run(root)
    with RunLock(run.folder), RecordWriter(run.folder) as writer:
        writer.event("start")
        writer.heartbeat(Heartbeat(1, "training"))
        jump()
        assert trainer_pid(run.folder) == os.getpid()
        assert signal_trainer(run.folder, 0)
        assert run.state().responding and run.state().heartbeat_age < 60
        monkeypatch.setattr(state, "SILENT_SECONDS", -1.0)
        assert not run.state().responding


def test_a_death_after_the_clock_was_set_is_a_death(root, jump):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        writer.event("start")
        writer.event("finish")
    jump()
    with RunLock(run.folder):
        pass
    assert run.state().state == "crashed"


def test_a_number_of_another_start_of_the_machine_is_nobodys(root, monkeypatch):
    run = make_run(root)
    with RunLock(run.folder):
        monkeypatch.setattr("cpart_core.runs.control.boot", lambda: "another start")
        assert trainer_pid(run.folder) is None and not signal_trainer(run.folder, signal.SIGKILL)


def test_last_words_need_no_records(root):
    """A disk that is full to the last byte still holds the lock's own."""
    run = make_run(root)
    size = None
    with RunLock(run.folder) as lock, RecordWriter(run.folder) as writer:
        writer.event("start")
        size = (run.folder / "lock").stat().st_size
        lock.end("fail", "The disk is full.\n" * 1000)
    assert (run.folder / "lock").stat().st_size == size == 4096
    assert run.state().state == "failed" and run.state().last_words.startswith("The disk is full.")
    note_launch(run.folder)
    assert run.state().phase == "starting"
    with RunLock(run.folder):
        assert last_holder(run.folder).ended == ""
    assert run.state().state == "crashed"


def test_records_of_the_first_release_are_read_and_written(root):
    run = make_run(root)
    with closing(open_for_writing(run.folder)) as connection:
        for name in ("boot", "clock"):
            connection.execute(f"ALTER TABLE status DROP COLUMN {name}")
        connection.execute(
            "INSERT INTO status VALUES (1, ?, 7, 'training', 1.0, 2.0, 3)", (time.time(),)
        )
    (run.folder / "lock").write_text('{"pid": 1, "started": 1790000000.0, "taken": 1790000001.0}')
    before = run.state()
    assert (before.state, before.step) == ("new", 7) and before.heartbeat_age < 60
    with RecordWriter(run.folder) as writer:
        writer.heartbeat(Heartbeat(8, "training"))
    assert run.state().step == 8
