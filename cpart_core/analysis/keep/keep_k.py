"""Keep k: how the held-out loss rises when each layer keeps only the k segments that matter for one
context or one text.

The segments are chosen on training documents (or on the first half of a text) and measured on
validation documents (or on the second half): no text is ever both. What is measured is the carved
model itself (model/carve.py). The control keeps as many segments by chance.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.keep.ranking import ranking
from cpart_core.analysis.losses.held_out import (
    DocumentLosses,
    Rows,
    document_losses,
    interval_of_rise,
    rows_of_documents,
    rows_of_text,
)
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.source import Source
from cpart_core.corpus.document import Corpus, Split
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.model.carve import carve
from cpart_core.model.decoder import Decoder
from cpart_core.records.keep import KeepCurve

CHOOSING_TOKENS = 4096
"""Read for the choice, at most."""
MEASURED_TOKENS = 4096
"""Held-out tokens of the context or text for which segments are chosen, at most."""
OTHER_TOKENS = 2048
"""Of each other context, at most."""
RANDOM_DRAWS = 10
MOST_COUNTS = 12
"""With more segments than this, not every count is tried."""
FEWEST_TEXT_TOKENS = 32


@dataclass(frozen=True)
class SelectionRequest:
    """What segments are to be chosen for: a context by its name, or a text (exactly one of them),
    and how."""

    context: str
    text: str
    ranking: str
    documents: int
    """Training documents of the context to choose on; a text is chosen on as it is."""
    seed: int

    def check(self, contexts: tuple[str, ...]) -> SelectionRequest:
        """Return self, or ValueError that says what is wrong."""
        ranking(self.ranking)
        if bool(self.context) == bool(self.text.strip()):
            raise ValueError("Give a context or a text to choose the segments for, and not both.")
        if self.context and self.context not in contexts:
            raise ValueError(
                f"There is no context {self.context!r} in this run; there are:"
                f" {', '.join(contexts)}."
            )
        if self.documents < 1:
            raise ValueError(
                f"documents is {self.documents}; give at least 1 document to choose on."
            )
        return self


@dataclass(frozen=True)
class Texts:
    """Choosing text and held-out text, which never overlap."""

    choosing: Rows
    measured: Rows
    others: tuple[Rows, ...]
    """[C] held-out documents of every context."""


def texts_of(
    request: SelectionRequest, corpus: Corpus, tokenizer: Tokenizer, context_length: int
) -> Texts:
    """The documents that a request asks for. ValueError where there is too little text."""
    others = tuple(
        held_out(corpus.validation, number, context_length, OTHER_TOKENS)
        for number in range(len(corpus.contexts))
    )
    if request.text:
        ids = tokenizer.encode(request.text)
        if len(ids) < FEWEST_TEXT_TOKENS:
            raise ValueError(
                f"The text has {len(ids)} tokens; at least {FEWEST_TEXT_TOKENS} are needed: its"
                " first half chooses, its second is measured."
            )
        half = len(ids) // 2
        choosing = rows_of_text(ids[:half], context_length, CHOOSING_TOKENS)
        return Texts(choosing, rows_of_text(ids[half:], context_length, MEASURED_TOKENS), others)
    number = corpus.contexts.index(request.context)
    mine = np.flatnonzero(corpus.train.context == number)
    drawn = np.random.default_rng([request.seed, number]).permutation(mine)[: request.documents]
    choosing = rows_of_documents(corpus.train, drawn, context_length, CHOOSING_TOKENS)
    measured = held_out(corpus.validation, number, context_length, MEASURED_TOKENS)
    for rows, split in ((choosing, "training"), (measured, "validation")):
        if not rows.tokens:
            raise ValueError(
                f"The context {request.context} has no {split} text, so nothing can be chosen or"
                " measured for it."
            )
    return Texts(choosing, measured, others)


def held_out(split: Split, context: int, context_length: int, most_tokens: int) -> Rows:
    return rows_of_documents(
        split, np.flatnonzero(split.context == context), context_length, most_tokens
    )


def rank_segments(
    source: Source, request: SelectionRequest, choosing: Rows
) -> tuple[np.ndarray, np.ndarray]:
    """(importance [L, S], order [L, S]: the most important segment first)."""
    importance = ranking(request.ranking)(source.model, choosing)
    return importance, np.argsort(-importance, axis=1, kind="stable")


def keep_curve(
    source: Source, corpus: Corpus, request: SelectionRequest, progress: Progress = silent
) -> KeepCurve:
    """The curve of a request. ValueError for one that cannot be met."""
    request.check(corpus.contexts)
    model = source.model
    L, S = model.settings.num_layers, model.settings.num_segments
    if S < 2:
        raise ValueError("This model has one segment a layer, so there is nothing to leave out.")
    texts = texts_of(request, corpus, source.tokenizer, model.settings.context_length)
    progress(0.0, f"Choosing segments on {len(texts.choosing.titles)} documents")
    importance, order = rank_segments(source, request, texts.choosing)
    kept = counts_of(S)
    random = np.random.default_rng([request.seed, L, S])
    chance = [np.stack([random.permutation(S) for _ in range(L)]) for _ in range(RANDOM_DRAWS)]
    mine, others, by_chance = measure(model, order, chance, kept, texts, progress)
    low, high = intervals(mine, request.seed)
    found = [intervals(curve, request.seed) for curve in others]
    loss, others_loss = means(mine), np.stack([means(curve) for curve in others])
    return KeepCurve(
        run=source.run,
        step=source.step,
        seed=request.seed,
        context=request.context,
        text=request.text,
        ranking=request.ranking,
        execution=model.settings.execution if model.feedforwards()[0].fused else "dense",
        importance=importance,
        order=order,
        chosen_on=texts.choosing.titles,
        chosen_tokens=texts.choosing.tokens,
        kept=kept,
        loss=loss,
        rise=loss - loss[0],
        low=low,
        high=high,
        documents=len(texts.measured.titles),
        tokens=texts.measured.tokens,
        random_loss=by_chance,
        contexts=corpus.contexts,
        loss_by_context=others_loss,
        rise_by_context=others_loss - others_loss[:, :1],
        low_by_context=np.stack([interval[0] for interval in found]),
        high_by_context=np.stack([interval[1] for interval in found]),
        documents_by_context=np.array([len(rows.titles) for rows in texts.others]),
        tokens_by_context=np.array([rows.tokens for rows in texts.others]),
    )


def counts_of(num_segments: int) -> np.ndarray:
    """Counts of kept segments to try: all of them, or MOST_COUNTS evenly spread on a log scale;
    from S down to 1."""
    if num_segments <= MOST_COUNTS:
        return np.arange(num_segments, 0, -1)
    return np.unique(np.round(np.geomspace(1, num_segments, MOST_COUNTS)).astype(int))[::-1].copy()


def measure(
    model: Decoder,
    order: np.ndarray,
    chance: list[np.ndarray],
    kept: np.ndarray,
    texts: Texts,
    progress: Progress,
) -> tuple[list[DocumentLosses], list[list[DocumentLosses]], np.ndarray]:
    """(losses [K] on the measured text, [C][K] on every context, mean losses [R, K] by chance on
    the measured text)."""
    mine: list[DocumentLosses] = []
    others: list[list[DocumentLosses]] = [[] for _ in texts.others]
    by_chance = np.empty((len(chance), len(kept)))
    for place, k in enumerate(kept.tolist()):
        progress((place + 0.1) / (len(kept) + 0.1), f"Keeping {k} of {order.shape[1]} segments")
        smaller = carve(model, order[:, :k])
        mine.append(document_losses(smaller, texts.measured))
        for curve, rows in zip(others, texts.others, strict=True):
            curve.append(document_losses(smaller, rows))
        for draw, numbers in enumerate(chance):
            whole = k == order.shape[1]
            by_chance[draw, place] = (
                mine[-1] if whole else document_losses(carve(model, numbers[:, :k]), texts.measured)
            ).mean()
            progress(
                (place + 0.3 + 0.7 * draw / len(chance)) / (len(kept) + 0.1),
                f"Keeping {k} of {order.shape[1]} segments by chance",
            )
    return mine, others, by_chance


def means(curve: list[DocumentLosses]) -> np.ndarray:
    """[K] nats per token; NaN without text."""
    return np.array([losses.mean() if losses.tokens.sum() else np.nan for losses in curve])


def intervals(curve: list[DocumentLosses], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """([K] low, [K] high) of the rise over the first entry, which is the whole model."""
    pairs = np.array([interval_of_rise(curve[0], losses, seed) for losses in curve])
    return pairs[:, 0], pairs[:, 1]


def selection_request(values: dict[str, Any]) -> SelectionRequest:
    """What a request wants segments chosen for."""
    return SelectionRequest(**{item.name: values[item.name] for item in fields(SelectionRequest)})


def answer(asked: Asked) -> KeepCurve:
    """The request `keep_k`."""
    return keep_curve(
        asked.source(), asked.corpus(), selection_request(asked.values), asked.progress
    )
