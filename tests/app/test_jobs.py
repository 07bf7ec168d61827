"""Training processes as a page starts them: detached, told of at once, ended when asked, never two
for one run."""

from __future__ import annotations

import os
import time

import pytest

from app.engine.jobs import kill_training, resume_training, start_training
from cpart_core.runs.control import trainer_pid
from cpart_core.runs.folder import open_run
from cpart_core.runs.status import STATES
from tests.runs.tiny import TINY, gathered


def wait_until(true, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_start_kill_resume():
    settings = TINY.with_values({"steps": 100_000, "checkpoint_every": 50_000})
    run = open_run(start_training(settings, "<script>alert(1)</script>", gathered(), ["dense"]))
    assert run.state().state in ("new", "running") and run.info.name
    with pytest.raises(ValueError, match=r"already|being started"):
        resume_training(run)
    wait_until(lambda: run.state().step > 10)
    pid = trainer_pid(run.folder)
    # of its own session: a closed terminal does not reach it
    assert os.getsid(pid) == pid != os.getsid(0)
    with pytest.raises(ValueError, match="already"):
        resume_training(run)
    kill_training(run)
    wait_until(lambda: not run.state().alive)
    assert run.state().state == "stopped" and run.checkpoint_steps() == [run.state().step]
    twin = open_run(f"{run.id}-dense")
    # a stopped run's twins wait
    assert twin.state().state == "new" and twin.state().state in STATES
    assert "stopped at step" in (run.folder / "log.txt").read_text()
