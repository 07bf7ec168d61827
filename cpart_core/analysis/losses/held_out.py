"""Documents as rows, their losses under a model, and the interval of a mean over documents. Knows
nothing of what is asked.

Each document is cut into rows of its own, so that a loss belongs to one document and no token is
predicted twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from cpart_core.analysis.statistics.bootstrap import counts_of, interval
from cpart_core.corpus.document import Split
from cpart_core.model.decoder import Decoder
from cpart_core.model.next_token import token_losses

ROWS_AT_ONCE = 16
FEWEST_TOKENS = 2
"""A document of one token predicts nothing."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Rows:
    """M documents in rows of at most T + 1 tokens, the longest rows first."""

    ids: np.ndarray
    """[rows, T+1] int64, 0 where a row is over."""
    length: np.ndarray
    """[rows]"""
    document: np.ndarray
    """[rows] 0..M-1"""
    context: np.ndarray
    """[M] -1 where not known."""
    titles: tuple[str, ...]
    """[M]"""

    @property
    def tokens(self) -> int:
        """Predicted tokens."""
        return int((self.length - 1).sum())

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray]]:
        """(ids [B, T+1], real [B, T] bool: a target is there, context [B, T], document [B])."""
        for first in range(0, len(self.ids), ROWS_AT_ONCE):
            length, document = (
                part[first : first + ROWS_AT_ONCE] for part in (self.length, self.document)
            )
            ids = torch.from_numpy(self.ids[first : first + ROWS_AT_ONCE, : length.max()])
            real = torch.arange(1, ids.shape[1])[None] < torch.from_numpy(length)[:, None]
            context = torch.from_numpy(self.context[document].astype(np.int64))[:, None].expand(
                -1, ids.shape[1] - 1
            )
            yield ids, real, context, document


@dataclass(frozen=True)
class DocumentLosses:
    """Nats summed over the predicted tokens of each document, and how many they are: both [M]."""

    nats: np.ndarray
    tokens: np.ndarray

    def mean(self) -> float:
        """Nats per token."""
        return float(self.nats.sum() / self.tokens.sum())


def rows_of_documents(
    split: Split, documents: np.ndarray, context_length: int, most_tokens: int
) -> Rows:
    """Beginnings of the given documents, so long that all together have about `most_tokens` tokens.
    Documents of one token are left out."""
    lengths = np.diff(split.starts)[documents]
    documents, lengths = documents[lengths >= FEWEST_TOKENS], lengths[lengths >= FEWEST_TOKENS]
    share = fair_share(lengths, most_tokens)
    pieces, owner = [], []
    for place, document in enumerate(documents):
        begin = split.starts[document]
        cut = cut_rows(split.ids[begin : begin + min(lengths[place], share)], context_length)
        pieces += cut
        owner += [place] * len(cut)
    return pack(
        pieces,
        np.array(owner, dtype=np.int64),
        split.context[documents],
        tuple(split.titles[number] for number in documents),
    )


def rows_of_text(ids: list[int], context_length: int, most_tokens: int) -> Rows:
    """A text cut into passages of one row, each counted as a document of its own."""
    pieces = cut_rows(np.array(ids[:most_tokens]), context_length)
    names = tuple(f"passage {number + 1}" for number in range(len(pieces)))
    return pack(pieces, np.arange(len(pieces)), np.full(len(pieces), -1, dtype=np.int16), names)


def fair_share(lengths: np.ndarray, most_tokens: int) -> int:
    """The length at which documents are cut so that all together fit; short ones leave their share
    to the others."""
    left, share = most_tokens, 0
    for place, length in enumerate(np.sort(lengths)):
        share = max(FEWEST_TOKENS, left // (len(lengths) - place))
        if length > share:
            return share
        left -= int(length)
    return int(lengths.max()) if len(lengths) else 0


def cut_rows(ids: np.ndarray, context_length: int) -> list[np.ndarray]:
    """Rows of at most context_length + 1 tokens; a last one of a single token is left out."""
    width = context_length + 1
    rows = [ids[first : first + width] for first in range(0, len(ids), width)]
    return [row for row in rows if len(row) >= FEWEST_TOKENS]


def pack(
    pieces: list[np.ndarray], owner: np.ndarray, context: np.ndarray, titles: tuple[str, ...]
) -> Rows:
    order = sorted(range(len(pieces)), key=lambda number: -len(pieces[number]))
    length = np.array([len(pieces[number]) for number in order], dtype=np.int64)
    ids = np.zeros((len(pieces), int(length.max(initial=0))), dtype=np.int64)
    for row, number in enumerate(order):
        ids[row, : len(pieces[number])] = pieces[number]
    return Rows(ids, length, owner[order], context, titles)


@torch.no_grad()
def document_losses(model: Decoder, rows: Rows) -> DocumentLosses:
    """One pass over all rows."""
    nats, tokens = np.zeros(len(rows.titles)), np.zeros(len(rows.titles), dtype=np.int64)
    for ids, real, context, document in rows.batches():
        losses = token_losses(model(ids[:, :-1], context_BT=context), ids[:, 1:]).double() * real
        np.add.at(nats, document, losses.sum(dim=1).numpy())
        np.add.at(tokens, document, real.sum(dim=1).numpy())
    return DocumentLosses(nats, tokens)


def interval_of_rise(
    before: DocumentLosses, after: DocumentLosses, seed: int
) -> tuple[float, float]:
    """95 % interval of the rise of the mean loss, documents drawn anew with replacement; NaN with
    fewer than 2 documents."""
    M = len(before.nats)
    if M < 2:
        return float("nan"), float("nan")
    times = counts_of(M, RESAMPLES, np.random.default_rng(seed))
    low, high = interval(times @ (after.nats - before.nats) / np.maximum(times @ before.tokens, 1))
    return float(low), float(high)
