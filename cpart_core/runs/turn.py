"""Whose turn it is: trainings at once are limited to what the machine has, and the others wait in line, each in a process of its own.

<root>/.turns/00000012-<run id>   a ticket, locked by its trainer as long as that lives: nobody can forget to give it back
<root>/.turns/door                locked by whoever looks at the tickets, for a moment

So there is no server that could fail, and a line outlives the server of the pages. Trainings of other roots are not seen.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from cpart_core.runs.control import open_lock, try_lock
from cpart_core.training.machine import Machine, Need

FOLDER = ".turns"
DOOR = "door"
TICKET = re.compile(r"([0-9]{8})-([a-z0-9][a-z0-9-]{0,63})")
TICKET_BYTES = 512
DOOR_SECONDS = 10.0
MOST_WAITING = 50
"""Each waits in a process of some 50 MB."""


@dataclass(frozen=True)
class Ticket:
    """A training in line or under way."""

    number: int
    run: str
    need: Need
    gpu: int = -1
    """Which of the machine's GPUs it has; -1 = none."""
    running: bool = False


@dataclass(frozen=True)
class Place:
    """Where in line a training is."""

    before: int
    """Trainings that come first."""
    running: int
    """Trainings under way."""

    def __str__(self) -> str:
        under_way = f"{self.running} training{'' if self.running == 1 else 's'} under way"
        return f"place {self.before + 1} in line, {under_way}"


class Turn:
    """`with Turn(root, run_id, need, machine) as turn: ... turn.come()`. The place in line of one process; left when the block is."""

    def __init__(self, root: Path, run_id: str, need: Need, machine: Machine) -> None:
        self.folder = root / FOLDER
        self.run_id = run_id
        self.need = need
        self.machine = machine
        self.ticket: Ticket | None = None
        self._file: BinaryIO | None = None

    def come(self) -> Place | None:
        """None when training may begin, or has begun; else the place in line. Call it again until then. ValueError when the line is
        full."""
        if self.ticket is not None and self.ticket.running:
            return None
        with self.door():
            others = [ticket for ticket in self.living() if self.ticket is None or ticket.number != self.ticket.number]
            mine = self.ticket or self.draw(others)
            running = [ticket for ticket in others if ticket.running]
            before = [
                ticket for ticket in others if not ticket.running and ticket.number < mine.number and ticket.need.gpu == self.need.gpu
            ]
            if before or not self.machine.has_room(self.need, [ticket.need for ticket in running]):
                return Place(len(before), len(running))
            taken = {ticket.gpu for ticket in running}
            gpu = next((gpu for gpu in range(self.machine.gpus) if gpu not in taken), -1) if self.need.gpu else -1
            self.write(replace(mine, running=True, gpu=gpu))
        return None

    def draw(self, others: list[Ticket]) -> Ticket:
        """A ticket behind all others."""
        if sum(not ticket.running for ticket in others) >= MOST_WAITING:
            raise ValueError(f"{MOST_WAITING} trainings wait for their turn already. Stop some of them first, or wait.")
        number = 1 + max((ticket.number for ticket in others), default=0)
        path = self.folder / f"{number:08d}-{self.run_id}"
        self._file = open_lock(path)
        assert try_lock(self._file, shared=False), path  # behind the door nobody else looks
        return self.write(Ticket(number, self.run_id, self.need))

    def write(self, ticket: Ticket) -> Ticket:
        assert self._file is not None
        self._file.seek(0)
        self._file.write(json.dumps(asdict(ticket)).encode().ljust(TICKET_BYTES))
        self.ticket = ticket
        return ticket

    def living(self) -> list[Ticket]:
        """Tickets whose trainer lives, first ones first; those of the dead are torn up."""
        found = []
        for path in sorted(self.folder.iterdir()):
            if not TICKET.fullmatch(path.name) or path.is_symlink() or not path.is_file():
                continue
            with suppress(OSError):
                if self.ticket is not None and path.name == f"{self.ticket.number:08d}-{self.run_id}":
                    continue
                with open(path, "rb") as file:
                    if try_lock(file, shared=True):
                        path.unlink(missing_ok=True)
                        continue
                    found.append(ticket_from(path.name, file.read(TICKET_BYTES)))
        return found

    @contextmanager
    def door(self) -> Iterator[None]:
        """One at a time. OSError when it stays shut."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_lock(self.folder / DOOR) as door:
            deadline = time.monotonic() + DOOR_SECONDS
            while not try_lock(door, shared=False):
                if time.monotonic() > deadline:
                    raise OSError(f"The line of trainings in {self.folder.name} stays locked by another program.")
                time.sleep(0.02)
            yield

    def leave(self) -> None:
        """Give the place to others; again does nothing."""
        if self._file is not None:
            assert self.ticket is not None
            with suppress(OSError):
                (self.folder / f"{self.ticket.number:08d}-{self.run_id}").unlink(missing_ok=True)
            self._file.close()
            self._file = self.ticket = None

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.leave()

    def use_gpu(self) -> None:
        """Show torch, if it was not imported yet, only the GPU that this training has."""
        if self.ticket is not None and self.ticket.gpu >= 0 and self.machine.gpus > 1 and "torch" not in sys.modules:
            visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
            os.environ["CUDA_VISIBLE_DEVICES"] = visible[self.ticket.gpu] if self.ticket.gpu < len(visible) else str(self.ticket.gpu)


def ticket_from(name: str, written: bytes) -> Ticket:
    """What a ticket says; of one that says nothing sensible, that it is there and runs."""
    number = int(name[:8])
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        data = json.loads(written)
        need = Need(int(data["need"]["cores"]), int(data["need"]["bytes"]), bool(data["need"]["gpu"]))
        return Ticket(number, name[9:], need, int(data["gpu"]), bool(data["running"]))
    return Ticket(number, name[9:], Need(1, 0, False), -1, True)
