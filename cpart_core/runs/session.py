"""A training session: from taking the run's lock to the exit code. Whatever happens is in the run folder before the process ends.

Torch is imported late: the lock is taken, and the page told so, before the seconds that takes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from cpart_core.corpus.build import build_corpus, gather
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.store import load_corpus, save_corpus
from cpart_core.model.passes.mark import all_compiled
from cpart_core.runs.atomic import clear_leftovers
from cpart_core.runs.commands import Commands
from cpart_core.runs.control import RunLock
from cpart_core.runs.create import copy_corpus, read_gathered
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import read_info, write_info
from cpart_core.runs.orders import Orders, stop_on_signals
from cpart_core.runs.records import Heartbeat, RecordWriter
from cpart_core.training.distributed import ALONE, Team, lost_another
from cpart_core.training.records import Record

if TYPE_CHECKING:
    from cpart_core.runs.drive import Drive


class ExitCode(IntEnum):
    """What `run_training` ends with; 2 is the terminal's for a person's mistake (a ValueError here)."""

    DONE = 0
    """All steps made, or stopped on request with a checkpoint."""
    FAILED = 3
    """The loss was not finite, memory or disk ran out: the event says what to change."""


OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad alloc")


LAST_WRITTEN = "corpus.json"
"""Of a corpus's files; where it is, the corpus is whole."""


class StoppedEarly(Exception):
    """Stopped where there is nothing to save: before the first step, or while looking inside after the last."""


class LookInside(Protocol):
    """What is computed for the pages after the last step. `progress(share, say)` is to be called often; it may raise to end it."""

    def __call__(self, run: Run, step: int, progress: Callable[..., None]) -> None: ...


def ignore_record(record: Record) -> None:
    return


def ignore_words(sentence: str) -> None:
    return


def run_training(
    run: Run,
    on_record: Callable[[Record], None] = ignore_record,
    say: Callable[[str], None] = ignore_words,
    look_inside: LookInside | None = None,
    restart: bool = False,
    team: Team = ALONE,
) -> ExitCode:
    """Train `run` to its last step from wherever it is; records are as if it had never been interrupted.

    on_record: called after each record is stored. say: phases and messages for a person. look_inside: called after the last
    step, to compute what the pages show first. restart: forget all checkpoints and begin again. team: the processes that train together,
    connected; this is the first of them, and the others `follow`. ValueError for a person's mistakes (bad text, nothing to resume from,
    trained by another process), which are stored in the run as well.
    """
    if run.read_only:
        raise ValueError(f"Run {run.id} is a sample and is only for looking at; train a run of your own.")
    if run.info.carved is not None:
        raise ValueError(f"Run {run.id} was carved from run {run.info.carved.run} and has no training to go on with; resume that one.")
    with RunLock(run.folder), RecordWriter(run.folder) as writer, closing(Commands(run.folder)) as commands:
        orders = Orders(commands.take)
        with stop_on_signals(orders):
            return Session(run, writer, orders, on_record, say, team).go(look_inside, restart)


