"""Sentences for the failures that a person can do something about, prepared before any: with the
memory gone, nothing can be composed.

No torch: a failure before it was imported must not import it.
"""

from __future__ import annotations

import errno
import shutil
from contextlib import suppress
from pathlib import Path

from cpart_core.runs.folder import Run
from cpart_core.training.failure import NonFiniteLoss
from cpart_core.training.process_group import ProcessGroup, lost_another

OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "cannot allocate memory", "bad alloc", "bad_alloc"),
    *("failed to map segment", "can't start new thread"),
)
"""How torch, C++, the loader of libraries and Python call it."""
PROBE_BYTES = 64 << 20
CLOSE = 0.7
"""Share of a limit from which on memory is the likely reason of a failure that names none."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)


class FolderGone(OSError):
    """The run's folder is not where it was: deleted, moved, or another one in its place."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The folder of run {name} was deleted, moved or replaced while it was being trained,"
            " so training ended: nothing more could be stored there. A folder that was moved can"
            " be moved back and resumed."
        )


class DiskRefuses(OSError):
    """The records could not be written for so long that training on would only lose more."""


class Explanations:
    """`of(error)` gives the sentence for a failure, or None for one of ours."""

    def __init__(self, run: Run, group: ProcessGroup) -> None:
        self.run = run
        self.group = group
        model, training = run.settings.model, run.settings.training
        self.memory = (
            f"Memory ran out. Start again with a smaller batch_size (now {training.batch_size}),"
            f" context_length (now {model.context_length}) or model (width {model.width},"
            f" {model.num_layers} layers, {model.num_neurons} neurons)."
        )
        self.rate = (
            f" Now: learning_rate {training.learning_rate:g}, warmup_steps {training.warmup_steps},"
            f" gradient_clip {training.gradient_clip:g}."
        )
        self.lost = (
            f"Another of the {group.size} processes of this run ended or cannot be reached, so"
            f" training ended here. Start it again with resume {run.id}, with as many processes as"
            " you like: it goes on from its last checkpoint."
        )

    def of(self, error: BaseException) -> str | None:
        if isinstance(error, NonFiniteLoss):
            return str(error) + self.rate
        if says_memory(error):
            return self.memory
        if not self.group.alone and lost_another(error):
            return self.lost
        if not isinstance(error, OSError):
            # Without memory Python and torch fail in ways that do not name it, such as a module
            # that is imported by half.
            return self.memory if memory_is_out() else None
        if error.errno in NO_SPACE:
            return (
                f"The disk is full ({free_space(self.run)}). Make space, then resume {self.run.id}:"
                " it goes on from its last checkpoint."
            )
        return str(error)


def says_memory(error: BaseException | None) -> bool:
    """Whether the error, or one that led to it, is that memory ran out."""
    for _ in range(20):
        if error is None:
            return False
        if isinstance(error, MemoryError) or any(
            words in str(error).lower() for words in OUT_OF_MEMORY
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def memory_is_out() -> bool:
    """Whether this process is refused a modest amount of memory, or has been close to a limit that
    was set for it."""
    try:
        bytearray(PROBE_BYTES)
    except MemoryError:
        return True
    with suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        peak = next(
            line
            for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            if line.startswith("VmPeak:")
        )
        return limit != resource.RLIM_INFINITY and int(peak.split()[1]) * 1024 > CLOSE * limit
    return False


def free_space(run: Run) -> str:
    """How much is left where the run lies, in words."""
    with suppress(OSError):
        return f"{shutil.disk_usage(run.folder).free / 1e6:,.1f} MB are free"
    return "it does not say how much is free"


def quiet(error: OSError) -> bool:
    """Whether a word to the terminal or the log may be lost without a word: the disk that the log
    lies on is full or failing."""
    return error.errno in (*NO_SPACE, errno.EIO)
