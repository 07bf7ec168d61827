"""A training session: from taking the run's lock to the exit code. Whatever happens is in the run
folder before the process ends.

Torch is imported late: the lock is taken, and the page told so, before the seconds that takes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from cpart_core.records.training import Record
from cpart_core.runs.commands import Commands
from cpart_core.runs.control import RunLock
from cpart_core.runs.explain import Explanations
from cpart_core.runs.folder import Run
from cpart_core.runs.origin import check_trainable
from cpart_core.runs.pending_commands import PendingCommands, stop_on_signals
from cpart_core.runs.prepare import make_ready
from cpart_core.runs.private import make_private
from cpart_core.runs.queue import Slot
from cpart_core.runs.record_writer import BUSY_SECONDS, RecordWriter
from cpart_core.runs.repair import mend_records
from cpart_core.runs.session_phases import ExitCode, LookInside, Session, unless_the_disk_is_full
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup


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
    group: ProcessGroup = SINGLE_PROCESS,
    slot: Slot | None = None,
) -> ExitCode:
    """Train `run` to its last step from wherever it is; records are as if it had never been
    interrupted.

    on_record: called after each record is stored. say: phases and messages for a person.
    look_inside: called after the last step, to compute what the pages show first. restart: forget
    all checkpoints and begin again. group: the processes that train together, connected; this is the
    first of them, and the others `follow`. slot: in the queue of this machine's trainings, which is
    waited for; None = begin at once. ValueError for a person's mistakes (bad text, nothing to
    resume from, trained by another process), which are stored in the run as well.
    """
    if run.read_only:
        raise ValueError(
            f"Run {run.id} is a sample and is only for looking at; train a run of your own."
        )
    check_trainable(run.id, run.info.origin)
    explanations = Explanations(run, group)
    with RunLock(run.folder) as lock:
        make_private(run.folder)
        try:
            make_ready(run.folder)
            if mended := mend_records(run.folder, BUSY_SECONDS):
                lock.note_restarted_events()
            with RecordWriter(run.folder) as writer, closing(Commands(run.folder)) as commands:
                if mended:
                    say(mended)
                    writer.event("note", mended)
                pending = PendingCommands(commands.read_new)
                with stop_on_signals(pending):
                    return Session(
                        run, lock, writer, pending, on_record, say, group, slot, explanations
                    ).go(look_inside, restart)
        except (ValueError, OSError) as error:
            lock.end("fail", str(error))  # also where the records could not even be opened
            raise
        except MemoryError:
            lock.end("fail", explanations.memory)
            unless_the_disk_is_full(say)(explanations.memory)
            return ExitCode.FAILED
