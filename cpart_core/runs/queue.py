"""The queue of trainings: as many at once as the machine has room for, the others wait in order.

Each waits in a process of its own.

<root>/.turns/00000012-<run id>   an entry, locked by its trainer while that lives, so that no slot
                                  can stay taken by a process that died
<root>/.turns/door                the queue's lock, held for a moment by whoever reads the entries

So there is no server that could fail, and the queue outlives the server of the pages. Trainings of
other roots are not seen.
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

from cpart_core.files.plain import NotPlain, open_plain, plain_folder
from cpart_core.runs.control import open_lock, try_lock
from cpart_core.training.capacity import Machine, Need

FOLDER = ".turns"
LOCK = "door"
ENTRY = re.compile(r"([0-9]{8})-([a-z0-9][a-z0-9-]{0,63})")
ENTRY_BYTES = 512
LOCK_SECONDS = 10.0
MOST_WAITING = 50
"""Each waits in a process of some 50 MB."""


@dataclass(frozen=True)
class Entry:
    """A training that waits or runs."""

    number: int
    run: str
    need: Need
    gpu: int = -1
    """Which of the machine's GPUs it has; -1 = none."""
    running: bool = False

    @property
    def file(self) -> str:
        return f"{self.number:08d}-{self.run}"


@dataclass(frozen=True)
class Position:
    """Where in the queue a training is."""

    before: int
    """Trainings that come first."""
    running: int
    """Trainings under way."""

    def __str__(self) -> str:
        under_way = f"{self.running} training{'' if self.running == 1 else 's'} under way"
        return f"place {self.before + 1} in line, {under_way}"


class Slot:
    """What one process asks of the queue: room for a training, given back when the block is left.

    `with Slot(root, run_id, need, machine) as slot: ... slot.request()`
    """

    def __init__(self, root: Path, run_id: str, need: Need, machine: Machine) -> None:
        self.root = root
        self.run_id = run_id
        self.need = need
        self.machine = machine
        self.entry: Entry | None = None
        self._file: BinaryIO | None = None

    @property
    def folder(self) -> Path:
        return self.root / FOLDER

    def request(self) -> Position | None:
        """None when training may begin, or has begun; else the position in the queue.

        Ask again until then. ValueError when the queue is full, OSError when it cannot be used.
        """
        if self.entry is not None and self.entry.running:
            return None
        with self.locked():
            others = self.other_entries()
            mine = self.entry or self.append(others)
            running = [entry for entry in others if entry.running]
            before = [
                entry
                for entry in others
                if not entry.running
                and entry.number < mine.number
                and entry.need.gpu == self.need.gpu
            ]
            if before or not self.machine.has_room(self.need, [entry.need for entry in running]):
                return Position(len(before), len(running))
            taken = {entry.gpu for entry in running}
            gpu = (
                next((gpu for gpu in range(self.machine.gpus) if gpu not in taken), -1)
                if self.need.gpu
                else -1
            )
            self.store(replace(mine, running=True, gpu=gpu))
        return None

    def append(self, others: list[Entry]) -> Entry:
        """An entry behind all others."""
        if sum(not entry.running for entry in others) >= MOST_WAITING:
            raise ValueError(
                f"{MOST_WAITING} trainings wait for their turn already. Stop some of them first, or"
                " wait."
            )
        entry = Entry(
            1 + max((entry.number for entry in others), default=0), self.run_id, self.need
        )
        self._file = open_lock(self.folder / entry.file)
        # under the queue's lock nobody else looks
        assert try_lock(self._file, shared=False), entry.file
        return self.store(entry)

    def store(self, entry: Entry) -> Entry:
        """Write it into its file, in place."""
        assert self._file is not None
        self._file.seek(0)
        self._file.write(json.dumps(asdict(entry)).encode().ljust(ENTRY_BYTES))
        self.entry = entry
        return entry

    def other_entries(self) -> list[Entry]:
        """Those whose trainer lives, first ones first; those of dead ones are deleted."""
        found = []
        for name in sorted(os.listdir(self.folder)):
            if not ENTRY.fullmatch(name) or (self.entry is not None and name == self.entry.file):
                continue
            with suppress(OSError, NotPlain):
                entry = read_entry(self.folder, name)
                if entry is None:
                    (self.folder / name).unlink(missing_ok=True)
                else:
                    found.append(entry)
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The queue's lock. OSError when another program keeps it, or the queue is no plain
        folder."""
        try:
            plain_folder(self.root, FOLDER, make=True)
            file = open_lock(self.folder / LOCK)
        except NotPlain as error:
            raise OSError(str(error)) from None
        with file:
            deadline = time.monotonic() + LOCK_SECONDS
            while not try_lock(file, shared=False):
                if time.monotonic() > deadline:
                    raise OSError(
                        f"The queue of trainings in {FOLDER} stays locked by another program."
                    )
                time.sleep(0.02)
            yield

    def release(self) -> None:
        """Give the slot to others; again does nothing."""
        if self._file is not None:
            assert self.entry is not None
            with suppress(OSError):  # Windows deletes no open file: the next one to look does
                (self.folder / self.entry.file).unlink(missing_ok=True)
            self._file.close()
            self._file = self.entry = None

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def use_gpu(self) -> None:
        """Show torch, if it was not imported yet, only the GPU that this training has."""
        if (
            self.entry is not None
            and self.entry.gpu >= 0
            and self.machine.gpus > 1
            and "torch" not in sys.modules
        ):
            visible = [
                name
                for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
                if name.strip()
            ]
            os.environ["CUDA_VISIBLE_DEVICES"] = (
                visible[self.entry.gpu] if self.entry.gpu < len(visible) else str(self.entry.gpu)
            )


def read_entry(folder: Path, name: str) -> Entry | None:
    """What an entry says; None when its trainer is dead. OSError or NotPlain when it is no file."""
    with os.fdopen(open_plain(folder, name), "rb") as file:
        if try_lock(file, shared=True):
            return None
        file.seek(0)  # where the system locks by bytes, it was moved
        return entry_from(name, file.read(ENTRY_BYTES))


def entry_from(name: str, written: bytes) -> Entry:
    """The entry in a file; of one that says nothing sensible, that it is there and runs."""
    number = int(name[:8])
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        data = json.loads(written)
        need = Need(
            int(data["need"]["cores"]), int(data["need"]["bytes"]), bool(data["need"]["gpu"])
        )
        return Entry(number, name[9:], need, int(data["gpu"]), bool(data["running"]))
    return Entry(number, name[9:], Need(1, 0, False), -1, True)