class Session:
    """The phases of one session; the lock is held."""

    def __init__(
        self,
        run: Run,
        writer: RecordWriter,
        orders: Orders,
        on_record: Callable[[Record], None],
        say: Callable[[str], None],
        team: Team = ALONE,
    ) -> None:
        self.run = run
        self.team = team
        self.writer = writer
        self.orders = orders
        self.on_record = on_record
        self.say = say
        self.drive: Drive | None = None

    def go(self, look_inside: LookInside | None, restart: bool) -> ExitCode:
        """All phases; a failure is written down as an event before it is returned or raised."""
        self.writer.event("start", step=self.step())
        try:
            finished = self.train(restart)
            if finished and look_inside is not None:
                self.look(look_inside)
        except StoppedEarly:
            finished = False
        except (MemoryError, RuntimeError, OSError) as error:
            sentence = self.explain(error)
            if sentence is None:
                self.writer.event("fail", f"An unexpected error: {type(error).__name__}: {error}", self.step())
                raise
            return self.fail(sentence)
        except Exception as error:
            kind = "" if isinstance(error, ValueError) else f"An unexpected error: {type(error).__name__}: "
            self.writer.event("fail", f"{kind}{error}", self.step())
            raise
        self.writer.event("finish" if finished else "stop", step=self.step())
        return ExitCode.DONE

    def train(self, restart: bool) -> bool:
        """Corpus, trainer, steps. True when the last step is done."""
        clear_leftovers(self.run.folder)
        self.phase("starting")
        corpus = self.corpus()
        self.phase("starting")
        from cpart_core.runs.drive import Drive
        from cpart_core.training.device import keep_freed_memory

        keep_freed_memory()
        self.drive = Drive(self.run, corpus, self.writer, self.orders, self.on_record, self.team)
        self.drive.restore(restart)
        self.compile_passes()
        parameters = sum(parameter.numel() for parameter in self.drive.trainer.model.parameters())
        self.write_info(corpus, parameters)
        if self.drive.trainer.step:
            self.say(f"going on from the checkpoint of step {self.drive.trainer.step}")
        return self.drive.steps()

    def compile_passes(self) -> None:
        """Those of a machine's first training; others find them."""
        from cpart_core.model.warm import compile_passes

        assert self.drive is not None
        if not self.drive.trainer.uses_passes or all_compiled():
            return
        self.phase("compiling for this machine, once")
        if seconds := compile_passes():
            said = f"Compiled passes over memory for {seconds:.1f} s; this machine keeps them for its next runs."
            self.writer.event("note", said, self.drive.trainer.step)

    def corpus(self) -> Corpus:
        """The run's text in tokens: stored, copied from the run whose twin this is, or built now."""
        folder = self.run.folder / "corpus"
        if not (folder / LAST_WRITTEN).is_file():
            twin_of = self.run.info.twin_of
            if twin_of:
                source = open_run(twin_of).folder / "corpus"
                if not (source / LAST_WRITTEN).is_file():
                    raise ValueError(f"This twin trains on the text of run {twin_of}, which has not been read yet. Train that run first.")
                copy_corpus(source, folder)
            else:
                self.phase("gathering text")
                gathered = read_gathered(self.run.folder) or gather(self.run.settings.corpus)
                self.phase("building the corpus")
                save_corpus(build_corpus(gathered, self.run.settings.corpus, self.run.settings.training.seed), folder)
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
        """Compute what the pages show first. Its failure is said, but the training is not undone by it."""
        self.phase("looking inside")
        try:
            look_inside(open_run(self.run.id), self.step(), self.beat_of_look)
        except StoppedEarly:
            self.writer.event("note", "Stopped while looking inside; pages compute the rest when it is asked for.", self.step())
        except (ValueError, MemoryError, RuntimeError, OSError) as error:
            self.writer.event("note", f"The first analysis could not be made: {error}", self.step())

    def beat_of_look(self, share: float, say: str, partial: dict[str, Any] | None = None) -> None:
        """Alive, and stoppable."""
        assert self.drive is not None
        self.writer.heartbeat(self.drive.beat("looking inside", None))
        self.orders.read()
        if self.orders.stopped:
            raise StoppedEarly

    def phase(self, phase: str) -> None:
        """Say what is being done, and end here if a stop was asked for and nothing has been trained yet."""
        self.say(phase)
        self.writer.heartbeat(Heartbeat(0, phase) if self.drive is None else self.drive.beat(phase, None))
        self.orders.read()
        if self.drive is None and self.orders.stopped:
            raise StoppedEarly

    def fail(self, sentence: str) -> ExitCode:
        self.say(sentence)
        self.writer.event("fail", sentence, self.step())
        return ExitCode.FAILED

    def step(self) -> int:
        return 0 if self.drive is None else self.drive.trainer.step

    def explain(self, error: Exception) -> str | None:
        """A sentence for failures that a person can do something about; None for those of ours."""
        from cpart_core.training.loop import NonFiniteLoss

        training = self.run.settings.training
        if isinstance(error, NonFiniteLoss):
            rate, clip = training.learning_rate, training.gradient_clip
            now = f"learning_rate {rate:g}, warmup_steps {training.warmup_steps}, gradient_clip {clip:g}"
            return f"{error} Now: {now}."
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
            model = self.run.settings.model
            return (
                f"Memory ran out. Start again with a smaller batch_size (now {training.batch_size}), "
                f"context_length (now {model.context_length}) or model (width {model.width}, {model.num_layers} layers, "
                f"{model.num_neurons} neurons)."
            )
        if not self.team.alone and lost_another(error):
            return (
                f"Another of the {self.team.size} processes of this run ended or cannot be reached, so training ended here. "
                f"Start it again with resume {self.run.id}, with as many processes as you like: it goes on from its last checkpoint."
            )
        return str(error) if isinstance(error, OSError) else None
