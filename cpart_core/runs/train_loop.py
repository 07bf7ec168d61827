"""The drive from the first step to the last: takes the trainer's records, stores them, carries
out commands, writes checkpoints.

Knows torch only through the trainer. Who starts it, how it fails and what the exit code is:
`session`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from safetensors import SafetensorError

from cpart_core.corpus.document import Corpus
from cpart_core.corpus.store import save_corpus
from cpart_core.records.training import Record
from cpart_core.runs.checkpoint import Checkpoint, load_latest, save_checkpoint, steps_in
from cpart_core.runs.checkpoint_files import CheckpointConfig
from cpart_core.runs.database import reading
from cpart_core.runs.folder import Run
from cpart_core.runs.mirror import Mirror, open_mirror
from cpart_core.runs.other_processes import Command, broadcast, broadcast_run, broadcast_state
from cpart_core.runs.pending_commands import PendingCommands
from cpart_core.runs.record_writer import Heartbeat, RecordWriter
from cpart_core.runs.repair import missing_steps
from cpart_core.runs.unlabelled import without_found_labels
from cpart_core.training.loop import Trainer
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup

STEPS_WITHOUT_ETA = 20
"""The first steps are slow (allocation, caches); a time left made of them would mislead."""
PAUSE_SECONDS = 0.1
"""Between two looks for commands while paused."""


class Drive:
    """One trainer and one run folder. The caller holds the run's lock; of several processes it is
    the first, and leads the others."""

    def __init__(
        self,
        run: Run,
        corpus: Corpus,
        writer: RecordWriter,
        pending: PendingCommands,
        on_record: Callable[[Record], None],
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self.run = run
        self.group = group
        self.settings = run.settings.training
        self.writer = writer
        self.pending = pending
        self.on_record = on_record
        broadcast_run(group, run.settings, run.folder / "corpus")
        self.trainer = Trainer(run.settings, without_found_labels(corpus), group)
        self.mirror: Mirror = open_mirror(self.settings.mirror, run.folder / "tensorboard")
        self.checkpoints = run.folder / "checkpoints"
        self.saved_step = -1
        self.speed = Speed(self.settings.steps)

    def restore(self, restart: bool = False) -> None:
        """Go back to the last good checkpoint, or to step 0 without one, and forget all records
        after it.

        ValueError when there are checkpoints but none can be trusted: nothing is deleted unless
        `restart` says so.
        """
        latest = load_latest(
            self.checkpoints, self.last_recorded_step(), self.settings.checkpoint_every
        )
        for entry in latest.damaged:
            self.writer.event(
                "note",
                f"The checkpoint of step {entry.step} was passed over: {entry.reason}",
                entry.step,
            )
        if latest.checkpoint is not None and not restart:
            broadcast(self.group, Command.RESTORE)
            state = (
                latest.checkpoint.weights,
                latest.checkpoint.tensors,
                latest.checkpoint.numbers,
            )
            self.trainer.restore(*broadcast_state(self.group, state))
            self.saved_step = self.trainer.step
            self.note_other_device(latest.checkpoint.numbers.get("device"))
        elif latest.damaged and not restart:
            raise ValueError(
                f"None of the {len(latest.damaged)} checkpoints of run {self.run.id} can be used"
                f" ({latest.damaged[0].reason}). Nothing was deleted; to train it again from the"
                f" start: python -m cpart_core resume {self.run.id} --restart"
            )
        self.writer.truncate_after(self.trainer.step)
        self.note_missing_records()

    def note_other_device(self, before: object) -> None:
        """The same seed gives the same records on one kind of device; on another they differ in
        rounding."""
        now = self.trainer.device.type
        if before not in (None, now):
            said = (
                f"From step {self.trainer.step} on trained on {now}, until then on {before}: the"
                " same up to rounding."
            )
            self.writer.event("note", said, self.trainer.step)

    def note_missing_records(self) -> None:
        """Weights and state are whole where records are not: training goes on, and what is missing
        is said, once."""
        with reading(self.run.folder, cpu_seconds=None) as connection:
            missing = missing_steps(connection, self.trainer.step)
            sentence = (
                f"The records of {missing} are lost; weights and training are not touched by that."
            )
            noted = connection.execute(
                "SELECT 1 FROM events WHERE kind = 'note' AND message = ?", (sentence,)
            ).fetchone()
        if missing and not noted:
            self.writer.event("note", sentence, self.trainer.step)

    def last_recorded_step(self) -> int:
        """A checkpoint after it (power was cut before the records reached the disk) leaves a gap in
        the records."""
        with reading(self.run.folder) as connection:
            return int(connection.execute("SELECT coalesce(max(step), 0) FROM steps").fetchone()[0])

    def steps(self) -> bool:
        """Train to the last step, or to a stop. True when the last step is done; the last state is
        in a checkpoint either way."""
        self.writer.heartbeat(
            self.beat("compiling" if self.trainer.state.to_compile else "training", None)
        )
        if self.wait_for_leave():
            for record in self.trainer:
                self.take(record)
                if not self.wait_for_leave():
                    break
        if self.saved_step != self.trainer.step:
            self.checkpoint(needed=True)
        self.mirror.close()
        return self.trainer.step >= self.settings.steps

    def take(self, record: Record) -> None:
        """Store one record and all that hangs on it."""
        if record.discovery is not None:
            save_corpus(self.trainer.corpus, self.run.folder / "corpus")
        self.writer.append(record)
        if record.seconds_to_compile:
            self.writer.event(
                "note",
                f"Compiled the layers: this step took {record.seconds_to_compile:.1f} s.",
                record.step,
            )
        self.mirror.add(record, self.trainer.state.contexts)
        if record.step % self.settings.checkpoint_every == 0 and record.step < self.settings.steps:
            self.checkpoint(needed=False)
        self.speed.take(record)
        self.writer.heartbeat(self.beat("training", record))
        self.writer.check()
        self.on_record(record)

    def wait_for_leave(self) -> bool:
        """Carry out the commands sent since the last step; returns when the next step may begin
        (True) or training is to end (False)."""
        while True:
            if self.pending.read():
                self.writer.event(
                    "pause" if self.pending.paused else "continue", step=self.trainer.step
                )
            if self.pending.stopped or self.trainer.step >= self.settings.steps:
                return False
            if self.pending.may_step():
                broadcast(self.group, Command.STEP)
                return True
            broadcast(self.group, Command.WAIT)
            self.writer.heartbeat(self.beat("paused", None))
            self.writer.check()
            time.sleep(PAUSE_SECONDS)
            self.speed.forget_pause()

    def checkpoint(self, needed: bool) -> None:
        """Write one, after the records it stands on. When the disk refuses, training goes on,
        unless it is `needed`: OSError."""
        step = self.trainer.step
        self.writer.heartbeat(self.beat("saving", None))
        self.writer.check()  # or a folder that was deleted would be made again
        trouble = "" if self.writer.flush() else self.writer.trouble
        if not trouble:
            try:
                save_checkpoint(self.checkpoints, self.state(), self.settings.keep_checkpoints)
                self.saved_step = step
            except (OSError, SafetensorError) as error:
                trouble = str(error)
        if not trouble:
            return
        there = steps_in(self.checkpoints)
        last = f"The last one is of step {there[-1]}." if there else "There is none yet."
        sentence = f"The checkpoint of step {step} could not be written ({trouble}). {last}"
        if needed:
            raise OSError(f"{sentence} Make space on the disk and resume.")
        self.writer.event("note", sentence, step)

    def state(self) -> Checkpoint:
        """Everything to go on from here, gathered from all processes."""
        broadcast(self.group, Command.SAVE)
        model = self.trainer.model
        fused = self.trainer.state.fused
        config = CheckpointConfig(
            self.run.settings.model, model.vocabulary_size, self.trainer.step, fused
        )
        return Checkpoint(
            config,
            self.trainer.weights(),
            self.trainer.state_tensors(),
            self.trainer.state_numbers(),
            self.trainer.corpus.tokenizer_json,
        )

    def beat(self, phase: str, record: Record | None) -> Heartbeat:
        memory = self.speed.memory_bytes if record is None else record.memory_bytes
        return Heartbeat(
            self.trainer.step,
            phase,
            self.speed.tokens_per_second(),
            self.speed.eta_seconds(self.trainer.step),
            memory,
        )


class Speed:
    """Tokens per second and time left, from the time between records: validations, snapshots and
    checkpoints are in it, pauses are not."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.seen = 0
        self.step_seconds = float("nan")
        self.tokens_per_step = float("nan")
        self.memory_bytes = 0
        self.last_tokens = 0
        self.last_time = time.monotonic()

    def take(self, record: Record) -> None:
        now = time.monotonic()
        passed, self.last_time = now - self.last_time, now
        if self.seen and not record.seconds_to_compile:
            self.tokens_per_step = float(record.tokens - self.last_tokens)
            share = max(1.0 / self.seen, 0.02)
            self.step_seconds = (
                passed
                if self.seen == 1
                else self.step_seconds + share * (passed - self.step_seconds)
            )
        self.seen += 1
        self.last_tokens, self.memory_bytes = record.tokens, record.memory_bytes

    def forget_pause(self) -> None:
        self.last_time = time.monotonic()

    def tokens_per_second(self) -> float:
        return self.tokens_per_step / self.step_seconds if self.step_seconds > 0 else float("nan")

    def eta_seconds(self, step: int) -> float:
        return (
            (self.steps - step) * self.step_seconds
            if self.seen >= STEPS_WITHOUT_ETA
            else float("nan")
        )
