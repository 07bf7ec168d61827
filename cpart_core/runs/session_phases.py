"""The phases of a training session whose lock is held: queue, corpus, steps, looking inside. What
goes wrong is written down before it is raised or returned.

Torch is imported late: the page is told of the session before the seconds that takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cpart_core.corpus.build import build_corpus, gather
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.store import load_corpus, save_corpus
from cpart_core.model.kernels.cpu.compiled_mark import all_compiled, kept_in
from cpart_core.records.training import Record
from cpart_core.runs.compile_kernels import compiled_by_another
from cpart_core.runs.control import RunLock, end_others
from cpart_core.runs.create import copy_corpus, read_gathered
from cpart_core.runs.explain import Explanations, FolderGone, quiet, says_memory
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import read_info, write_info
from cpart_core.runs.other_processes import GRACE_SECONDS, Command, broadcast, processes_beside
from cpart_core.runs.pending_commands import PendingCommands
from cpart_core.runs.queue import Position, Slot
from cpart_core.runs.record_writer import Heartbeat, RecordWriter
from cpart_core.runs.status import QUEUED
from cpart_core.training.background import attended
from cpart_core.training.precheck import check_before, count_corpus
from cpart_core.training.process_group import ProcessGroup

if TYPE_CHECKING:
    from cpart_core.runs.train_loop import Drive

T = TypeVar("T")


class ExitCode(IntEnum):
    """What `run_training` ends with; 2 is the terminal's for a person's mistake (a ValueError
    here)."""

    DONE = 0
    """All steps made, or stopped on request with a checkpoint."""
    FAILED = 3
    """The loss was not finite, memory or disk ran out: the event says what to change."""


LAST_WRITTEN = "corpus.json"
"""Of a corpus's files; where it is, the corpus is whole."""
RESERVE_BYTES = 8 << 20
"""Of memory, let go of when there is no more, so that the reason can be written down."""
SECONDS_BETWEEN_REQUESTS = 0.3
"""Between two requests for a slot."""
SECONDS_BETWEEN_WORDS = 5.0
"""To the other processes, while the first does what they wait for."""


class StoppedEarly(Exception):
    """Stopped where there is nothing to save: before the first step, or while looking inside after
    the last."""


class LookInside(Protocol):
    """What is computed for the pages after the last step. `progress(share, say)` is to be called
    often; it may raise to end it."""

    def __call__(self, run: Run, step: int, progress: Callable[..., None]) -> None: ...


