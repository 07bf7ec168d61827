"""One trainer a run; its death is seen at once; commands reach it once and never the wrong one."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from cpart_core.runs import control, database
from cpart_core.runs.commands import Commands, note_launch, send_command
from cpart_core.runs.control import RunLock, end_process, is_training, signal_trainer, trainer_pid
from cpart_core.runs.record_writer import Heartbeat, RecordWriter
from tests.runs.made import make_record, make_run, start_python

TRAINER = """
import signal, sys
from pathlib import Path
from cpart_core.runs.control import RunLock
from cpart_core.runs.record_writer import RecordWriter
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with RunLock(Path(sys.argv[1])), RecordWriter(Path(sys.argv[1])) as writer:
    writer.event("start")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def trainer(root):
    """Start trainers in other processes; whatever still lives afterwards is ended."""
    started = []

    def start(run, manner="polite"):
        process = start_python(TRAINER, run.folder, manner)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_second_trainer_is_refused_until_the_first_is_gone(root, trainer):
    run = make_run(root)
    first = trainer(run)
    assert (
        is_training(run.folder)
        and trainer_pid(run.folder) == first.pid
        and run.state().state == "running"
    )
    with pytest.raises(ValueError, match="already being trained"):
        RunLock(run.folder).acquire()
    first.kill()
    first.wait()
    assert (
        not is_training(run.folder)
        and trainer_pid(run.folder) is None
        and run.state().state == "crashed"
    )
    with RunLock(run.folder):
        assert trainer_pid(run.folder) == os.getpid()


def test_asking_whether_a_trainer_lives_does_not_keep_one_from_starting(root, monkeypatch):
    run = make_run(root)
    with RunLock(run.folder):
        pass
    with open(run.folder / "lock", "rb") as probe:
        assert control.try_lock(probe, shared=True)
        # the page lets go while the trainer waits
        monkeypatch.setattr(control.time, "sleep", lambda seconds: control.unlock(probe))
        with RunLock(run.folder):
            assert is_training(run.folder)


def test_a_deaf_trainer_is_ended_all_the_same(root, trainer):
    run = make_run(root)
    process = trainer(run, "deaf")
    assert end_process(run.folder, patience_seconds=0.2)
    assert process.wait() == -signal.SIGKILL
    assert end_process(run.folder, patience_seconds=0.0), "ending what is not there is no error"


def test_no_signal_reaches_a_process_that_took_the_number_over(root, monkeypatch):
    run = make_run(root)
    with RunLock(run.folder):
        monkeypatch.setattr(control, "process_started", lambda pid: 1.0)
        assert not signal_trainer(run.folder, signal.SIGKILL)


def test_commands_arrive_once_and_in_order(root):
    run = make_run(root)
    commands = Commands(run.folder)
    assert commands.read_new() == []
    for name in ("pause", "step", "resume"):
        send_command(run.folder, name)
    assert commands.read_new() == ["pause", "step", "resume"]
    assert commands.read_new() == []
    with RecordWriter(run.folder) as writer:  # the trainer's own writing is no command
        writer.append(make_record(1))
    assert commands.read_new() == []
    send_command(run.folder, "stop")
    assert commands.read_new() == ["stop"]
    commands.close()
    with pytest.raises(ValueError, match="allowed: pause, resume, step, stop"):
        send_command(run.folder, "explode")


def test_a_command_for_an_earlier_trainer_is_not_obeyed_but_one_given_at_launch_is(root):
    run = make_run(root)
    send_command(run.folder, "stop")
    later = Commands(run.folder)
    assert later.read_new() == []
    later.close()
    note_launch(run.folder)
    time.sleep(0.01)
    assert run.state().phase == "starting"
    run.send("pause")
    launched = Commands(run.folder)
    assert launched.read_new() == ["pause"]
    launched.close()


def test_a_command_to_nobody_is_refused(root):
    with pytest.raises(ValueError, match="no living trainer"):
        make_run(root).send("pause")


@pytest.mark.parametrize("events", [[], ["launch"], ["start", "finish"]])
def test_a_trainer_that_died_before_its_first_word_has_crashed(root, events):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        for kind in events:
            writer.event(kind)
    time.sleep(0.01)
    with RunLock(run.folder):
        assert run.state().state == "running"
    assert run.state().state == "crashed"


@pytest.mark.parametrize(
    ("events", "phase", "locked", "expected"),
    [
        ([], None, False, "new"),
        (["launch"], None, False, "new"),
        (["launch", "start"], "training", True, "running"),
        (["start", "pause"], "paused", True, "paused"),
        (["start", "finish", "start"], "training", True, "running"),
        (["start", "pause"], "paused", False, "crashed"),
        (["launch", "start"], "training", False, "crashed"),
        (["start", "finish"], "training", False, "finished"),
        (["start", "note", "stop", "note"], "training", False, "stopped"),
        (["start", "fail"], "training", False, "failed"),
    ],
)
def test_the_state_follows_from_lock_and_events(root, events, phase, locked, expected):
    run = make_run(root)
    (run.folder / "log.txt").write_text("line\nprogress 1\rprogress 2\n\x1b[31mKilled\u202e\n")
    with RecordWriter(run.folder) as writer:
        for kind in events:
            writer.event(kind, "It failed: too hot." if kind == "fail" else "")
        if phase is not None:
            writer.heartbeat(Heartbeat(3, phase))
    lock = RunLock(run.folder)
    if locked:
        lock.acquire()
    state = run.state()
    lock.release()
    assert state.state == expected and state.responding
    assert math.isnan(state.heartbeat_age) == (phase is None)
    words = {"failed": "It failed: too hot.", "crashed": "line\nprogress 2\n[31mKilled"}
    assert state.last_words == words.get(expected, "")


def test_a_trainer_killed_before_it_could_write_who_it_is_is_said_to_be_dead(root):
    run = make_run(root)
    assert run.state().state == "new"
    (run.folder / "lock").touch()
    assert run.state().state == "crashed"
    (run.folder / "records.sqlite").touch()  # killed while its database was being made
    assert run.state().state == "crashed"


def test_records_that_another_program_locks_are_in_use_not_damaged(root, monkeypatch):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        writer.event("start")
        writer.event("stop")
    for module in ("READ_SECONDS", "WAIT_SECONDS"):
        monkeypatch.setattr(database, module, 0.01)
    with closing(sqlite3.connect(run.folder / "records.sqlite", isolation_level=None)) as other:
        # in which, as on a network disk, a writer locks readers out
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        assert run.state().state == "busy" and "in use" in run.state().last_words
        with pytest.raises(database.Busy, match="in use"):
            send_command(run.folder, "stop")
        with pytest.raises(database.Busy):
            RunLock(run.folder).acquire()
    assert run.state().state == "stopped"
