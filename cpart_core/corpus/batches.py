"""Batches of token rows from a split: for training a pure function of (seed, step), for validation
a fixed set. numpy only.

Documents of a context are shuffled anew in each epoch and laid end to end; rows are cut from that
line, so every token is seen once an epoch and short documents share a row. Neighbouring rows
overlap by one token: the last target of one is the first input of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cpart_core.corpus.document import Split

Line = tuple[np.ndarray, np.ndarray]
"""Documents in shuffled order, and the offsets [M + 1] at which they begin when laid end to end."""


@dataclass(frozen=True)
class Batch:
    """B rows of T + 1 tokens: inputs are [:, :-1], targets [:, 1:]."""

    ids: np.ndarray
    """[B, T+1] int64."""
    context: np.ndarray
    """[B, T+1] int16: context of each token's document, -1 where not known."""
    document: np.ndarray
    """[B, T+1] int32: number of the document in the split."""
    start: np.ndarray
    """[B, T+1] int32: position in the row at which this token's document begins (0 where it began
    before the row)."""

    def rows(self, part: slice) -> Batch:
        """Some of the rows."""
        return Batch(self.ids[part], self.context[part], self.document[part], self.start[part])


def pick_rows(batches: Sequence[Batch], places: Sequence[tuple[int, int]]) -> Batch:
    """Some rows of several batches of one width as one batch; a place is (batch, row)."""
    found = [batches[number].rows(slice(row, row + 1)) for number, row in places]
    return Batch(
        np.concatenate([part.ids for part in found]),
        np.concatenate([part.context for part in found]),
        np.concatenate([part.document for part in found]),
        np.concatenate([part.start for part in found]),
    )


class TrainingBatches:
    """Endless training batches; row number n = step * batch_size + index takes the contexts in
    turn.

    balanced=False (a discovered corpus) draws from everything alike, whatever the labels say.
    """

    def __init__(
        self,
        split: Split,
        num_contexts: int,
        batch_size: int,
        context_length: int,
        seed: int,
        balanced: bool = True,
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self.context_length = context_length
        self.seed = seed
        self.pools = document_pools(split, num_contexts, balanced)
        self.tokens = [int(np.diff(split.starts)[pool].sum()) for pool in self.pools]
        self.lines: dict[int, tuple[int, Line]] = {}
        """Pool -> its last epoch and line; only a shortcut, `batch` gives the same without it."""
        if not self.pools or min(self.tokens) < 2:
            raise ValueError(
                "There is no training text: every context needs a document of at least one token."
            )

    def batch(self, step: int) -> Batch:
        """The batch of a step: the same for the same seed and step, whatever was asked before."""
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        pool_of, turn_of = numbers % len(self.pools), numbers // len(self.pools)
        parts = [
            self.rows(pool, turn_of[pool_of == pool])
            for pool in range(len(self.pools))
            if np.any(pool_of == pool)
        ]
        order = np.argsort(np.argsort(pool_of, kind="stable"), kind="stable")
        flat = [np.concatenate([part[index] for part in parts])[order] for index in range(2)]
        return make_batch(self.split, *flat)

    def rows(self, pool: int, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(document, offset in the document), both [rows, T+1], of the given turns of a pool."""
        length = self.context_length
        found = []
        for turn in turns:
            positions = np.arange(turn * length, turn * length + length + 1)
            epochs = positions // self.tokens[pool]
            for epoch in range(epochs[0], epochs[-1] + 1):
                found.append(
                    locate(
                        self.line(pool, epoch),
                        positions[epochs == epoch] - epoch * self.tokens[pool],
                    )
                )
        document = np.concatenate([part[0] for part in found]).reshape(len(turns), -1)
        return document, np.concatenate([part[1] for part in found]).reshape(len(turns), -1)

    def line(self, pool: int, epoch: int) -> Line:
        """The pool's documents in the epoch's order."""
        kept_epoch, kept = self.lines.get(pool, (-1, None))
        if kept is None or kept_epoch != epoch:
            kept = lay_out(
                self.split, self.pools[pool], np.random.default_rng([self.seed, pool, int(epoch)])
            )
            self.lines[pool] = (int(epoch), kept)
        return kept


def validation_rows(
    split: Split,
    num_contexts: int,
    context_length: int,
    rows_per_context: int | None,
    seed: int,
    balanced: bool = True,
    batch_size: int = 16,
) -> list[Batch]:
    """Fixed rows, at most `rows_per_context` of each context (None = all), no token in two of them.

    A context with less text than one row gives one shorter row, as a batch of its own; one with
    fewer than 2 tokens gives none. balanced=False: rows from everything alike, num_contexts *
    rows_per_context of them.
    """
    width = context_length + 1
    pools = document_pools(split, num_contexts, balanced)
    most = (
        None if rows_per_context is None else rows_per_context * (1 if balanced else num_contexts)
    )
    long: list[tuple[np.ndarray, np.ndarray]] = []
    short: list[Batch] = []
    for pool, documents in enumerate(pools):
        line = lay_out(split, documents, np.random.default_rng([seed, pool, 1 << 20]))
        tokens = int(line[1][-1])
        num_rows = tokens // width if most is None else min(tokens // width, most)
        document, offset = locate(line, np.arange(num_rows * width if num_rows else tokens))
        if num_rows:
            long += zip(
                document.reshape(num_rows, width), offset.reshape(num_rows, width), strict=True
            )
        elif tokens >= 2:
            short.append(make_batch(split, document[None], offset[None]))
    chunks = [long[begin : begin + batch_size] for begin in range(0, len(long), batch_size)]
    return [
        make_batch(split, np.stack([row[0] for row in chunk]), np.stack([row[1] for row in chunk]))
        for chunk in chunks
    ] + short


def document_pools(split: Split, num_contexts: int, balanced: bool) -> list[np.ndarray]:
    """Document numbers of each context that has any; one pool of all where there is nothing to
    balance."""
    if not balanced or np.all(split.context < 0):
        return [np.arange(len(split.context))] if len(split.context) else []
    pools = [np.flatnonzero(split.context == context) for context in range(num_contexts)]
    return [pool for pool in pools if len(pool)]


def lay_out(split: Split, documents: np.ndarray, random: np.random.Generator) -> Line:
    order = random.permutation(documents)
    lengths = split.starts[order + 1] - split.starts[order]
    return order, np.concatenate([[0], np.cumsum(lengths)])


def locate(line: Line, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(document, offset in the document) of positions on a line."""
    order, offsets = line
    index = np.searchsorted(offsets, positions, side="right") - 1
    return order[index], positions - offsets[index]


def make_batch(split: Split, document: np.ndarray, offset: np.ndarray) -> Batch:
    """Tokens, contexts and starts from (document, offset), both [B, T+1]."""
    position = np.arange(document.shape[1])
    return Batch(
        ids=split.ids[split.starts[document] + offset].astype(np.int64),
        context=split.context[document].astype(np.int16),
        document=document.astype(np.int32),
        start=np.maximum(position - offset, 0).astype(np.int32),
    )
