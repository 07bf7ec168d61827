"""Loss, accuracy and bits per byte of a checkpoint on all validation text: what `evaluate` says."""

from __future__ import annotations

import math

import numpy as np
import torch

from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.results import LossReport
from cpart_core.analysis.source import Source, mean_over, validation_batches
from cpart_core.corpus.document import Corpus
from cpart_core.model.next_token import token_losses


def report_losses(source: Source, corpus: Corpus, seed: int, progress: Progress = silent) -> LossReport:
    """Every validation row once, in fp32. While no context is known yet, `loss` is over all tokens alike, as in training.

    A token's loss belongs to the context of the token before it, as in training (rows of one context make no difference).
    Bits per byte divides by the bytes of the very tokens that were predicted: the first token of a row is nobody's prediction, so its
    bytes do not count either; the end-of-document token costs bits and has no bytes.
    """
    num_contexts = len(corpus.contexts)
    sums, counts, right = np.zeros(num_contexts), np.zeros(num_contexts, dtype=np.int64), np.zeros(num_contexts)
    bytes_of = np.array([len(data) for data in source.tokenizer.token_bytes])
    nats, num_tokens, num_bytes = 0.0, 0, 0
    batches = validation_batches(corpus, source.model.settings.context_length, None, seed)
    for number, batch in enumerate(batches):
        progress(number / len(batches), f"Batch {number + 1} of {len(batches)} of the validation text")
        targets = torch.from_numpy(batch.ids[:, 1:])
        start, told = (torch.from_numpy(part[:, :-1]).long() for part in (batch.start, batch.context))
        with torch.no_grad():
            logits = source.model(torch.from_numpy(batch.ids[:, :-1]), start, context_BT=told)
        loss = token_losses(logits, targets).flatten().double().numpy()
        hit = (logits.argmax(dim=-1) == targets).flatten().numpy()
        context = batch.context[:, :-1].reshape(-1).astype(np.int64)
        known = context >= 0
        sums += np.bincount(context[known], weights=loss[known], minlength=num_contexts)
        right += np.bincount(context[known], weights=hit[known], minlength=num_contexts)
        counts += np.bincount(context[known], minlength=num_contexts)
        nats, num_tokens = nats + float(loss.sum()), num_tokens + loss.size
        num_bytes += int(bytes_of[batch.ids[:, 1:]].sum())
    by_context = mean_over(sums, counts)
    documents = corpus.validation.context[corpus.validation.context >= 0]
    return LossReport(
        run=source.run,
        step=source.step,
        contexts=corpus.contexts,
        loss_by_context=by_context,
        tokens_by_context=counts,
        documents_by_context=np.bincount(documents, minlength=num_contexts),
        loss=float(np.nanmean(by_context)) if counts.any() else nats / num_tokens if num_tokens else math.nan,
        accuracy_by_context=mean_over(right, counts),
        bits_per_byte=nats / math.log(2) / num_bytes if num_bytes else math.nan,
    )
