"""Validation documents on a plane by their gradients: documents that need the same neurons lie
together. Labels are not used.

The signature of a document is the mean over its tokens of |a dL/da|, for every neuron of every layer (model/signatures.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.maps.plane import lay_out, log_features
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.corpus.batches import Batch
from cpart_core.corpus.document import Corpus, Split
from cpart_core.corpus.tensors import of_predicting, token_tensors
from cpart_core.model.next_token import token_losses
from cpart_core.model.signatures import SignatureSums
from cpart_core.records.maps import DocumentMap
from cpart_core.training.discovery import document_heads

MOST_DOCUMENTS = 600
ROWS_AT_ONCE = 16
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


def map_documents(
    source: Source, corpus: Corpus, method: str, seed: int, progress: Progress = silent
) -> DocumentMap:
    """One forward and backward pass over the beginnings (one row each) of at most 600 documents,
    drawn evenly over contexts.

    Of how many documents, and how many tokens of each at most, is in `parameters`.
    """
    chosen, available = choose_documents(corpus.validation, seed)
    if len(chosen) < 2:
        raise ValueError(
            f"A map of documents needs at least 2 validation documents of {FEWEST_TOKENS} tokens or"
            f" more; this corpus has {len(chosen)}."
        )
    sums = read_documents(source, corpus.validation, chosen, progress)
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
            "most_tokens_of_each": source.model.settings.context_length,
            "neurons": features.shape[1],
        },
        faithfulness=plane.faithfulness,
    )


def choose_documents(validation: Split, seed: int) -> tuple[np.ndarray, int]:
    """(numbers of at most 600 documents in ascending order, how many could be chosen): contexts in
    their shares, seeded."""
    fit = np.flatnonzero(np.diff(validation.starts) > FEWEST_TOKENS)
    if len(fit) <= MOST_DOCUMENTS:
        return fit, len(fit)
    shuffled = np.random.default_rng(seed).permutation(fit)
    ordered = shuffled[np.argsort(validation.context[shuffled], kind="stable")]
    return np.sort(
        ordered[np.linspace(0, len(ordered) - 1, MOST_DOCUMENTS).round().astype(int)]
    ), len(fit)


def read_documents(
    source: Source, validation: Split, chosen: np.ndarray, progress: Progress
) -> DocumentSums:
    """Gradients, fusion weights and losses of the chosen documents' beginnings."""
    model, settings = source.model, source.model.settings
    sums = DocumentSums(
        np.zeros((settings.num_layers, settings.num_neurons, len(chosen)), dtype=np.float32),
        np.zeros((settings.num_layers, len(chosen), settings.num_segments)),
        np.zeros(len(chosen)),
        np.zeros(len(chosen), dtype=np.int64),
    )
    # so that there is a backward pass at all; no gradient of a weight is kept
    model.embedding.requires_grad_(True)
    try:
        for number, batch in enumerate(
            document_heads(validation, chosen, settings.context_length, ROWS_AT_ONCE)
        ):
            done = number * ROWS_AT_ONCE
            progress(0.8 * done / len(chosen), f"Gradients of document {done + 1} of {len(chosen)}")
            add_batch(source, batch, sums)
    finally:
        model.embedding.requires_grad_(False)
    return sums


def add_batch(source: Source, batch: Batch, sums: DocumentSums) -> None:
    """One forward and backward. Batch.document holds positions in the sums, -1 where a row is only
    filled up: that counts nowhere."""
    model, settings = source.model, source.model.settings
    tokens, document = token_tensors(batch), of_predicting(batch.document)
    known = document >= 0
    here, local = np.unique(document[known].numpy(), return_inverse=True)
    group = torch.full_like(document, -1)
    group[known] = torch.from_numpy(local)
    measured = SignatureSums(
        settings.num_layers, settings.num_neurons, len(here), decay=1.0, device=torch.device("cpu")
    )
    with measured.measure(model, group):
        losses = token_losses(model(tokens.inputs, tokens.start), tokens.targets)
        # `measure` wants a mean over all tokens; filling must not send gradients back into the
        # document before it.
        torch.autograd.grad((losses * known).mean(), [model.embedding])
    sums.signature[:, :, here] += measured.total.numpy()
    one_hot = (local == np.arange(len(here))[:, None]).astype(np.float32)
    for number, layer in enumerate(model.feedforwards()):
        assert layer.last_alpha is not None
        sums.alpha[number, here] += one_hot @ layer.last_alpha.detach()[known].float().numpy()
    sums.loss[here] += np.bincount(
        local, weights=losses.detach()[known].numpy(), minlength=len(here)
    )
    sums.tokens[here] += np.bincount(local, minlength=len(here))


def excerpt(source: Source, validation: Split, document: int) -> str:
    """The document's first 80 characters, on one line."""
    first, last = int(validation.starts[document]), int(validation.starts[document + 1])
    ids = [int(token) for token in validation.ids[first : min(last, first + 4 * EXCERPT)]]
    return " ".join(source.tokenizer.decode(ids).split())[:EXCERPT]


def answer(asked: Asked) -> DocumentMap:
    """The request `document_map`."""
    method, seed = asked.values["method"], asked.values["seed"]
    return map_documents(asked.source(), asked.corpus(), method, seed, asked.progress)
