"""Rows for measurements by document, and contexts found from gradients for a corpus that came
without labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from cpart_core.corpus.batches import Batch
from cpart_core.corpus.build import with_labels
from cpart_core.corpus.document import Corpus, Split
from cpart_core.model.decoder import Decoder
from cpart_core.partition.spectral import discover_contexts
from cpart_core.records.training import Discovery
from cpart_core.training.measured_evidence import measure_documents

MOST_DOCUMENTS = 2000
"""Training documents whose gradients are measured at a discovery; the others stay without a
context."""


def document_heads(
    split: Split, documents: np.ndarray, context_length: int, batch_size: int
) -> Iterator[Batch]:
    """The beginning of each given document as one row, up to context_length + 1 tokens, padded with
    document -1.

    Batch.document holds positions in `documents`, not numbers in the split.
    """
    lengths = np.minimum(np.diff(split.starts)[documents], context_length + 1)
    order = np.argsort(-lengths, kind="stable")
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        longest = max(2, int(lengths[rows].max()))
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        document = np.full((len(rows), longest), -1, dtype=np.int32)
        for i, row in enumerate(rows):
            begin, length = split.starts[documents[row]], lengths[row]
            ids[i, :length] = split.ids[begin : begin + length]
            document[i, : length - 1] = row
        context = np.full(ids.shape, -1, dtype=np.int16)
        yield Batch(
            ids=ids, context=context, document=document, start=np.zeros(ids.shape, dtype=np.int32)
        )


def sample_documents(split: Split, most: int) -> np.ndarray:
    """Numbers of at most `most` documents, evenly spread over the split."""
    M = len(split.starts) - 1
    return np.unique(np.linspace(0, M - 1, min(most, M)).astype(np.int64))


def discover(
    model: Decoder, corpus: Corpus, seed: int, device: torch.device
) -> tuple[Discovery, np.ndarray]:
    """Contexts for all validation documents and up to MOST_DOCUMENTS training documents, and the
    signatures by found context [L, N, C]."""
    train = sample_documents(corpus.train, MOST_DOCUMENTS)
    validation = np.arange(len(corpus.validation.starts) - 1)
    length = model.settings.context_length
    measured = [
        measure_documents(
            model, document_heads(split, documents, length, 16), len(documents), device
        )
        for split, documents in ((corpus.train, train), (corpus.validation, validation))
    ]
    found = discover_contexts(np.concatenate(measured, axis=2), len(corpus.contexts), seed)
    labels = np.full(len(corpus.train.starts) - 1, -1, dtype=np.int16)
    labels[train] = found[: len(train)]
    by_context = [
        (
            measured[0][:, :, found[: len(train)] == c].mean(axis=2)
            if (found[: len(train)] == c).any()
            else measured[0].mean(axis=2)
        )
        for c in range(len(corpus.contexts))
    ]
    return Discovery(labels, found[len(train) :].astype(np.int16)), np.stack(by_context, axis=2)


def with_contexts(corpus: Corpus, discovery: Discovery) -> Corpus:
    """The corpus with the found contexts as its documents' labels."""
    return with_labels(corpus, discovery.train_context, discovery.validation_context)