class Session:
    """The phases of one session; the lock is held."""

    def __init__(
        self,
        run: Run,
        lock: RunLock,
        writer: RecordWriter,
        pending: PendingCommands,
        on_record: Callable[[Record], None],
        say: Callable[[str], None],
        group: ProcessGroup,
        slot: Slot | None,
        explanations: Explanations,
    ) -> None:
        self.run = run
        self.slot = slot
        self.lock = lock
        self.group = group
        self.writer = writer
        self.pending = pending
        self.on_record = unless_the_disk_is_full(on_record)
        self.say = unless_the_disk_is_full(say)
        self.drive: Drive | None = None
        self.explanations = explanations
        self.reserve: bytearray | None = bytearray(RESERVE_BYTES)
        self.phase_now = ""
        self.last_word = time.monotonic()

    def go(self, look_inside: LookInside | None, restart: bool) -> ExitCode:
        """All phases; a failure is written down before it is returned or raised."""
        self.writer.event("start", step=self.step())
        try:
            if not self.group.alone:
                broadcast(self.group, Command.WHO)
                self.lock.join(processes_beside(self.group))
            finished = self.train(restart)
            if finished and look_inside is not None:
                self.look(look_inside)
        except StoppedEarly:
            finished = False
        except KeyboardInterrupt:
            self.end(
                "stop",
                "Interrupted before its last step could be saved. Resume goes on from its last"
                " checkpoint.",
            )
            raise
        except Exception as error:
            self.reserve = None
            persons = isinstance(error, ValueError) and not says_memory(error)
            sentence = str(error) if persons else self.explanations.of(error)
            self.end("fail", sentence or f"An unexpected error: {type(error).__name__}: {error}")
            if sentence is None or persons:
                raise
            self.say(sentence)
            if sentence == self.explanations.lost:
                end_others(self.run.folder, GRACE_SECONDS)  # one that hangs ends by nothing else
            return ExitCode.FAILED
        self.end("finish" if finished else "stop")
        return ExitCode.DONE

    def end(self, kind: str, message: str = "") -> None:
        """Last words: in the lock, which has room for them on the fullest disk, and among the
        events."""
        self.lock.end(kind, message)
        self.writer.event(kind, message, self.step())

    def train(self, restart: bool) -> bool:
        """Corpus, trainer, steps. True when the last step is done."""
        self.wait_for_slot()
        self.phase("starting")
        corpus = self.corpus()
        self.phase("starting")
        from cpart_core.runs.train_loop import Drive
        from cpart_core.training.device import keep_freed_memory

        self.phase("starting")  # the import has taken seconds
        keep_freed_memory()
        self.drive = Drive(self.run, corpus, self.writer, self.pending, self.on_record, self.group)
        self.drive.restore(restart)
        self.compile_cpu_kernels()
        parameters = sum(parameter.numel() for parameter in self.drive.trainer.model.parameters())
        self.write_info(corpus, parameters)
        if self.drive.trainer.step:
            self.say(f"going on from the checkpoint of step {self.drive.trainer.step}")
        return self.drive.steps()

    def wait_for_slot(self) -> None:
        """Until this machine has room for one more training. StoppedEarly when told to leave the
        queue."""
        if self.slot is None:
            return
        while (position := self.position_in_queue()) is not None:
            if self.phase_now != (words := f"{QUEUED}: {position}"):
                self.phase(words)
            self.beat(words)
            time.sleep(SECONDS_BETWEEN_REQUESTS)
        self.slot.use_gpu()

    def position_in_queue(self) -> Position | None:
        """None when training may begin, also where there can be no queue."""
        assert self.slot is not None
        try:
            return self.slot.request()
        except OSError as error:
            said = (
                "Begun without waiting for other trainings, since the queue cannot be used:"
                f" {error}"
            )
            self.writer.event("note", said, self.step())
            return None

    def compile_cpu_kernels(self) -> None:
        """Those of a machine's first training, before its first step; without them all the way
        where that fails.

        Another process does it: what a process has compiled itself differs in the last bits from
        what it finds compiled, and the first training of a machine shall be as all others.
        """
        assert self.drive is not None
        trainer = self.drive.trainer
        if not trainer.state.cpu_kernels or all_compiled():
            return
        broadcast(self.group, Command.COMPILE)
        self.phase("compiling for this machine, once")
        began = time.monotonic()
        trainer.state.cpu_kernels = compiled_by_another(lambda: self.beat(self.phase_now))
        if trainer.state.cpu_kernels:
            said = (
                f"Compiled the CPU kernels for {time.monotonic() - began:.1f} s; this machine"
                " keeps them for its next runs."
            )
        else:
            said = (
                f"The CPU kernels could not be compiled, or not be kept in {kept_in().name}:"
                " this run trains without them."
            )
        self.writer.event("note", said, trainer.step)

    def corpus(self) -> Corpus:
        """The run's text in tokens: stored, copied from the run whose twin this is, or built
        now."""
        folder = self.run.folder / "corpus"
        if not (folder / LAST_WRITTEN).is_file():
            twin_of = self.run.info.twin_of
            if twin_of:
                source = open_run(twin_of).folder / "corpus"
                if not (source / LAST_WRITTEN).is_file():
                    raise ValueError(
                        f"This twin trains on the text of run {twin_of}, which has not been read"
                        " yet. Train that run first."
                    )
                copy_corpus(source, folder)
            else:
                settings, seed = self.run.settings.corpus, self.run.settings.training.seed
                self.phase("gathering text")
                gathered = self.attended(lambda: read_gathered(self.run.folder) or gather(settings))
                self.phase("building the corpus")
                built = self.attended(lambda: build_corpus(gathered, settings, seed))
                check_before(self.run.settings, count_corpus(built))
                save_corpus(built, folder)
        return load_corpus(folder)

    def write_info(self, corpus: Corpus, num_parameters: int) -> None:
        """Complete run.json with what is known only now."""
        info = read_info(self.run.folder)
        known = replace(
            info,
            contexts=corpus.contexts,
            discovered=corpus.discovered,
            fingerprint=corpus.fingerprint,
            vocabulary_size=corpus.vocabulary_size,
            num_parameters=num_parameters,
        )
        if known != info:
            write_info(self.run.folder, known)

    def look(self, look_inside: LookInside) -> None:
        """Compute what the pages show first. Its failure is said, but the training is not undone by
        it."""
        self.phase("looking inside")
        try:
            look_inside(open_run(self.run.id), self.step(), self.beat_of_look)
        except StoppedEarly:
            self.writer.event(
                "note",
                "Stopped while looking inside; pages compute the rest when it is asked for.",
                self.step(),
            )
        except FolderGone:
            raise
        except (ValueError, MemoryError, RuntimeError, OSError) as error:
            self.writer.event("note", f"The first analysis could not be made: {error}", self.step())

    def beat_of_look(self, share: float, say: str, partial: dict[str, Any] | None = None) -> None:
        """Alive, and stoppable."""
        self.beat("looking inside")

    def attended(self, work: Callable[[], T]) -> T:
        """What `work` finds; StoppedEarly as soon as a stop is asked for."""
        phase = self.phase_now
        return attended(work, lambda: self.beat(phase))

    def phase(self, phase: str) -> None:
        """Say what is being done, and end here if a stop was asked for and nothing has been trained
        yet."""
        self.phase_now = phase
        self.say(phase)
        self.beat(phase, stoppable=self.drive is None)

    def beat(self, phase: str, stoppable: bool = True) -> None:
        """Alive, also to those who wait for this process, with the run's folder where it was, and
        reading commands."""
        self.writer.heartbeat(
            Heartbeat(0, phase) if self.drive is None else self.drive.beat(phase, None)
        )
        self.writer.check()
        if time.monotonic() - self.last_word > SECONDS_BETWEEN_WORDS:
            self.last_word = time.monotonic()
            broadcast(self.group, Command.WAIT)
        self.pending.read()
        if stoppable and self.pending.stopped:
            raise StoppedEarly

    def step(self) -> int:
        return 0 if self.drive is None else self.drive.trainer.step


S = TypeVar("S")


def unless_the_disk_is_full(say: Callable[[S], None]) -> Callable[[S], None]:
    """The same, but a log that cannot take a line ends no training."""

    def said(what: S) -> None:
        try:
            say(what)
        except OSError as error:
            if not quiet(error):
                raise

    return said
