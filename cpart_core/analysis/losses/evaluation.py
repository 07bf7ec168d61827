"""The evaluation set that all numbers called validation loss are of: every validation row once.
Sums over its documents, and what follows from them.

Rows are those of training (corpus/batches.py), of which training itself reads a sample. A token
belongs to the document and context of the token before it, as in training. Two checkpoints with the
same rows are compared by these sums alone: nothing is read again.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.source import Source, mean_over, validation_batches
from cpart_core.analysis.statistics.bootstrap import interval
from cpart_core.analysis.statistics.by_document import DocumentSums
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.tensors import token_tensors
from cpart_core.model.next_token import token_losses
from cpart_core.records.losses import LossReport
from cpart_core.runs.folder import Run


class Read(NamedTuple):
    """Sums over each of M validation documents."""

    nats: np.ndarray
    right: np.ndarray
    """Tokens that were the model's first choice."""
    tokens: np.ndarray
    """Predicted ones."""
    num_bytes: int
    """Of all predicted tokens: the first of a row is nobody's prediction, and <|end|> costs bits
    and has no bytes."""


def read_validation(source: Source, corpus: Corpus, seed: int, progress: Progress = silent) -> Read:
    """One pass over all validation rows, in fp32. seed: of the run's training, which laid out its
    rows."""
    M = len(corpus.validation.context)
    nats, right, tokens = np.zeros(M), np.zeros(M), np.zeros(M, dtype=np.int64)
    bytes_of = np.array([len(data) for data in source.tokenizer.token_bytes])
    num_bytes = 0
    batches = validation_batches(corpus, source.model.settings.context_length, None, seed)
    for number, batch in enumerate(batches):
        progress(
            number / len(batches), f"Batch {number + 1} of {len(batches)} of the validation text"
        )
        given = token_tensors(batch)
        with torch.no_grad():
            logits = source.model(given.inputs, given.start, context_BT=given.context)
        document = batch.document[:, :-1].ravel()
        nats += np.bincount(
            document,
            weights=token_losses(logits, given.targets).flatten().double().numpy(),
            minlength=M,
        )
        right += np.bincount(
            document,
            weights=(logits.argmax(dim=-1) == given.targets).flatten().numpy(),
            minlength=M,
        )
        tokens += np.bincount(document, minlength=M)
        num_bytes += int(bytes_of[batch.ids[:, 1:]].sum())
    return Read(nats, right, tokens, num_bytes)


def report_losses(
    source: Source, corpus: Corpus, seed: int, progress: Progress = silent
) -> LossReport:
    """Loss, accuracy and bits per byte. While no context is known yet, `loss` is over all tokens
    alike, as in training."""
    read = read_validation(source, corpus, seed, progress)
    C = len(corpus.contexts)
    known = corpus.validation.context >= 0
    by_context = [
        np.bincount(corpus.validation.context[known], weights=part[known], minlength=C)
        for part in (read.nats, read.right, read.tokens)
    ]
    loss = mean_over(by_context[0], by_context[2])
    total = int(read.tokens.sum())
    labelled = bool(by_context[2].any())
    low, high = intervals(
        read.nats,
        read.tokens,
        corpus.validation.context if labelled else np.zeros_like(corpus.validation.context),
        max(C, 1),
        seed,
    )
    return LossReport(
        run=source.run,
        step=source.step,
        contexts=corpus.contexts,
        loss_by_context=loss,
        tokens_by_context=by_context[2].astype(np.int64),
        documents_by_context=np.bincount(corpus.validation.context[known], minlength=C),
        loss=(
            float(np.nanmean(loss))
            if labelled
            else float(read.nats.sum()) / total
            if total
            else math.nan
        ),
        accuracy_by_context=mean_over(by_context[1], by_context[2]),
        bits_per_byte=(
            float(read.nats.sum()) / math.log(2) / read.num_bytes if read.num_bytes else math.nan
        ),
        low=float(low[-1]),
        high=float(high[-1]),
        low_by_context=low[:-1],
        high_by_context=high[:-1],
        nats=read.nats,
        tokens=read.tokens,
    )


def validation_report(
    run: Run, source: Source, corpus: Corpus, progress: Progress = silent
) -> LossReport:
    """The run's stored report of this checkpoint, with its sums by document; measured and stored
    now where there is none."""
    request = {"run": run.id, "step": source.step}
    stored = run.result("losses", request, LossReport)
    if stored is not None and len(stored.nats) == len(corpus.validation.context):
        return stored
    report = report_losses(source, corpus, run.settings.training.seed, progress)
    with suppress(OSError):  # a full disk costs the next one the same time again
        run.store_result("losses", request, report)
    return report


def intervals(
    nats: np.ndarray, tokens: np.ndarray, context_of: np.ndarray, num_contexts: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(low, high), both [C + 1]: of each context's loss and of their mean, documents drawn anew
    with replacement; NaN for fewer than two."""
    sums = DocumentSums(context_of, num_contexts, 2)
    sums.sums[:] = np.stack([nats, tokens], axis=1)
    sums.tokens[:] = tokens
    drawn, _ = sums.redrawn(np.zeros(len(tokens), dtype=np.int64), seed)
    low, high = interval(means(drawn[:, 0, :, 0], drawn[:, 0, :, 1]))
    return without_alone(sums, low), without_alone(sums, high)


def means(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Sums [..., C] and counts -> means [..., C + 1], the last over contexts; NaN for a context
    without documents, which it leaves out."""
    mean = mean_over(total.astype(np.float64), count)
    known = ~np.isnan(mean)
    whole = mean_over(
        np.where(known, mean, 0.0).sum(axis=-1, keepdims=True), known.sum(axis=-1, keepdims=True)
    )
    return np.concatenate([mean, whole], axis=-1)


def without_alone(sums: DocumentSums, limit: np.ndarray) -> np.ndarray:
    """[C + 1] one document drawn again and again is always itself: no interval."""
    alone = sums.documents_by_context < 2
    return np.where(np.append(alone, bool(alone.all())), np.nan, limit)


def answer(asked: Asked) -> LossReport:
    """The request `losses`."""
    return report_losses(asked.source(), asked.corpus(), asked.run_seed, asked.progress)
