"""The analysis worker: requests as JSON lines on stdin, progress and answers as JSON lines on
stdout, results into the run folder.

    {"id": 1, "name": "trace", "request": {"run": "...", "step": 600, "text": "..."}}      a question
    {"id": 1, "progress": 0.4, "say": "Layer 2 of 4"}                                      any number, some with "partial"
    {"id": 1, "done": "<path of the stored result>"}   or   {"id": 1, "error": "a sentence"}

Every line is answered, also one that is no request: with the id where one can be read, else with
null. One request at a time; it ends when stdin does, or on SIGTERM. To stop a request, end the
process: a result is stored whole or not at all. {"id": 0, "name": "warm"} (or the first map) makes
UMAP compile on a thread of its own, so that the first map need not wait for it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO

import numpy as np

from cpart_core.analysis.source import Sources
from cpart_core.model.kernels.cpu.compiled_mark import kept_in
from cpart_core.runs.folder import open_run
from cpart_core.runs.result_files import result_file
from cpart_core.service.answering import answer, check, stored
from cpart_core.service.registry import analysis_named

LONGEST_LINE = 4_000_000
"""Bytes of one request."""
STARTS_WITH_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*(\d{1,18})\s*[,}]')
"""How our client begins a line, so that one that cannot be read is still answered to whoever waits
for it."""
SECONDS_BETWEEN_PROGRESS = 0.05


class Worker:
    """Answers the lines of one stream on another."""

    def __init__(self, output: TextIO) -> None:
        self.output = output
        self.sources = Sources()
        self.warming: threading.Thread | None = None
        self.told = 0.0

    def serve(self, lines: BinaryIO) -> None:
        """Until the lines end."""
        while line := lines.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                pass_over_rest(lines)
                self.write(
                    {
                        "id": id_of(line),
                        "error": (
                            f"A request may have at most {LONGEST_LINE:,} bytes; this one has more."
                        ),
                    }
                )
            elif line.strip():
                self.take(line)

    def take(self, line: bytes) -> None:
        """Answer one line; whatever is wrong with it becomes a sentence."""
        number: Any = id_of(line)
        try:
            number, name, request = parse(line)
            if name == "warm":
                self.warm()
                self.write({"id": number, "done": ""})
                return
            path = self.result_path(number, name, request)
            self.write({"id": number, "done": str(path)})
            if "method" in request:
                self.warm()
        except BrokenPipeError:
            raise  # nobody listens any more
        except Exception as error:  # noqa: BLE001  of numpy, torch, SQLite: whoever asked is answered, and the next one, too
            self.write({"id": number, "error": sentence(error)})

    def result_path(self, number: Any, name: str, request: Any) -> Path:
        """Where the result lies, computed first if it is not there or no longer true."""
        analysis = analysis_named(name)
        check(analysis, request)
        run = open_run(request["run"])
        found = stored(run, name, request)
        if found is not None and analysis.is_current(run, found):
            return next(
                folder / result_file(name, request)
                for folder in run.result_folders()
                if (folder / result_file(name, request)).is_file()
            )
        if request.get("method") == "umap" and self.warming is not None and self.warming.is_alive():
            self.write(
                {
                    "id": number,
                    "progress": 0.0,
                    "say": "UMAP is being made ready (once after each start)",
                }
            )
            self.warming.join()

        def progress(share: float, say: str, partial: dict[str, Any] | None = None) -> None:
            self.progress(number, share, say, partial)

        return run.store_result(name, request, answer(name, request, progress, self.sources))

    def progress(self, number: Any, share: float, say: str, partial: dict[str, Any] | None) -> None:
        """Tell how far it is, at most 20 times a second; a partial result is always told."""
        now = time.monotonic()
        if partial is None and now - self.told < SECONDS_BETWEEN_PROGRESS:
            return
        self.told = now
        message: dict[str, Any] = {
            "id": number,
            "progress": round(min(max(share, 0.0), 1.0), 4),
            "say": say,
        }
        self.write(message if partial is None else {**message, "partial": partial})

    def write(self, message: dict[str, Any]) -> None:
        self.output.write(json.dumps(message) + "\n")
        self.output.flush()

    def warm(self) -> None:
        """Start compiling UMAP, once."""
        if self.warming is None:
            self.warming = threading.Thread(target=compile_umap, daemon=True, name="cpart-warm")
            self.warming.start()


def compile_umap() -> None:
    """Lay out a few points twice, so that everything UMAP needs is imported and compiled (about 10
    s of one core)."""
    from cpart_core.analysis.maps.plane import lay_out
    from cpart_core.model.kernels.cpu.numbers import alone

    points = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    with alone():
        lay_out([points + 0.1, points], "umap", 0)


def pass_over_rest(lines: BinaryIO) -> None:
    """To the end of a line that is too long."""
    while (rest := lines.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def id_of(line: bytes) -> int | None:
    """The id with which a line begins, be the rest what it may; None where it does not begin so."""
    begins = STARTS_WITH_ID.match(line)
    return int(begins[1]) if begins else None


def parse(line: bytes) -> tuple[Any, str, Any]:
    """(id, name, request) of a line, or ValueError."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"This line is not valid JSON: {error}.") from None
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise ValueError("A request is a JSON object with id, name and request.")
    return data.get("id"), data["name"], data.get("request")


def sentence(error: BaseException) -> str:
    """What went wrong, for a person: our own ValueErrors are sentences already."""
    said = " ".join(str(error).split())[:600]
    if isinstance(error, MemoryError) or "not enough memory" in said:
        return (
            "There is not enough memory for this analysis. Close other programs, or choose a"
            " smaller model or a shorter text."
        )
    if isinstance(error, ValueError):
        return said
    if isinstance(error, OSError):
        return f"The disk refused: {said}."
    return f"The analysis failed ({type(error).__name__}: {said or 'no reason given'})."


def private_stdout() -> TextIO:
    """The real stdout for the protocol alone; whatever a library prints goes to stderr instead."""
    sys.stdout.flush()
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


def end(*_: object) -> NoReturn:
    """Leave at once: nothing is half-written (results are renamed into place), and a compiling
    thread cannot be waited for."""
    os._exit(0)


def main() -> int:
    """Serve stdin until it ends. Half of the cores, so that page and training stay alive."""
    os.environ["NUMBA_CACHE_DIR"] = str(kept_in())
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    output = private_stdout()
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    try:
        Worker(output).serve(sys.stdin.buffer)
    except BrokenPipeError:
        end()  # nobody listens any more
    end()
