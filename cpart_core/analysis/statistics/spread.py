"""Validation rows from as many documents as there are: a few tokens of many documents say more than
many tokens of one. numpy only."""

from __future__ import annotations

import numpy as np

from cpart_core.analysis.source import validation_batches
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus

ROWS_AT_ONCE = 16


def rows_over_documents(
    corpus: Corpus, context_length: int, most_tokens: int, seed: int
) -> list[Batch]:
    """About `most_tokens` tokens in whole rows, the contexts alike, and within a context the
    documents in turn; all rows where they are fewer."""
    batches = validation_batches(corpus, context_length, None, seed)
    if sum(batch.ids[:, 1:].size for batch in batches) <= most_tokens:
        return batches
    rows = [(number, row) for number, batch in enumerate(batches) for row in range(len(batch.ids))]
    context, document = (
        np.array([int(getattr(batches[number], name)[row, 0]) for number, row in rows])
        for name in ("context", "document")
    )
    most = max(1, most_tokens // (max(1, len(np.unique(context))) * context_length))
    random = np.random.default_rng([seed, 16])
    chosen: list[int] = []
    for group in np.unique(context):
        members = random.permutation(np.flatnonzero(context == group))
        turn = np.zeros(len(members), dtype=np.int64)
        for one in np.unique(document[members]):
            its = document[members] == one
            turn[its] = np.arange(its.sum())
        chosen += members[np.argsort(turn, kind="stable")[:most]].tolist()
    return gathered(batches, [rows[index] for index in sorted(chosen)])


def gathered(batches: list[Batch], rows: list[tuple[int, int]]) -> list[Batch]:
    """Rows (batch, row) as new batches; rows of one batch have one width."""
    by_width: dict[int, list[tuple[int, int]]] = {}
    for number, row in rows:
        by_width.setdefault(batches[number].ids.shape[1], []).append((number, row))
    found = []
    for places in by_width.values():
        for first in range(0, len(places), ROWS_AT_ONCE):
            some = places[first : first + ROWS_AT_ONCE]
            ids, context, document, start = (
                np.stack([getattr(batches[number], name)[row] for number, row in some])
                for name in ("ids", "context", "document", "start")
            )
            found.append(Batch(ids, context, document, start))
    return found
