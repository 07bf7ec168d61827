"""The passages of validation text on which each segment works most: windows are scored in one pass,
the best are read again in a second.

A window is 40 tokens of one document in one row. Shorter ones, of documents that have no more in
the row, are shown only where full ones are too few: the mean of few tokens is the more extreme one,
so scraps would win over passages that a person can read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from cpart_core.analysis.source import Source
from cpart_core.corpus.batches import Batch, pick_rows
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.tensors import token_tensors
from cpart_core.records.profiles import Passage

LENGTH = 40
SHORTEST = 8
"""A shorter piece tells a reader nothing."""
PASSAGES_OF_A_SEGMENT = 3
ROWS_AT_ONCE = 16


class Window(NamedTuple):
    """Where a window lies: tokens begin..end of a row of a batch."""

    batch: int
    row: int
    begin: int
    end: int
    document: int


class Windows:
    """Windows of all batches with the mean fusion weights of every layer in each."""

    def __init__(self) -> None:
        self.places: list[Window] = []
        self.scores: list[np.ndarray] = []

    def add(self, number: int, batch: Batch, alpha_LxBxTxS: np.ndarray) -> None:
        """Take in one batch and its fusion weights; T is one less than the batch is wide."""
        sums = np.pad(
            alpha_LxBxTxS.cumsum(axis=2, dtype=np.float64), ((0, 0), (0, 0), (1, 0), (0, 0))
        )
        for row, documents in enumerate(batch.document[:, :-1]):
            for begin, end in pieces(documents):
                self.places.append(Window(number, row, begin, end, int(documents[begin])))
                self.scores.append((sums[:, row, end] - sums[:, row, begin]) / (end - begin))

    def best(self, order_W: np.ndarray) -> list[Window]:
        """The first windows of an order, full ones before shorter ones, each of another
        document."""
        chosen: dict[int, Window] = {}
        full = np.array(
            [self.places[index].end - self.places[index].begin == LENGTH for index in order_W],
            dtype=bool,
        )
        for index in (*order_W[full], *order_W[~full]):
            place = self.places[index]
            chosen.setdefault(place.document, place)
            if len(chosen) == PASSAGES_OF_A_SEGMENT:
                break
        return list(chosen.values())

    def best_of_all(self) -> list[list[list[Window]]]:
        """[L][S] the windows with the greatest mean alpha."""
        if not self.scores:
            return []
        order = np.argsort(-np.stack(self.scores), axis=0, kind="stable")
        return [
            [self.best(order[:, layer, segment]) for segment in range(order.shape[2])]
            for layer in range(order.shape[1])
        ]


def pieces(documents_T: np.ndarray) -> list[tuple[int, int]]:
    """(begin, end) of windows in one row: each document's stretch cut every 40 tokens, the last
    window ending where the stretch ends.

    A stretch under 40 tokens is one window, under 8 none.
    """
    borders = [0, *(np.flatnonzero(np.diff(documents_T)) + 1).tolist(), len(documents_T)]
    cut = []
    for first, last in zip(borders[:-1], borders[1:], strict=True):
        begins = {*range(first, last - LENGTH + 1, LENGTH), max(first, last - LENGTH)}
        cut += [(begin, min(begin + LENGTH, last)) for begin in sorted(begins)]
    return [(begin, end) for begin, end in cut if end - begin >= SHORTEST]


def read_passages(
    source: Source, corpus: Corpus, batches: list[Batch], chosen: list[list[list[Window]]]
) -> list[list[tuple[Passage, ...]]]:
    """The chosen windows as passages, [L][S]; their rows go through the model once more."""
    rows = sorted(
        {(place.batch, place.row) for layer in chosen for segment in layer for place in segment}
    )
    alpha: dict[tuple[int, int], np.ndarray] = {}
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[first : first + ROWS_AT_ONCE]
        tokens = token_tensors(pick_rows(batches, some))
        with torch.no_grad():
            source.model(tokens.inputs, tokens.start, context_BT=tokens.context)
        read = (
            torch.stack(
                [
                    layer.last_alpha
                    for layer in source.model.feedforwards()
                    if layer.last_alpha is not None
                ]
            )
            .float()
            .numpy()
        )
        alpha.update({place: read[:, index] for index, place in enumerate(some)})

    def passage(place: Window, layer: int, segment: int) -> Passage:
        context = int(corpus.validation.context[place.document])
        ids = batches[place.batch].ids[place.row, place.begin : place.end]
        return Passage(
            document=corpus.validation.titles[place.document],
            context=corpus.contexts[context] if context >= 0 else "",
            tokens=tuple(source.tokenizer.token_text(int(token)) for token in ids),
            strength=alpha[place.batch, place.row][layer, place.begin : place.end, segment],
        )

    return [
        [
            tuple(passage(place, layer, segment) for place in places)
            for segment, places in enumerate(segments)
        ]
        for layer, segments in enumerate(chosen)
    ]
