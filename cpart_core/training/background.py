"""Work that takes long and asks nobody, on a thread of its own; the main thread reads commands
and says that the trainer lives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.2
NAME = "attended work"


def attended(work: Callable[[], T], look: Callable[[], None]) -> T:
    """What `work` returns or raises. `look` is called every LOOK_SECONDS; what it raises ends the
    waiting, and nobody learns of the work any more, so `work` must only compute: what it finds is
    stored by whoever called this.
    """
    done: Future[T] = Future()

    def do() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised again below, on the thread that asked
            done.set_exception(error)

    threading.Thread(target=do, daemon=True, name=NAME).start()
    while not wait((done,), LOOK_SECONDS).done:
        look()
    return done.result()


def left_at_work() -> bool:
    """Whether work that nobody waits for any more is still going on. It must not be torn down with
    the interpreter."""
    return any(thread.name == NAME for thread in threading.enumerate())
