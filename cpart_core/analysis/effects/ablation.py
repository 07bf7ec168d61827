"""Every segment of every layer ablated alone: what it costs each context, and whether it costs its
own more than the others.

One forward gives every segment's contribution at every layer; taking one away needs the layers
above it alone (law: it is what an Intervention gives).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.source import Source
from cpart_core.analysis.statistics.bootstrap import interval
from cpart_core.analysis.statistics.by_document import RESAMPLES, DocumentSums, divided
from cpart_core.analysis.statistics.spread import rows_over_documents
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.tensors import token_tensors
from cpart_core.model.capture import capture
from cpart_core.model.decoder import Decoder
from cpart_core.model.next_token import token_losses
from cpart_core.records.effects import AblationMatrix

MOST_TOKENS, FEWEST_TOKENS = 24_000, 4_000
MOST_WORK = 1_500_000
"""Tokens times segments times layers: large models are measured on fewer tokens, and the result
says how many."""
LEAST = 0.001
"""Nats per token. A smaller change counts as this one in a selectivity, so that a ratio of two
nothings is 1."""


def ablation_matrix(
    source: Source, corpus: Corpus, seed: int, progress: Progress = silent
) -> AblationMatrix:
    """The whole matrix. Raises ValueError when the contexts of the text are not known yet."""
    if not (corpus.validation.context >= 0).any():
        raise ValueError(
            "The contexts of this run's text are not known yet; they are found at the first"
            " partition. Choose a later step."
        )
    layers = source.model.feedforwards()
    segments = [*range(layers[0].num_segments), *([-1] if layers[0].num_shared else [])]
    most = min(MOST_TOKENS, max(FEWEST_TOKENS, MOST_WORK // (len(layers) * len(segments))))
    sums = DocumentSums(
        corpus.validation.context, len(corpus.contexts), len(layers) * len(segments) + 1
    )
    batches = rows_over_documents(corpus, source.model.settings.context_length, most, seed)
    for number, batch in enumerate(batches):
        for done in take_batch(source.model, batch, segments, sums):
            progress(
                (number + done) / len(batches) * 0.98,
                f"Batch {number + 1} of {len(batches)}: taking segments away one at a time",
            )
    progress(0.98, "Drawing documents again for the intervals")
    return summed_up(source, corpus, np.array(segments), sums, seed)


def take_batch(
    model: Decoder, batch: Batch, segments: list[int], sums: DocumentSums
) -> Iterator[float]:
    """Add the change of every token's loss for every layer and segment, and the loss itself as the
    last column; yields the share done."""
    tokens = token_tensors(batch)
    document = batch.document[:, :-1]
    after: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, stream: after.append(stream))
        for layer in model.layers
    ]
    try:
        with torch.no_grad(), capture(model) as captured:
            logits = model(tokens.inputs, tokens.start, context_BT=tokens.context)
            loss = token_losses(logits, tokens.targets)
            contributions = [[item.output(segment) for segment in segments] for item in captured]
    finally:
        for hook in hooks:
            hook.remove()
    sums.count(document)
    sums.add(len(model.layers) * len(segments), document, loss.numpy())
    for layer, parts in enumerate(contributions):
        for column, part in enumerate(parts):
            with torch.no_grad():
                changed = (
                    token_losses(
                        model.read_on(after[layer] - part, layer + 1, tokens.start), tokens.targets
                    )
                    - loss
                )
            sums.add(layer * len(segments) + column, document, changed.numpy())
        yield (layer + 1) / len(contributions)


def summed_up(
    source: Source, corpus: Corpus, segments: np.ndarray, sums: DocumentSums, seed: int
) -> AblationMatrix:
    """Means, intervals and selectivities from the sums of the documents."""
    L, Z, C = len(source.model.layers), len(segments), len(corpus.contexts)
    fold = sums.folds(seed)
    whole = np.zeros_like(fold)
    mean_CK = sums.means(whole)[0]
    halves = sums.means(fold)[..., :-1]
    drawn_sums, drawn_tokens = sums.redrawn(fold, seed)
    drawn = divided(drawn_sums.sum(axis=1), drawn_tokens.sum(axis=1))[..., :-1]
    low, high = interval(drawn)
    drawn_halves = divided(drawn_sums, drawn_tokens)[..., :-1]
    change = mean_CK[:, :-1]
    known = np.isfinite(change).all(axis=1)
    routed = np.tile(segments >= 0, L)
    sel_low, sel_high = interval(np.stack([selectivity_of(one) for one in drawn_halves]))
    strong_low, strong_high = interval(
        np.stack([strongest_of(one, routed) for one in drawn_halves])
    )
    place = best_segment(change, routed)
    return AblationMatrix(
        run=source.run,
        step=source.step,
        seed=seed,
        contexts=corpus.contexts,
        segments=segments,
        loss_by_context=mean_CK[:, -1],
        change=by_layer(change, L, Z),
        low=by_layer(low, L, Z),
        high=by_layer(high, L, Z),
        own=np.where(known.any(), best_context(change), -1).reshape(L, Z),
        selectivity=selectivity_of(halves).reshape(L, Z),
        selectivity_low=sel_low.reshape(L, Z),
        selectivity_high=sel_high.reshape(L, Z),
        strongest=np.stack([place // Z, place % Z], axis=1).reshape(C, 2),
        strongest_selectivity=strongest_of(halves, routed),
        strongest_low=strong_low,
        strongest_high=strong_high,
        least=LEAST,
        tokens_by_context=sums.tokens_by_context,
        documents_by_context=sums.documents_by_context,
        resamples=RESAMPLES,
    )


def by_layer(values_CK: np.ndarray, L: int, Z: int) -> np.ndarray:
    """[C, L * Z] -> [L, Z, C]."""
    return np.moveaxis(values_CK.reshape(-1, L, Z), 0, 2)


def best_context(change_CK: np.ndarray) -> np.ndarray:
    """[K] the context with the greatest change; unmeasured ones do not take part."""
    return np.asarray(np.where(np.isfinite(change_CK), change_CK, -np.inf).argmax(axis=0))


def best_segment(change_CK: np.ndarray, allowed_K: np.ndarray) -> np.ndarray:
    """[C] the allowed column with the greatest change."""
    return np.asarray(
        np.where(allowed_K & np.isfinite(change_CK), change_CK, -np.inf).argmax(axis=1)
    )


def ratio(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """own / others, neither below LEAST."""
    return np.asarray(np.maximum(own, LEAST) / np.maximum(others, LEAST))


def own_and_others(change_CK: np.ndarray, context_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([K] change on the column's context, [K] mean change on the others)."""
    own = np.take_along_axis(change_CK, context_K[None], axis=0)[0]
    others = np.where(np.arange(len(change_CK))[:, None] == context_K, np.nan, change_CK)
    count = np.isfinite(others).sum(axis=0)
    return own, np.divide(
        np.nansum(others, axis=0), count, out=np.full(len(own), np.nan), where=count > 0
    )


def selectivity_of(halves_FCK: np.ndarray) -> np.ndarray:
    """[K] each half measured with the context that the other half chose, and both taken
    together."""
    context_FK = [best_context(half) for half in halves_FCK[::-1]]
    own, others = zip(
        *(
            own_and_others(half, context)
            for half, context in zip(halves_FCK, context_FK, strict=True)
        ),
        strict=True,
    )
    return ratio(np.mean(own, axis=0), np.mean(others, axis=0))


def strongest_of(halves_FCK: np.ndarray, allowed_K: np.ndarray) -> np.ndarray:
    """[C] selectivity, for each context, of the segment that the other half found strongest for
    it."""
    column_FC = [best_segment(half, allowed_K) for half in halves_FCK[::-1]]
    own, others = [], []
    for half, column in zip(halves_FCK, column_FC, strict=True):
        part, rest = own_and_others(half[:, column], np.arange(len(half)))
        own.append(part)
        others.append(rest)
    return ratio(np.mean(own, axis=0), np.mean(others, axis=0))


def answer(asked: Asked) -> AblationMatrix:
    """The request `ablation_matrix`."""
    return ablation_matrix(asked.source(), asked.corpus(), asked.run_seed, asked.progress)
