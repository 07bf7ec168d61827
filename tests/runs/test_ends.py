"""However a training ends, it ends soon, in order, and with the reason where pages find it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cpart_core.records.training import Record
from cpart_core.runs import record_writer as records_module
from cpart_core.runs import session_phases as session_module
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.pending_commands import PendingCommands, stop_on_signals
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from tests.runs.test_session import wait_until
from tests.runs.tiny import tiny_run
from tests.source_files import ROOT


def at(step: int, act) -> object:
    def on_record(record: Record) -> None:
        if record.step == step:
            act()

    return on_record


@contextmanager
def hearing_interrupts() -> Iterator[None]:
    """As at a terminal: a shell starts what it runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("phase", ["gather", "build_corpus"])
def test_a_stop_is_obeyed_while_the_text_is_read(monkeypatch, phase):
    run = tiny_run()
    never = threading.Event()
    if phase == "gather":
        monkeypatch.setattr(session_module, "read_gathered", lambda folder: None)
    monkeypatch.setattr(session_module, phase, lambda *_: never.wait(60))

    def say(words: str) -> None:
        if words == {"gather": "gathering text", "build_corpus": "building the corpus"}[phase]:
            threading.Timer(0.3, run.send, ["stop"]).start()

    assert run_training(run, say=say) == ExitCode.DONE
    assert not never.is_set() and run.state().state == "stopped"
    never.set()


def test_memory_that_ends_before_torch_is_there_is_said_without_it():
    run = tiny_run()
    code = """
import sys
from cpart_core.runs import session_phases as session
from cpart_core.runs.training_session import run_training
from cpart_core.runs.folder import open_run
def fail(*_):
    raise MemoryError
session.build_corpus = fail
assert run_training(open_run(sys.argv[1])) == session.ExitCode.FAILED
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, run.id], check=True, cwd=ROOT)
    assert run.state().state == "failed" and "batch_size (now 4)" in run.state().last_words


def test_a_moved_folder_is_noticed_and_holds_the_reason(tmp_path):
    run = tiny_run()
    away = run.folder.with_name("moved-away")
    words: list[str] = []
    assert (
        run_training(run, at(12, lambda: run.folder.rename(away)), words.append) == ExitCode.FAILED
    )
    assert not run.folder.exists() and "moved" in words[-1]
    away.rename(run.folder)
    state = run.state()
    assert (
        state.state == "failed"
        and "moved" in state.last_words
        and state.step <= 14
        and run.checkpoint_steps() == [10]
    )


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deleted_folder_is_not_made_again(replaced):
    run = tiny_run()
    seen: list[int] = []

    def act(record: Record) -> None:
        seen.append(record.step)
        if record.step == 12:
            shutil.rmtree(run.folder)
            if replaced:
                run.folder.mkdir()

    assert run_training(run, act) == ExitCode.FAILED
    assert max(seen) <= 13
    assert (list(run.folder.iterdir()) == []) if replaced else not run.folder.exists()


def test_a_disk_that_stays_full_ends_training_with_words(monkeypatch):
    """Nothing more fits into the records: the lock has kept a place for the reason."""
    run = tiny_run()
    monkeypatch.setattr(records_module, "PATIENCE_SECONDS", 0.0)

    def refuse(self, rows):
        raise sqlite3.OperationalError("database or disk is full")

    def fill() -> None:
        monkeypatch.setattr(RecordWriter, "_commit", refuse)
        monkeypatch.setattr(records_module, "RETRY_SECONDS", 0.0)
        monkeypatch.setattr(records_module, "COMMIT_SECONDS", 0.0)
        for writer in writers:
            writer._commit_seconds = 0.0

    writers: list[RecordWriter] = []
    keep = RecordWriter.__enter__
    monkeypatch.setattr(RecordWriter, "__enter__", lambda self: writers.append(self) or keep(self))
    assert run_training(run, at(12, fill)) == ExitCode.FAILED
    state = run.state()
    assert (
        state.state == "failed"
        and "disk is full" in state.last_words
        and run.id in state.last_words
    )
    assert run.checkpoint_steps() == [10]
    monkeypatch.undo()


def test_a_log_that_takes_no_line_ends_nothing():
    run = tiny_run(steps=12, freeze_step=12)

    def say(words: str) -> None:
        raise OSError(28, "No space left on device")

    assert run_training(run, say=say) == ExitCode.DONE


def test_the_third_interrupt_ends_at_once_and_the_run_says_so(capfd):
    pending = PendingCommands(lambda: [])
    with hearing_interrupts(), stop_on_signals(pending):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert pending.stopped and "once more" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    run = tiny_run()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(run, at(12, interrupt))
    assert (
        run.state().state == "stopped"
        and "checkpoint" in run.state().last_words
        and run.checkpoint_steps() == [10]
    )


def test_two_interrupts_save():
    run: Run = tiny_run(steps=100_000, checkpoint_every=50_000)
    with hearing_interrupts():
        process = subprocess.Popen(
            [sys.executable, "-m", "cpart_core", "resume", run.id],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
    wait_until(lambda: run.state().step > 10)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert run.state().state == "stopped" and open_run(run.id).checkpoint_steps() == [
        run.state().step
    ]
