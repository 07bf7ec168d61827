"""An optional live mirror of the records as TensorBoard event files. The run folder stays the
truth; nothing reads the mirror back."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from cpart_core.records.training import Record


class Mirror(Protocol):
    """Where records are copied to while training goes on."""

    def add(self, record: Record, contexts: tuple[str, ...]) -> None: ...

    def close(self) -> None: ...


class NoMirror:
    """The default: copies nothing."""

    def add(self, record: Record, contexts: tuple[str, ...]) -> None:
        return

    def close(self) -> None:
        return


class TensorBoardMirror:
    """One event file a session, one event a record (EventFileWriter direct: SummaryWriter costs ten
    times as much)."""

    def __init__(self, folder: Path) -> None:
        check_mirror("tensorboard")
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.event: Any = Event
        self.summary: Any = Summary
        self.writer: Any = EventFileWriter(str(folder), flush_secs=5)

    def add(self, record: Record, contexts: tuple[str, ...]) -> None:
        values = [
            self.summary.Value(tag=tag, simple_value=value)
            for tag, value in scalars(record, contexts).items()
            if math.isfinite(value)
        ]
        self.writer.add_event(self.event(step=record.step, summary=self.summary(value=values)))

    def close(self) -> None:
        self.writer.close()


def check_mirror(name: str) -> None:
    """ValueError that says which extra to install when the mirror's package is not there; asked
    before anything is started."""
    if name == "tensorboard" and find_spec("tensorboard") is None:
        raise ValueError(
            "mirror is tensorboard, which is not installed; run: pip install -e '.[tensorboard]',"
            " or set mirror to none."
        )


def open_mirror(name: str, folder: Path) -> Mirror:
    """The mirror that the setting `training.mirror` asks for; ValueError says which extra to
    install."""
    return TensorBoardMirror(folder) if name == "tensorboard" else NoMirror()


def scalars(record: Record, contexts: tuple[str, ...]) -> dict[str, float]:
    """Tag -> value: what is worth a curve."""
    found = {
        "loss/train": record.loss,
        "loss/affinity": record.affinity_loss,
        "loss/balance": record.balance_loss,
        "optimisation/gradient_norm": record.gradient_norm,
        "optimisation/learning_rate": record.learning_rate,
        "speed/seconds": record.seconds,
        "memory/bytes": float(record.memory_bytes),
    }
    found |= {
        f"train/{name}": float(value)
        for name, value in zip(contexts, record.loss_by_context, strict=True)
    }
    if record.evaluation is not None:
        found["loss/validation"] = record.evaluation.loss
        found |= {
            f"validation/{name}": float(value)
            for name, value in zip(contexts, record.evaluation.loss_by_context, strict=True)
        }
    if record.change is not None:
        found["partition/churn"] = float(record.change.churn.mean())
    return found
