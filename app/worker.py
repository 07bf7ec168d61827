"""The analysis worker's client: a child process that holds torch, so that the page's process does not. No streamlit here.

`python -m cpart_core worker` is started at the first request, answers one request at a time (JSON lines both ways), is ended when it has
been idle for a while, and is killed and started afresh to cancel what it is doing.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cpart_core.runs.child import python_child

IDLE_SECONDS = 600.0
LONGEST_LINE = 4_000_000
"""Characters; a longer answer is a broken worker."""


class Handle:
    """One request as a page sees it: poll `done`, then look at `error` and `path`. All fields are set by the client's reader thread."""

    def __init__(self, name: str, request: dict[str, Any]) -> None:
        self.name = name
        self.request = request
        self.progress = 0.0
        self.say = "Waiting for the worker"
        self.partial: dict[str, Any] | None = None
        self.error: str | None = None
        self.path: Path | None = None
        self.finished = threading.Event()

    @property
    def done(self) -> bool:
        return self.finished.is_set()

    def fail(self, sentence: str) -> None:
        self.error = sentence
        self.finished.set()


class Worker:
    """Thread-safe: any number of sessions may submit; requests are answered in order, and the same request is asked once."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS, command: tuple[str, ...] = ()) -> None:
        self.idle_seconds = idle_seconds
        self.command = command
        """Instead of the real worker's, for tests."""
        self.lock = threading.RLock()
        self.process: subprocess.Popen[str] | None = None
        self.waiting: deque[tuple[int, Handle]] = deque()
        self.sent: int | None = None
        self.last_id = 0
        self.last_used = time.monotonic()
        atexit.register(self.close)

    def submit(self, name: str, request: dict[str, Any]) -> Handle:
        """Queue a request and return at once. The same request while one is under way gives the same handle."""
        with self.lock:
            for _, handle in self.waiting:
                if handle.name == name and handle.request == request:
                    return handle
            self.last_id += 1
            handle = Handle(name, request)
            self.waiting.append((self.last_id, handle))
            self.send_next()
            return handle

    def ask(
        self, name: str, request: dict[str, Any], on_progress: Callable[[float, str], None] | None = None, timeout: float | None = None
    ) -> Path:
        """Wait for the path of the stored result. ValueError with the worker's sentence, or after `timeout` seconds."""
        handle = self.submit(name, request)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not handle.finished.wait(0.05):
            if on_progress is not None:
                on_progress(handle.progress, handle.say)
            if deadline is not None and time.monotonic() > deadline:
                self.cancel(handle)
                raise ValueError(f"{name} took longer than {timeout:g} s and was stopped.")
        if handle.path is None:
            raise ValueError(handle.error)
        return handle.path

    def cancel(self, handle: Handle) -> None:
        """Stop one request: a waiting one is taken out, the running one costs the process, which starts afresh for the next."""
        with self.lock:
            entry = next((entry for entry in self.waiting if entry[1] is handle), None)
            if entry is None:
                return
            self.waiting.remove(entry)
            handle.fail("Stopped.")
            if entry[0] == self.sent:
                self.stop_process()
                self.send_next()

    def close(self) -> None:
        """End the process and fail what waits; the client can be used again afterwards."""
        with self.lock:
            waiting, self.waiting = self.waiting, deque()
            self.stop_process()
        for _, handle in waiting:
            handle.fail("The analysis worker was closed.")

    def send_next(self) -> None:
        """Give the process its next request when it has none. The lock is held by the caller."""
        if self.sent is not None or not self.waiting:
            return
        number, handle = self.waiting[0]
        line = json.dumps({"id": number, "name": handle.name, "request": handle.request})
        if self.process is None or self.process.poll() is not None:
            self.start_process()
        assert self.process is not None and self.process.stdin is not None
        self.sent = number
        self.last_used = time.monotonic()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            return  # it died between two requests: its reader thread sees the end of stdout and fails this request

    def start_process(self) -> None:
        """Start the child and its reader; the reader belongs to this very process and ends with it."""
        child = python_child("cpart_core", "worker")
        process = subprocess.Popen(
            self.command or child.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=child.environment,
            cwd=child.folder,
        )
        self.process = process
        threading.Thread(target=self.read, args=(process,), daemon=True, name="cpart-worker-reader").start()
        threading.Thread(target=self.end_when_idle, args=(process,), daemon=True, name="cpart-worker-idle").start()

    def stop_process(self) -> None:
        """Kill the child, if any, and reap it. The lock is held by the caller."""
        process, self.process, self.sent = self.process, None, None
        if process is not None:
            process.kill()
            process.wait()
            close_stdin(process)

    def read(self, process: subprocess.Popen[str]) -> None:
        """Take answers in until stdout ends; then the request in hand, if it is still ours, has failed."""
        assert process.stdout is not None
        with process.stdout as lines:
            while line := lines.readline(LONGEST_LINE):
                self.take(process, line)
        code = process.wait()
        with self.lock:
            close_stdin(process)
            if self.process is not process:
                return  # killed on purpose: cancel and close have said so
            self.process = None
            failed = self.waiting.popleft()[1] if self.sent is not None else None
            self.sent = None
            if failed is not None:
                failed.fail(ending(code))
            self.send_next()

    def take(self, process: subprocess.Popen[str], line: str) -> None:
        """One line of the protocol; what is no answer to the request in hand (a library printing) is passed over."""
        try:
            answer = json.loads(line)
        except ValueError:
            return
        with self.lock:
            if self.process is not process or not isinstance(answer, dict) or self.sent is None or answer.get("id") != self.sent:
                return
            handle = self.waiting[0][1]
            handle.progress = float(answer.get("progress", handle.progress))
            handle.say = str(answer.get("say", handle.say))
            handle.partial = answer.get("partial", handle.partial)
            if "done" not in answer and "error" not in answer:
                return
            self.waiting.popleft()
            self.sent = None
            self.last_used = time.monotonic()
            if "done" in answer:
                handle.path = Path(answer["done"])
                handle.finished.set()
            else:
                handle.fail(str(answer["error"]))
            self.send_next()

    def end_when_idle(self, process: subprocess.Popen[str]) -> None:
        """Give the memory of torch back when nobody has asked for a while."""
        while process.poll() is None:
            time.sleep(min(1.0, self.idle_seconds))
            with self.lock:
                if self.process is process and self.sent is None and time.monotonic() - self.last_used > self.idle_seconds:
                    self.stop_process()


def close_stdin(process: subprocess.Popen[str]) -> None:
    """Close our end; what was still to be written to a dead process is lost with it."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()


def ending(code: int) -> str:
    """Why a worker that ended by itself has probably ended, in a sentence."""
    if code == -9:
        return (
            "The analysis worker was killed by the system, probably because memory ran out. Close other programs or choose a smaller model."
        )
    return f"The analysis worker ended unexpectedly (exit code {code}). Ask again; it starts afresh."
