"""What the trainer has been told, added up: commands from pages and terminals, and signals of the
system."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

ANSWER = b"\nFinishing the step and saving. Press Ctrl-C once more to end without saving.\n"
Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class PendingCommands:
    """Paused, stopped, or free to go on. `read_new` returns the commands given since the last call,
    oldest first."""

    def __init__(self, read_new: Callable[[], Sequence[str]]) -> None:
        self.read_new = read_new
        self.paused = False
        self.stopped = False
        self.steps_left = 0
        """Steps that may still be made while paused."""

    def read(self) -> bool:
        """Look for new commands; call once before each step. True when training changed between
        paused and going on."""
        before = self.paused
        for command in self.read_new():
            match command:
                case "pause":
                    self.paused, self.steps_left = True, 0
                case "resume":
                    self.paused, self.steps_left = False, 0
                case "step":
                    self.paused, self.steps_left = True, self.steps_left + 1
                case "stop":
                    self.stopped = True
        return before != self.paused

    def may_step(self) -> bool:
        """True when a step may be made now; a single step that was asked for is counted off."""
        if self.stopped:
            return False
        if self.paused and self.steps_left:
            self.steps_left -= 1
            return True
        return not self.paused


@contextmanager
def stop_on_signals(pending: PendingCommands) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP ask for the same as a stop: finish the step, write a checkpoint. A
    third SIGINT interrupts at once.

    The second one is only answered: whoever presses Ctrl-C twice is impatient, and has not thought
    of the checkpoint.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; commands still work
        return
    pressed = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pending.stopped = True
        pressed += number == signal.SIGINT
        if pressed > 2:
            raise KeyboardInterrupt
        if pressed == 2 and number == signal.SIGINT:
            with suppress(OSError):  # straight to the terminal: a handler may interrupt a print
                os.write(2, ANSWER)

    with handled_by(stop):
        yield


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP go to `handler` within the block. For the main thread."""
    wanted = [
        getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
    ]
    # What is ignored stays ignored: `nohup` means to outlive the terminal.
    before = {
        number: signal.signal(number, handler)
        for number in wanted
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
