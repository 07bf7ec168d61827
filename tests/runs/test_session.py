"""Laws of a session: resumed is as if never stopped, commands and signals work, failures are
said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from cpart_core.bench.harness.fork_server import ForkServer
from cpart_core.bench.kills import differences, fingerprints, finish, unfinished
from cpart_core.records.training import Record
from cpart_core.runs import train_loop as drive_module
from cpart_core.runs.commands import note_launch
from cpart_core.runs.create import create_twin
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from tests.runs.tiny import tiny_run


@pytest.fixture(scope="module")
def untouched() -> dict[str, str]:
    run = tiny_run()
    assert run_training(run) == ExitCode.DONE
    return fingerprints(open_run(run.id))


def send_at(run: Run, *commands: tuple[int, str]):
    """on_record that gives commands after certain steps."""

    def on_record(record: Record) -> None:
        for step, command in commands:
            if record.step == step:
                run.send(command)

    return on_record


def test_a_finished_run_says_what_it_is(untouched):
    run = tiny_run()
    words: list[str] = []
    looked: list[int] = []
    run_training(run, say=words.append, look_inside=lambda run, step, progress: looked.append(step))
    run = open_run(run.id)
    assert run.state().state == "finished" and run.state().step == 40
    assert run.info.contexts == ("days", "sums") or run.info.contexts == ("sums", "days")
    assert (
        run.info.fingerprint and run.info.vocabulary_size > 256 and run.info.num_parameters > 10_000
    )
    assert run.records().step.size == 40 and list(run.evaluations().step) == [1, 10, 20, 30, 40]
    assert run.checkpoint_steps() == [20, 30, 40]  # the newest three
    assert looked == [40] and "building the corpus" in words
    assert not differences(untouched, fingerprints(run))  # same seed, same records


def test_stopped_and_resumed_is_never_stopped(untouched):
    run = tiny_run()
    for stop in (7, 8, 25):  # before the first partition, right after a resume, after freezing
        assert run_training(run, send_at(run, (stop, "stop"))) == ExitCode.DONE
        assert (
            run.state().state == "stopped"
            and run.checkpoint_steps()[-1] == run.state().step == stop
        )
    assert run_training(run) == ExitCode.DONE
    assert not differences(untouched, fingerprints(open_run(run.id)))


def test_found_contexts_survive_a_resume():
    whole, parts = tiny_run(labelled=False), tiny_run(labelled=False)
    run_training(whole)
    for stop in (3, 15):
        run_training(parts, send_at(parts, (stop, "stop")))
    run_training(parts)
    assert open_run(whole.id).info.discovered
    assert not differences(fingerprints(open_run(whole.id)), fingerprints(open_run(parts.id)))


def test_killed_is_never_killed(untouched):
    """During start-up, while a checkpoint is written, and between two steps. `bench kills` does it
    a hundred times."""
    run = tiny_run()
    writing = run.folder / "checkpoints"
    moments = (
        lambda: run.state().alive,
        lambda: unfinished(writing),
        lambda: run.state().step >= 23,
    )
    with ForkServer() as server:
        for moment in moments:
            trainer = server.start(run)
            wait_until(
                lambda moment=moment, trainer=trainer: moment() or trainer.ended() is not None,
                pause=0.001,
            )
            trainer.kill()
            assert run.state().state == "crashed"
        finish(server, run)
    assert not differences(untouched, fingerprints(open_run(run.id)))


def test_pause_step_resume(untouched):
    run = tiny_run()
    seen: list[int] = []
    reached = threading.Event()

    def on_record(record: Record) -> None:
        seen.append(record.step)
        if record.step == 5:
            run.send("pause")
            reached.set()

    def conduct() -> None:
        reached.wait(30)
        wait_until(lambda: run.state().state == "paused")
        assert seen[-1] == 5
        run.send("step")
        wait_until(lambda: seen[-1] == 6 and run.state().state == "paused")
        time.sleep(0.3)
        assert seen[-1] == 6
        run.send("resume")

    conductor = threading.Thread(target=conduct)
    conductor.start()
    run_training(run, on_record)
    conductor.join()
    assert seen == list(range(1, 41))
    assert [event.kind for event in run.events()] == ["start", "pause", "continue", "finish"]
    assert not differences(untouched, fingerprints(open_run(run.id)))


def test_sigterm_finishes_the_step_and_saves():
    run = tiny_run(steps=100_000, checkpoint_every=50_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "cpart_core", "resume", run.id],
        env=os.environ.copy(),
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: run.state().step > 20)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert run.state().state == "stopped" and run.checkpoint_steps() == [run.state().step]


def test_a_damaged_checkpoint_is_passed_over_and_said(untouched):
    run = tiny_run()
    run_training(run, send_at(run, (25, "stop")))
    path = run.checkpoint_folder(25) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    first: list[int] = []
    run_training(run, lambda record: first.append(record.step))
    assert first[0] == 21  # from the checkpoint of step 20
    assert any(
        "step 25 was passed over" in event.message and "model.safetensors" in event.message
        for event in run.events()
    )
    assert not differences(untouched, fingerprints(open_run(run.id)))


def test_all_checkpoints_damaged_deletes_nothing_until_told(untouched):
    run = tiny_run()
    run_training(run, send_at(run, (12, "stop")))
    for step in run.checkpoint_steps():
        (run.checkpoint_folder(step) / "state.json").unlink()
    with pytest.raises(ValueError, match="--restart"):
        run_training(run)
    assert (
        run.state().state == "failed"
        and run.records().step.size == 12
        and run.checkpoint_steps() == [10, 12]
    )
    run_training(run, restart=True)
    assert not differences(untouched, fingerprints(open_run(run.id)))


def test_a_checkpoint_beyond_the_records_is_not_used(untouched):
    """After a power cut the records may end before the checkpoint: going on from it would leave a
    hole."""
    import sqlite3

    run = tiny_run()
    run_training(run, send_at(run, (25, "stop")))
    with sqlite3.connect(run.folder / "records.sqlite") as connection:
        connection.execute("DELETE FROM steps WHERE step > 23")
    connection.close()
    run_training(run)
    assert run.records().step.size == 40
    assert not differences(untouched, fingerprints(open_run(run.id)))


def test_a_loss_that_is_no_number_is_said(monkeypatch):
    run = tiny_run()

    def poison(record: Record) -> None:
        if record.step == 14:
            with torch.no_grad():
                drives[0].trainer.model.embedding.fill_(float("nan"))

    drives = keep_drives(monkeypatch)
    words: list[str] = []
    assert run_training(run, poison, words.append) == ExitCode.FAILED
    state = run.state()
    assert (
        state.state == "failed"
        and "step 15" in state.last_words
        and "learning_rate" in state.last_words
        and state.last_words in words
    )
    assert run.checkpoint_steps() == [10]  # nothing bad was saved


def caused(error: Exception, by: Exception) -> Exception:
    error.__context__ = by
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        caused(ValueError("a zip that is still open"), MemoryError()),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_out_of_memory_is_said(error):
    run = tiny_run()

    def fail(record: Record) -> None:
        raise error

    assert run_training(run, fail) == ExitCode.FAILED
    assert "batch_size (now 4)" in run.state().last_words


def test_a_full_disk_at_a_checkpoint_stops_nothing(monkeypatch, untouched):
    run = tiny_run()
    real = drive_module.save_checkpoint

    def refuse(checkpoints, checkpoint, keep):
        if checkpoint.config.step in (10, 30):
            raise OSError(28, "No space left on device")
        return real(checkpoints, checkpoint, keep)

    monkeypatch.setattr(drive_module, "save_checkpoint", refuse)
    assert run_training(run) == ExitCode.DONE
    assert sum("No space left" in event.message for event in run.events()) == 2
    assert run.checkpoint_steps() == [20, 40]
    assert not differences(untouched, fingerprints(open_run(run.id)))


def test_nobody_trains_a_run_twice():
    run = tiny_run()
    told: list[str] = []

    def start_again(record: Record) -> None:
        if record.step == 3:
            with pytest.raises(ValueError, match="already being trained"):
                run_training(run)
            told.append("yes")

    note_launch(run.folder)
    assert run_training(run, start_again) == ExitCode.DONE
    assert told and run.state().state == "finished"


def test_bad_text_is_a_sentence_in_the_run():
    run = tiny_run()
    (run.folder / "gathered.jsonl").write_text(
        '{"text": "only one", "context": "a", "title": "t"}\n'
    )
    with pytest.raises(ValueError) as told:
        run_training(run)
    assert run.state().state == "failed" and run.state().last_words == str(told.value)


def test_a_twin_sees_the_same_text_and_batches(untouched):
    run = tiny_run()
    run_training(run)
    twin = create_twin(open_run(run.id), "dense")
    run_training(twin)
    run, twin = open_run(run.id), open_run(twin.id)
    assert twin.info.twin_of == run.id and twin.info.fingerprint == run.info.fingerprint
    # dense before the first partition: the same first step
    assert twin.records().loss[0] == run.records().loss[0]
    assert (twin.records().tokens == run.records().tokens).all()
    with pytest.raises(ValueError, match="dense, random, router"):
        create_twin(run, "nonsense")
    early = create_twin(tiny_run(), "random")
    with pytest.raises(ValueError, match="Train that run first"):
        run_training(early)


def keep_drives(monkeypatch) -> list[drive_module.Drive]:
    """The drives that sessions make from now on."""
    made: list[drive_module.Drive] = []
    real = drive_module.Drive.__init__

    def keep(self, *arguments):
        made.append(self)
        real(self, *arguments)

    monkeypatch.setattr(drive_module.Drive, "__init__", keep)
    return made


def wait_until(true, seconds: float = 60.0, pause: float = 0.02) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
