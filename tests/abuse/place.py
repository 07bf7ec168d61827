"""Where a case happens: a folder of its own with a root of runs, runs that are trained already, and
trainers to be tormented."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import read_info
from tests.abuse.not_possible import NotPossible
from tests.source_files import ROOT

HALF = 25
"""The step at which the stopped run was stopped; it has checkpoints of steps 10, 20 and 25."""
NEW_MOUNTS, NEW_USERS = 0x00020000, 0x10000000
PRIVATE = 0x4000 | 0x40000
READ_ONLY, REMOUNT, BIND = 1, 32, 4096


@dataclass(frozen=True)
class Options:
    """How long the long cases are."""

    kills: int = 6
    soak_minutes: float = 0.5
    sockets: int = 200
    requests: Path | None = None
    """Where the log of requests goes; None = nowhere."""
    keep: bool = False
    """Leave the folders of cases that did not pass."""


class Trainer:
    """A process that trains, a child of the case."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None

    def ended(self) -> int | None:
        """Its exit code (negative for a signal), or None while it lives."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = 60.0) -> int:
        """Its exit code. AssertionError when it does not end in time."""
        until(
            lambda: self.ended() is not None,
            f"the trainer should end within {seconds:g} s",
            seconds,
        )
        assert self.code is not None
        return self.code

    def kill(self) -> None:
        """SIGKILL, and wait until the system has let go of it; nothing where it has ended."""
        if self.ended() is None:
            self.signal(signal.SIGKILL)
            self.wait()


@dataclass
class Place:
    """The root of everything that a case makes."""

    root: Path
    options: Options
    shared: Path
    """Where what all cases need is made once."""

    def __post_init__(self) -> None:
        self.stack = ExitStack()
        self.runs = self.root / "runs"

    def settle(self) -> None:
        """Go there: this process and its children see no runs but those of this place, and what
        they say goes into a file."""
        self.runs.mkdir()
        (self.root / "samples").mkdir()
        os.environ |= {
            "CPART_RUNS": str(self.runs),
            "CPART_SAMPLES": str(self.root / "samples"),
            "PYTHONPATH": str(ROOT),
        }
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        # a shell that starts something in the background has it ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        said = os.open(self.root / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)

    def leave(self) -> None:
        """End what the case has entered."""
        self.stack.close()

    def new_run(self, **changes: Any) -> Run:
        """A run of 40 steps that waits to be trained."""
        from tests.runs.tiny import tiny_run

        return tiny_run(**changes)

    def finished(self) -> Run:
        """A run that has made its 40 steps; checkpoints of steps 20, 30 and 40."""
        return self.copy("finished", None)

    def stopped(self) -> Run:
        """The same, stopped at step 25."""
        return self.copy("stopped", HALF)

    def copy(self, name: str, stop: int | None) -> Run:
        """A copy of a run that is trained once for all cases; the second copy of it in one place
        has the id `<id>-2`, and so on."""
        kept = self.shared / name
        with FileLock(self.shared / f"{name}.lock"):
            if not kept.is_dir():
                os.rename(self.trained(stop), kept)
        first = read_info(kept).id
        run_id = next(
            entry
            for entry in (first, *(f"{first}-{number}" for number in range(2, 99)))
            if not (self.runs / entry).exists()
        )
        shutil.copytree(kept, self.runs / run_id)
        return open_run(run_id)

    def trained(self, stop: int | None) -> Path:
        """Train a tiny run to its end or to a step, in a process of its own: one that has trained
        can fork no trainer. Its folder."""
        run = self.new_run()
        self.fork_trainer(
            run, on_record=lambda record: run.send("stop") if record.step == stop else None
        ).wait(120)
        assert run.state().state == ("finished" if stop is None else "stopped"), run.state()
        return run.folder

    def fork_trainer(
        self, run: Run, before: Callable[[], object] = lambda: None, **how: Any
    ) -> Trainer:
        """Train `run` in a forked process, which costs no import of torch; this one must not have
        computed with it.

        before: called in it first, to arm what shall go wrong. how: as `run_training` takes it.
        """
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                before()
                from cpart_core.runs.training_session import run_training

                code = int(run_training(run, **how))
            except ValueError as error:
                print(f"refused: {error}", flush=True)
                code = 2
            except BaseException:  # it leaves by os._exit below, which says nothing of it
                traceback.print_exc()
                raise
            finally:
                os._exit(code)
        return Trainer(pid)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """`python -m cpart_core ...`, as a person starts it, its output taken in."""
        command = [sys.executable, "-m", "cpart_core", *words]
        given: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        process = subprocess.Popen(command, **{"cwd": ROOT, **given, **options})
        self.stack.callback(end, process)
        return process

    def cli(self, *words: str, seconds: float = 90.0, **options: Any) -> tuple[int, str]:
        """(exit code, all it said) of a command line."""
        process = self.start(*words, **options)
        said, _ = process.communicate(timeout=seconds)
        return process.returncode, said or ""

    def small_disk(self, megabytes: float) -> Path:
        """Lay a disk of this size under the root of runs, seen by this process and its children
        alone. NotPossible where it may not."""
        self.runs.mkdir(exist_ok=True)
        own_mounts()
        mount("none", self.runs, "tmpfs", 0, f"size={int(megabytes * 1024)}k")
        return self.runs

    def make_read_only(self, folder: Path) -> None:
        """Nobody can write below `folder` any more, not even root. NotPossible where it may not be
        done."""
        own_mounts()
        mount(str(folder), folder, None, BIND, "")
        mount(str(folder), folder, None, BIND | REMOUNT | READ_ONLY, "")


def until(
    holds: Callable[[], bool], what: str, seconds: float = 60.0, pause: float = 0.02
) -> float:
    """Wait until something holds; the seconds it took. AssertionError with `what` when it does not
    come."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"waited {seconds:g} s in vain: {what}"
        time.sleep(pause)
    return time.monotonic() - began


def is_stopped(pid: int) -> bool:
    """Whether a process is held by SIGSTOP."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def own_mounts() -> None:
    """Mounts from here on are this process's own. NotPossible where the system does not allow
    it."""
    libc = ctypes.CDLL(None, use_errno=True)
    root = os.geteuid() == 0
    if libc.unshare(NEW_MOUNTS if root else NEW_MOUNTS | NEW_USERS) != 0:
        raise NotPossible(
            "no mounts of its own are allowed to a process here"
            f" ({os.strerror(ctypes.get_errno())})"
        )
    mount("none", Path("/"), None, PRIVATE, "")


def mount(source: str, target: Path, kind: str | None, flags: int, data: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if (
        libc.mount(
            source.encode(),
            str(target).encode(),
            kind.encode() if kind else None,
            flags,
            data.encode() or None,
        )
        != 0
    ):
        raise NotPossible(f"mounting is not allowed here ({os.strerror(ctypes.get_errno())})")
