"""Validation documents on a plane by their gradients: documents that need the same neurons lie together. Labels are not used.

The signature of a document is the mean over its tokens of |a dL/da|, for every neuron of every layer (partition/signatures.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cpart_core.analysis.plane import lay_out, log_features
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.results import DocumentMap
from cpart_core.analysis.source import Source, validation_batches
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus, Split
from cpart_core.partition.signatures import SignatureSums
from cpart_core.training.losses import token_losses

MOST_DOCUMENTS = 600
MOST_TOKENS = 200_000
FEWEST_TOKENS = 8
"""Of a document: the signature of fewer is noise."""
EXCERPT = 80


@dataclass
class DocumentSums:
    """Sums over the tokens of each of M documents."""

    signature: np.ndarray
    """[L, N, M]"""
    alpha: np.ndarray
    """[L, M, S]"""
    loss: np.ndarray
    """[M] nats"""
    tokens: np.ndarray
    """[M]"""


def map_documents(source: Source, corpus: Corpus, method: str, seed: int, progress: Progress = silent) -> DocumentMap:
    """One forward and backward pass over the rows of at most 600 documents, drawn evenly over contexts; `parameters` says of how many."""
    settings = source.model.settings
    batches = validation_batches(corpus, settings.context_length, MOST_TOKENS, seed)
    chosen, available = choose_documents(batches, corpus.validation, seed)
    if len(chosen) < 2:
        raise ValueError(
            f"A map of documents needs at least 2 validation documents of {FEWEST_TOKENS} tokens or more; this corpus has {len(chosen)}."
        )
    sums = read_documents(source, batches, chosen, len(corpus.validation.titles), progress)
    relative = sums.signature / sums.tokens
    mean = relative.mean(axis=2, keepdims=True)
    relative = np.divide(relative, mean, out=np.zeros_like(relative), where=mean > 0)
    features = log_features(relative.reshape(-1, len(chosen)).T)
    plane = lay_out([features], method, seed, part_of(progress, 0.8, 0.99))
    return DocumentMap(
        run=source.run,
        step=source.step,
        method=plane.method,
        position=plane.position[-1],
        title=tuple(corpus.validation.titles[document] for document in chosen),
        excerpt=tuple(excerpt(source, corpus.validation, int(document)) for document in chosen),
        context=corpus.validation.context[chosen].astype(np.int16),
        contexts=corpus.contexts,
        strongest_segment=sums.alpha.argmax(axis=2).astype(np.int16),
        loss=sums.loss / sums.tokens,
        tokens=sums.tokens,
        seed=seed,
        parameters={
            **plane.parameters,
            "sampled": len(chosen),
            "total": available,
            "most_documents": MOST_DOCUMENTS,
            "neurons": features.shape[1],
        },
        faithfulness=plane.faithfulness,
    )


def choose_documents(batches: list[Batch], validation: Split, seed: int) -> tuple[np.ndarray, int]:
    """(numbers of at most 600 documents in ascending order, how many could be chosen): contexts in their shares, seeded."""
    tokens = np.zeros(len(validation.titles), dtype=np.int64)
    for batch in batches:
        document = batch.document[:, :-1].ravel()
        tokens += np.bincount(document[document >= 0], minlength=len(tokens))
    fit = np.flatnonzero(tokens >= FEWEST_TOKENS)
    if len(fit) <= MOST_DOCUMENTS:
        return fit, len(fit)
    shuffled = np.random.default_rng(seed).permutation(fit)
    ordered = shuffled[np.argsort(validation.context[shuffled], kind="stable")]
    return np.sort(ordered[np.linspace(0, len(ordered) - 1, MOST_DOCUMENTS).round().astype(int)]), len(fit)


def read_documents(source: Source, batches: list[Batch], chosen: np.ndarray, num_documents: int, progress: Progress) -> DocumentSums:
    """Gradients, fusion weights and losses of the chosen documents; rows without any of them are not read."""
    model, settings = source.model, source.model.settings
    number_of = np.full(num_documents + 1, -1, dtype=np.int64)  # the last entry answers document -1
    number_of[chosen] = np.arange(len(chosen))
    sums = DocumentSums(
        np.zeros((settings.num_layers, settings.num_neurons, len(chosen)), dtype=np.float32),
        np.zeros((settings.num_layers, len(chosen), settings.num_segments)),
        np.zeros(len(chosen)),
        np.zeros(len(chosen), dtype=np.int64),
    )
    model.embedding.requires_grad_(True)  # so that there is a backward pass at all; no gradient of a weight is kept
    try:
        for count, batch in enumerate(batches):
            progress(0.8 * count / len(batches), f"Gradients of batch {count + 1} of {len(batches)}")
            document = number_of[batch.document[:, :-1]]
            rows = (document >= 0).any(axis=1)
            if rows.any():
                add_batch(source, batch.ids[rows], batch.start[rows, :-1], document[rows], sums)
    finally:
        model.embedding.requires_grad_(False)
    return sums


def add_batch(source: Source, ids: np.ndarray, start: np.ndarray, document: np.ndarray, sums: DocumentSums) -> None:
    """One forward and backward. ids [B, T+1], start [B, T], document [B, T] numbers into the sums, -1 for none."""
    model, settings = source.model, source.model.settings
    here, local = np.unique(document, return_inverse=True)
    local = local.reshape(document.shape)
    if here[0] < 0:
        here, local = here[1:], local - 1
    groups = torch.from_numpy(local)
    measured = SignatureSums(settings.num_layers, settings.num_neurons, len(here), decay=1.0, device=torch.device("cpu"))
    given = torch.from_numpy(ids)
    with measured.measure(model, groups):
        losses = token_losses(model(given[:, :-1], torch.from_numpy(start).long()), given[:, 1:])
        torch.autograd.grad(losses.mean(), [model.embedding])
    sums.signature[:, :, here] += measured.total.numpy()
    known = local.reshape(-1) >= 0
    one_hot = (local.reshape(-1) == np.arange(len(here))[:, None]).astype(np.float32)
    for number, layer in enumerate(model.feedforwards()):
        assert layer.last_alpha is not None
        sums.alpha[number, here] += one_hot @ layer.last_alpha.detach().flatten(0, 1).float().numpy()
    sums.loss[here] += np.bincount(local.reshape(-1)[known], weights=losses.detach().flatten().numpy()[known], minlength=len(here))
    sums.tokens[here] += np.bincount(local.reshape(-1)[known], minlength=len(here))


def excerpt(source: Source, validation: Split, document: int) -> str:
    """The document's first 80 characters, on one line."""
    first, last = int(validation.starts[document]), int(validation.starts[document + 1])
    ids = [int(token) for token in validation.ids[first : min(last, first + 4 * EXCERPT)]]
    return " ".join(source.tokenizer.decode(ids).split())[:EXCERPT]
