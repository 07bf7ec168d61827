"""What a quarter of the segments is worth: chosen for each context on training documents, measured
on held-out ones, beside chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cpart_core.analysis.keep.keep_k import SelectionRequest, Texts, rank_segments, texts_of
from cpart_core.analysis.losses.held_out import Rows, document_losses
from cpart_core.analysis.source import Source
from cpart_core.corpus.document import Corpus
from cpart_core.model.carve import carve
from cpart_core.model.decoder import Decoder

CHOOSING_DOCUMENTS = 8
RANKING = "effect"
RANDOM_DRAWS = 3


@dataclass(frozen=True)
class ContextText:
    """One context's training documents to choose segments on, its held-out ones, and what the whole
    model loses on those."""

    number: int
    request: SelectionRequest
    texts: Texts
    whole: float
    """Nats per token."""


@dataclass(frozen=True)
class KeptQuarter:
    """The carved models of all contexts of one checkpoint; costs are shares of the whole model's
    loss on the context."""

    by_context: tuple[float, ...]
    """NaN for contexts without text."""
    cost_by_chance: float
    """Mean over contexts and draws."""
    whole_bytes: int
    """Weights of the whole model in memory."""
    carved_bytes: int
    """Weights of a carved one; all contexts keep as many segments."""
    kept: dict[str, np.ndarray]
    """Context -> [L, k] segments."""

    @property
    def cost(self) -> float:
        """Mean over contexts."""
        return float(np.nanmean(self.by_context))


def quarter_of(num_segments: int) -> int:
    """Segments that are kept of so many."""
    return max(1, num_segments // 4)


def context_texts(source: Source, corpus: Corpus, seed: int) -> list[ContextText]:
    """Every context that has training and validation text."""
    found = []
    for number, context in enumerate(corpus.contexts):
        request = SelectionRequest(context, "", RANKING, CHOOSING_DOCUMENTS, seed)
        try:
            texts = texts_of(
                request, corpus, source.tokenizer, source.model.settings.context_length
            )
        except ValueError:  # no text of one of the two
            continue
        found.append(
            ContextText(
                number, request, texts, document_losses(source.model, texts.measured).mean()
            )
        )
    return found


def keep_quarter(
    source: Source, num_contexts: int, texts: list[ContextText], seed: int
) -> KeptQuarter | None:
    """None where a layer has too few segments to leave any out, or no context has text."""
    model = source.model
    L, S = model.settings.num_layers, model.settings.num_segments
    if S < 2 or not texts:
        return None
    keep = quarter_of(S)
    draws = [
        np.random.default_rng([seed, draw]).permuted(np.tile(np.arange(S), (L, 1)), axis=1)[
            :, :keep
        ]
        for draw in range(RANDOM_DRAWS)
    ]
    costs, chances, carved_bytes, chosen = np.full(num_contexts, np.nan), [], 0, {}
    for entry in texts:
        measured, whole = entry.texts.measured, entry.whole
        kept = rank_segments(source, entry.request, entry.texts.choosing)[1][:, :keep]
        smaller = carve(model, kept)
        carved_bytes, chosen[entry.request.context] = weight_bytes(smaller), kept
        costs[entry.number] = cost(smaller, measured, whole)
        chances.append(
            float(np.mean([cost(carve(model, drawn), measured, whole) for drawn in draws]))
        )
    return KeptQuarter(
        tuple(costs.tolist()), float(np.mean(chances)), weight_bytes(model), carved_bytes, chosen
    )


def cost(model: Decoder, rows: Rows, whole: float) -> float:
    """Rise of the loss as a share of the whole model's."""
    return float(document_losses(model, rows).mean() / whole - 1.0)


def weight_bytes(model: Decoder) -> int:
    """Bytes of the weights, each storage once."""
    with torch.no_grad():
        return sum(
            {
                p.untyped_storage().data_ptr(): p.untyped_storage().nbytes()
                for p in model.parameters()
            }.values()
        )
