"""The analysis worker's client: a child process that holds torch, so that the page's process does
not. No streamlit here.

`python -m cpart_core worker` is started at the first request, answers one request at a time (JSON
lines both ways), is ended when it has been idle for a while, and is killed and started afresh to
cancel what it is doing. Whatever it writes, or does not: a request ends with a path or a sentence
as soon as the process has ended, and the next one is asked.
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

from app.engine.handle import Handle
from cpart_core.runs.child import python_child

IDLE_SECONDS = 600.0
LONGEST_LINE = 4_000_000
"""Bytes; a longer request is refused here, as the worker would; a longer answer is a broken
worker."""
SECONDS_TO_END = 2.0
"""For a worker that has closed its output to end, and for the last answers of one that has ended to
be read."""


class Worker:
    """Thread-safe: any number of sessions may submit; requests are answered in order, and the same
    request is asked once."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS, command: tuple[str, ...] = ()) -> None:
        self.idle_seconds = idle_seconds
        self.command = command
        """Instead of the real worker's, for tests."""
        self.lock = threading.RLock()
        self.process: subprocess.Popen[bytes] | None = None
        self.waiting: deque[tuple[int, Handle]] = deque()
        self.sent: int | None = None
        self.last_id = 0
        self.last_used = time.monotonic()
        atexit.register(self.close)

    def submit(self, name: str, request: dict[str, Any]) -> Handle:
        """Queue a request and return at once. The same request while one is under way gives the
        same handle."""
        with self.lock:
            for _, handle in self.waiting:
                if handle.name == name and handle.request == request:
                    return handle
            self.last_id += 1
            handle = Handle(name, request)
            handle.line = (
                json.dumps({"id": self.last_id, "name": name, "request": request}).encode() + b"\n"
            )
            if len(handle.line) > LONGEST_LINE:
                handle.fail(
                    f"This request is too long: {len(handle.line):,} bytes, of at most"
                    f" {LONGEST_LINE:,}. Choose a shorter text."
                )
                return handle
            self.waiting.append((self.last_id, handle))
            self.send_next()
            return handle

    def ask(
        self,
        name: str,
        request: dict[str, Any],
        on_progress: Callable[[float, str], None] | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Wait for the path of the stored result. ValueError with the worker's sentence, or after
        `timeout` seconds."""
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
        """Stop one request: a waiting one is taken out, the running one costs the process, which
        starts afresh for the next."""
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
        while self.sent is None and self.waiting:
            number, handle = self.waiting[0]
            try:
                process = self.living_process()
            except OSError as error:
                self.waiting.popleft()
                handle.fail(f"The analysis worker cannot be started: {error.strerror or error}.")
                continue
            self.sent = number
            self.last_used = time.monotonic()
            # On a thread of its own: a worker that does not read must not hold up whoever asks, and
            # the lock with them.
            threading.Thread(
                target=send, args=(process, handle.line), daemon=True, name="cpart-worker-writer"
            ).start()

    def living_process(self) -> subprocess.Popen[bytes]:
        """The process, started if there is none. OSError when the system refuses."""
        if self.process is None or self.process.poll() is not None:
            self.process = self.start_process()
        return self.process

    def start_process(self) -> subprocess.Popen[bytes]:
        """Start the child, its reader and its watcher; they belong to this very process and end
        with it."""
        child = python_child("cpart_core", "worker")
        process = subprocess.Popen(
            self.command or child.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child.environment,
            cwd=child.folder,
        )
        reader = threading.Thread(
            target=self.read, args=(process,), daemon=True, name="cpart-worker-reader"
        )
        reader.start()
        threading.Thread(
            target=self.watch, args=(process, reader), daemon=True, name="cpart-worker-watcher"
        ).start()
        return process

    def stop_process(self) -> None:
        """Kill the child, if any, and reap it. The lock is held by the caller."""
        process, self.process, self.sent = self.process, None, None
        if process is not None:
            process.kill()
            process.wait()

    def read(self, process: subprocess.Popen[bytes]) -> None:
        """Take answers in until stdout ends; then the request in hand, if it is still ours, has
        failed."""
        assert process.stdout is not None
        said = (
            "The analysis worker gave an answer that cannot be read, and was stopped. Ask again; it"
            " starts afresh."
        )
        with process.stdout as lines:
            while line := lines.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    self.lost(process, said)
                    return
                self.take(process, line)
        with suppress(subprocess.TimeoutExpired):
            said = ending(process.wait(SECONDS_TO_END))
        self.lost(process, said)

    def watch(self, process: subprocess.Popen[bytes], reader: threading.Thread) -> None:
        """Give the memory of torch back when nobody has asked for a while; see that the process
        ends, whoever else holds its output open."""
        while process.poll() is None:
            time.sleep(min(1.0, self.idle_seconds))
            with self.lock:
                if (
                    self.process is process
                    and self.sent is None
                    and time.monotonic() - self.last_used > self.idle_seconds
                ):
                    self.stop_process()
        reader.join(SECONDS_TO_END)
        self.lost(process, ending(process.wait()))
        close_stdin(process)

    def lost(self, process: subprocess.Popen[bytes], said: str) -> None:
        """The process can answer no more: fail what it had in hand, and go on with the next.
        Nothing when it was ended on purpose."""
        with self.lock:
            if self.process is not process:
                return
            failed = self.waiting.popleft()[1] if self.sent is not None else None
            self.stop_process()
            if failed is not None:
                failed.fail(said)
            self.send_next()

    def take(self, process: subprocess.Popen[bytes], line: bytes) -> None:
        """One line of the protocol; what is no answer to the request in hand (a library printing)
        is passed over.

        An error without an id is of a line that the worker could not read: the one it has been
        sent.
        """
        answer = answer_in(line)
        with self.lock:
            if self.process is not process or self.sent is None:
                return
            if answer.get("id") != self.sent and not (
                answer.get("id") is None and "error" in answer
            ):
                return
            handle = self.waiting[0][1]
            handle.note(answer)
            if "done" not in answer and "error" not in answer:
                return
            self.waiting.popleft()
            self.sent = None
            self.last_used = time.monotonic()
            if isinstance(answer.get("done"), str):
                handle.path = Path(answer["done"])
                handle.finished.set()
            else:
                handle.fail(
                    str(answer.get("error", "The analysis worker named no result. Ask again."))
                )
            self.send_next()


def answer_in(line: bytes) -> dict[str, Any]:
    """The JSON object of a line; an empty one where there is none."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def send(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Write a request. When the process has died, its reader sees the end of stdout and fails the
    request."""
    assert process.stdin is not None
    with suppress(OSError, ValueError):  # ValueError: closed meanwhile
        process.stdin.write(line)
        process.stdin.flush()


def close_stdin(process: subprocess.Popen[bytes]) -> None:
    """Close our end; what was still to be written to a dead process is lost with it."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()


def ending(code: int) -> str:
    """Why a worker that ended by itself has probably ended, in a sentence."""
    if code == -9:
        return (
            "The analysis worker was killed by the system, probably because memory ran out. Close"
            " other programs or choose a smaller model."
        )
    return (
        f"The analysis worker ended unexpectedly (exit code {code}). Ask again; it starts afresh."
    )
