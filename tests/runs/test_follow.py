"""Laws of a run that two processes train: pages command both, either may be killed, and one or two
go on from where it was."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pytest

from cpart_core.runs.commands import note_launch
from cpart_core.runs.control import RunLock, end_process, last_holder
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.other_processes import LEFT_ALONE
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from tests.runs.tiny import tiny_run
from tests.source_files import ROOT
from tests.training.pair import start_pair

Pair = list[subprocess.Popen[str]]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    started: list[Pair] = []
    yield started
    for process in (process for pair in started for process in pair):
        if process.poll() is None:
            process.kill()
        process.communicate()


def resume_and_pause(run: Run, steps: int, pairs: list[Pair], *flags: str) -> Pair:
    """Two processes that have made `steps` steps more and are paused."""
    note_launch(run.folder)
    for command in ("pause", *["step"] * steps):
        run.send(command)
    before = max([0, *run.checkpoint_steps()])
    pair = start_pair(["-W", "error", "-m", "cpart_core", "resume", run.id, *flags], cwd=ROOT)
    pairs.append(pair)
    deadline = time.monotonic() + 120
    while (run.state().state, run.state().step) != ("paused", before + steps):
        assert all(process.poll() is None for process in pair), [
            process.communicate()[0] for process in pair if process.poll() is not None
        ]
        assert time.monotonic() < deadline, run.state()
        time.sleep(0.1)
    return pair


def assert_ends(pair: Pair, *codes: int) -> None:
    said = [process.communicate(timeout=60)[0] for process in pair]
    assert [process.returncode for process in pair] == list(codes), "\n\n".join(said)


def test_two_processes_killed_and_stopped_and_one_to_the_end(pairs):
    whole, run = tiny_run(), tiny_run()

    pair = resume_and_pause(run, 13, pairs)
    pair[1].kill()
    assert_ends(pair, ExitCode.FAILED, -signal.SIGKILL)
    assert (
        run.state().state == "failed"
        and "resume" in run.state().last_words
        and run.checkpoint_steps() == [10]
    )

    pair = resume_and_pause(run, 7, pairs, "--parallel", "fsdp")
    for process in pair:  # as a scheduler or torchrun does it
        process.send_signal(signal.SIGTERM)
    assert_ends(pair, ExitCode.DONE, 0)
    assert run.state().state == "stopped" and run.checkpoint_steps() == [10, 17]

    pair = resume_and_pause(run, 6, pairs)
    pair[0].kill()
    assert_ends(pair, -signal.SIGKILL, LEFT_ALONE)
    assert run.state().state == "crashed" and run.checkpoint_steps() == [10, 17, 20]

    assert run_training(whole) == run_training(run) == ExitCode.DONE
    ours, theirs = open_run(run.id), open_run(whole.id)
    assert list(ours.records().step) == list(theirs.records().step)
    np.testing.assert_allclose(ours.records().loss, theirs.records().loss, rtol=1e-4)
    np.testing.assert_allclose(ours.evaluations().loss, theirs.evaluations().loss, rtol=1e-4)
    assert ours.snapshot_steps() == theirs.snapshot_steps()
    for step in ours.snapshot_steps():
        assert np.array_equal(ours.snapshot(step).segment_of, theirs.snapshot(step).segment_of)


def test_a_hung_process_is_ended_with_the_first(pairs):
    """It answers nobody, so the first waits for it: Kill ends both, and neither is left behind."""
    run = tiny_run()
    pair = resume_and_pause(run, 3, pairs)
    assert last_holder(run.folder).processes() == [process.pid for process in pair]
    pair[1].send_signal(signal.SIGSTOP)
    run.send("resume")
    assert end_process(run.folder, patience_seconds=1.0)
    assert_ends(pair, -signal.SIGKILL, -signal.SIGKILL)
    assert run.state().state == "crashed" and run.state().step == 3


def test_one_that_was_left_behind_ends_when_training_goes_on(pairs):
    run = tiny_run()
    pair = resume_and_pause(run, 3, pairs)
    pair[1].send_signal(signal.SIGSTOP)
    pair[0].kill()
    pair[0].wait()
    with RunLock(run.folder):
        assert pair[1].wait(30) == -signal.SIGKILL
