"""Starts the app as a person would, on a free port and with its own runs folder, and leaves no
process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from cpart_core.runs.child import python_child

START_SECONDS = 60
STOP_SECONDS = 10


class AppServer:
    """`streamlit run app/main.py` as a child process.

    Used as a context: on leaving, the server, its workers and every trainer that works in
    `runs_root` are ended.
    """

    def __init__(
        self, runs_root: Path, log: Path, port: int | None = None, base_path: str = ""
    ) -> None:
        self.runs_root = runs_root
        self.log = log
        self.port = port or free_port()
        self.base_path = base_path
        """Below which all is served, such as "/lab"; empty = at the root."""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    def start(self) -> float:
        """Start and wait until it answers; returns the seconds that took. RuntimeError carries its
        last words."""
        began = time.monotonic()
        flags = [
            "--server.port",
            str(self.port),
            "--server.headless",
            "true",
            "--server.fileWatcherType",
            "none",
        ]
        flags += ["--server.baseUrlPath", self.base_path] if self.base_path else []
        child = python_child(
            "streamlit", "run", "app/main.py", *flags, changes={"CPART_RUNS": str(self.runs_root)}
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                child.command,
                env=child.environment,
                cwd=child.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                self.kill()
                raise RuntimeError(
                    f"The app did not start:\n{self.log.read_text('utf-8', 'replace')[-3000:]}"
                )
            time.sleep(0.05)
        return time.monotonic() - began

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=1) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C or a service manager would; kill it when it does not listen."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def memory_bytes(self) -> int:
        """Resident memory of the server's process."""
        import psutil

        assert self.process is not None, "not started"
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def __enter__(self) -> AppServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        end_processes_of(self.runs_root)


def processes_of(runs_root: Path) -> list[int]:
    """Ids of the processes that work in this runs folder: they carry it in their environment."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            mine = process.pid == os.getpid()
            if (
                not mine
                and process.environ().get("CPART_RUNS") == str(runs_root)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def end_processes_of(runs_root: Path) -> None:
    """Kill trainers and workers that outlived their server."""
    for pid in processes_of(runs_root):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
