"""A process that imports torch once and forks trainers on demand, so that many can be killed
without paying for each start.

Run as a module it is that process: a line in is the id of a run, a line out is the process number
of its trainer, and, when that has ended, its status.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from types import TracebackType

from cpart_core.runs.child import python_child
from cpart_core.runs.folder import Run, open_run

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


class Trainer:
    """One trainer, started by the fork server or on its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self.over = threading.Event()

    def ended(self) -> int | None:
        """Its exit code (negative for a signal), or None while it lives."""
        return self.status if self.over.is_set() else None

    def kill(self) -> None:
        """SIGKILL, and wait until the system has let go of it."""
        os.kill(self.pid, signal.SIGKILL)
        self.over.wait()


class ForkServer:
    """`with ForkServer() as server: trainer = server.start(run)`. One trainer at a time."""

    def __init__(self) -> None:
        child = python_child("cpart_core.bench.harness.fork_server", changes=ONE_THREAD)
        self.process = subprocess.Popen(
            child.command,
            env=child.environment,
            cwd=child.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.communicate()

    def start(self, run: Run, cold: bool = False) -> Trainer:
        """cold: as the page starts it, a new process that imports everything first."""
        if cold:
            child = python_child("cpart_core", "resume", run.id, changes=ONE_THREAD)
            process = subprocess.Popen(
                child.command,
                env=child.environment,
                cwd=child.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            trainer = Trainer(process.pid)
            threading.Thread(target=note_end, args=(trainer, process), daemon=True).start()
            return trainer
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{run.id}\n")
        self.process.stdin.flush()
        trainer = Trainer(int(self.process.stdout.readline()))
        threading.Thread(target=self.note_end, args=(trainer,), daemon=True).start()
        return trainer

    def note_end(self, trainer: Trainer) -> None:
        assert self.process.stdout is not None
        trainer.status = os.waitstatus_to_exitcode(int(self.process.stdout.readline()))
        trainer.over.set()


def note_end(trainer: Trainer, process: subprocess.Popen[bytes]) -> None:
    trainer.status = process.wait()
    trainer.over.set()


def import_what_trainers_need() -> None:
    """All that a trainer imports up to its first partition: five seconds that those forked from
    here are spared.

    But for the CPU kernels: importing them starts numba's threads, and these do not survive a fork.
    """
    for name in (
        "cpart_core.runs.train_loop",
        "cpart_core.model.warm_up",
        "numba",
        "sklearn.cluster",
        "torch._dynamo",
    ):
        importlib.import_module(name)


def serve() -> None:
    """Until stdin ends."""
    from cpart_core.runs.training_session import run_training

    import_what_trainers_need()

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = int(run_training(open_run(line.strip())))
            finally:
                os._exit(status)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    serve()
