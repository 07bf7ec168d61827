"""What pages read from records.sqlite, as numpy columns. NaN is stored as NULL and comes back as
NaN."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np

FEWEST_POINTS = 4
MOST_EVENTS = 2000
MOST_BYTES = 32 << 20
BYTES_A_CELL = 40
"""Of memory, beside the length of a text."""


@dataclass(frozen=True)
class RecordTable:
    """Training steps, K of them, C contexts; see training.records.Record for the meaning and unit
    of each column."""

    step: np.ndarray
    """[K] int64, rising."""
    tokens: np.ndarray
    loss: np.ndarray
    affinity_loss: np.ndarray
    balance_loss: np.ndarray
    gradient_norm: np.ndarray
    learning_rate: np.ndarray
    seconds: np.ndarray
    memory_bytes: np.ndarray
    loss_by_context: np.ndarray
    """[K, C] float32"""
    stride: int
    """Every how many steps a row was taken; 1 = all rows. The first and the last step are always
    there."""


@dataclass(frozen=True)
class EvaluationTable:
    """Validations during training, K of them."""

    step: np.ndarray
    """[K] int64, rising."""
    loss: np.ndarray
    """[K] nats per token, mean over contexts."""
    loss_by_context: np.ndarray
    """[K, C]"""
    tokens_by_context: np.ndarray
    """[K, C] int64"""


@dataclass(frozen=True)
class ChangeTable:
    """Partitions and repartitions, K of them."""

    step: np.ndarray
    """[K] int64, rising."""
    churn: np.ndarray
    """[K, L]; NaN at the first partition."""
    seconds: np.ndarray
    frozen: np.ndarray
    """[K] bool"""


@dataclass(frozen=True)
class Event:
    """Something that happened in a run; kinds in records.EVENT_KINDS."""

    time: float
    """Seconds since 1970."""
    step: int
    kind: str
    message: str


def read_records(
    connection: sqlite3.Connection,
    num_contexts: int,
    max_points: int = 2000,
    after_step: int = 0,
    most_bytes: int | None = None,
) -> RecordTable:
    """Steps after `after_step`, at most `max_points` of them. ValueError when they take more than
    `most_bytes` (None = MOST_BYTES).

    Rows are taken at multiples of a power of two, so that points stay where they are while a run
    grows. The rows are real steps, not means.
    """
    if max_points < FEWEST_POINTS:
        raise ValueError(f"max_points is {max_points}; it must be at least {FEWEST_POINTS}.")
    # One at a time: asked for both at once, SQLite reads every row.
    first, last = connection.execute(
        "SELECT (SELECT min(step) FROM steps WHERE step > ?1), (SELECT max(step) FROM steps WHERE"
        " step > ?1)",
        (after_step,),
    ).fetchone()
    stride = 1
    if first is not None:
        integers("step", (first, last))
        # Counting a million rows reads them all; whether there are more than fit is known after as
        # many as fit.
        counted = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM steps WHERE step > ? LIMIT ?)",
            (after_step, max_points + 1),
        )
        if counted.fetchone()[0] > max_points:
            while (last - first) // stride + 3 > max_points:
                stride *= 2
    rows = (
        rows_at(connection, after_step, first, last, stride, most_bytes)
        if first is not None
        else []
    )
    step, tokens, memory, loss, affinity, balance, norm, rate, seconds, by_context = columns(
        rows, 10
    )
    return RecordTable(
        step=integers("step", step),
        tokens=integers("tokens", tokens),
        loss=floats("loss", loss),
        affinity_loss=floats("affinity_loss", affinity),
        balance_loss=floats("balance_loss", balance),
        gradient_norm=floats("gradient_norm", norm),
        learning_rate=floats("learning_rate", rate),
        seconds=floats("seconds", seconds),
        memory_bytes=integers("memory_bytes", memory),
        loss_by_context=matrix("loss_by_context", by_context, "<f4", num_contexts),
        stride=stride,
    )


def rows_at(
    connection: sqlite3.Connection,
    after_step: int,
    first: int,
    last: int,
    stride: int,
    most_bytes: int | None,
) -> list[tuple[object, ...]]:
    """The rows at multiples of the stride, and the first and the last: each is looked up by its
    step, none is read in vain."""
    chosen = (
        "SELECT step, tokens, memory_bytes, loss, affinity_loss, balance_loss, gradient_norm,"
        " learning_rate, seconds, loss_by_context "
    )
    if stride == 1:
        return rows_of(
            connection,
            f"{chosen} FROM steps WHERE step > ? ORDER BY step",
            (after_step,),
            most_bytes,
        )
    wanted = (
        "WITH RECURSIVE wanted(step) AS (SELECT ? UNION ALL SELECT step + ? FROM wanted WHERE step"
        f" + ? <= ?) {chosen} FROM steps WHERE step IN (SELECT step FROM wanted UNION SELECT ?"
        " UNION SELECT ?) ORDER BY step"
    )
    start = -(-first // stride) * stride
    return rows_of(connection, wanted, (start, stride, stride, last, first, last), most_bytes)


def read_evaluations(
    connection: sqlite3.Connection, num_contexts: int, max_points: int | None = None
) -> EvaluationTable:
    """Evaluations, thinned to at most `max_points` (2 or more): every second, fourth, ... of them,
    the first and the last kept."""
    (count,) = connection.execute("SELECT count(*) FROM evaluations").fetchone()
    stride = 1
    while (
        max_points is not None
        and count > max(2, max_points)
        and (count - 2) // stride + 2 > max(2, max_points)
    ):
        stride *= 2
    rows = rows_of(
        connection,
        "SELECT step, loss, loss_by_context, tokens_by_context FROM (SELECT *, row_number() OVER"
        " (ORDER BY step) - 1 AS place FROM evaluations) WHERE place % ? = 0 OR place = ? ORDER BY"
        " step",
        (stride, count - 1),
    )
    step, loss, by_context, tokens = columns(rows, 4)
    return EvaluationTable(
        step=integers("step", step),
        loss=floats("loss", loss),
        loss_by_context=matrix("loss_by_context", by_context, "<f8", num_contexts),
        tokens_by_context=matrix("tokens_by_context", tokens, "<i8", num_contexts),
    )


def read_changes(connection: sqlite3.Connection, num_layers: int) -> ChangeTable:
    """All partitions and repartitions."""
    rows = rows_of(connection, "SELECT step, churn, seconds, frozen FROM changes ORDER BY step")
    step, churn, seconds, frozen = columns(rows, 4)
    return ChangeTable(
        step=integers("step", step),
        churn=matrix("churn", churn, "<f8", num_layers),
        seconds=floats("seconds", seconds),
        frozen=integers("frozen", frozen).astype(bool),
    )


def read_events(connection: sqlite3.Connection) -> list[Event]:
    """The last MOST_EVENTS events, oldest first."""
    rows = rows_of(
        connection,
        "SELECT time, step, kind, message FROM events ORDER BY id DESC LIMIT ?",
        (MOST_EVENTS,),
    )[::-1]
    times, steps, kinds, messages = columns(rows, 4)
    entries = zip(floats("time", times), integers("step", steps), kinds, messages, strict=True)
    return [
        Event(float(when), int(step), str(kind), str(message))
        for when, step, kind, message in entries
    ]


def rows_of(
    connection: sqlite3.Connection,
    statement: str,
    values: tuple[object, ...] = (),
    most_bytes: int | None = None,
) -> list[tuple[object, ...]]:
    """All rows of a query. ValueError when they take more than `most_bytes` of memory, else what a
    page may."""
    allowed = MOST_BYTES if most_bytes is None else most_bytes
    found: list[tuple[object, ...]] = []
    taken = 0
    for row in connection.execute(statement, values):
        taken += BYTES_A_CELL * len(row) + sum(
            len(cell) for cell in row if isinstance(cell, (str, bytes))
        )
        if taken > allowed:
            raise ValueError(
                f"records.sqlite holds more than the {allowed:,} bytes of rows that are read at"
                " once."
            )
        found.append(row)
    return found


def columns(rows: list[tuple[object, ...]], count: int) -> list[tuple[object, ...]]:
    """Rows -> columns; `count` empty columns when there is no row."""
    return list(zip(*rows, strict=True)) if rows else [()] * count


def integers(name: str, values: tuple[object, ...]) -> np.ndarray:
    """[K] int64, or ValueError when something else is stored there."""
    if not all(isinstance(value, int) for value in values):
        raise ValueError(
            f"records.sqlite is damaged: column {name} holds something that is not a whole number."
        )
    return np.array(values, dtype=np.int64)


def floats(name: str, values: tuple[object, ...]) -> np.ndarray:
    """[K] float64 with NaN for NULL, or ValueError when something else is stored there."""
    if not all(value is None or isinstance(value, (float, int)) for value in values):
        raise ValueError(
            f"records.sqlite is damaged: column {name} holds something that is not a number."
        )
    return np.array(values, dtype=np.float64)


def matrix(name: str, values: tuple[object, ...], dtype: str, width: int) -> np.ndarray:
    """[K, width] from byte strings, or ValueError when one has another length. Width 0 (not known
    yet) is taken from the first row."""
    if values and not width and isinstance(values[0], bytes):
        width = len(values[0]) // np.dtype(dtype).itemsize
    length = width * np.dtype(dtype).itemsize
    if not all(isinstance(value, bytes) and len(value) == length for value in values):
        raise ValueError(
            f"records.sqlite is damaged: column {name} does not hold {width} numbers in each row."
        )
    return np.frombuffer(
        b"".join(value for value in values if isinstance(value, bytes)), dtype=dtype
    ).reshape(len(values), width)
