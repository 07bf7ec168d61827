"""Two checkpoints on the same held-out documents: the losses of each document, and the interval of
their difference over documents.

Where both have the same validation rows (two steps of a run, twins), these are all of them, and
each side's loss is its validation loss. Else it is what both hold out: text is cut at the same
characters, so that models with other tokenizers read the same; then bits per byte are compared.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.compare.match import same_contexts
from cpart_core.analysis.losses.evaluation import means, validation_report, without_alone
from cpart_core.analysis.losses.held_out import cut_rows, document_losses, fair_share, pack
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.analysis.statistics.bootstrap import interval
from cpart_core.analysis.statistics.by_document import RESAMPLES, DocumentSums
from cpart_core.corpus.document import Corpus, Split
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.records.comparison import LossComparison
from cpart_core.records.losses import LossReport
from cpart_core.runs.folder import Run, open_run

MOST_BYTES = 100_000
"""Of all documents together; each gives its beginning."""
FEWEST_BYTES = 8
AT_ONCE = 32
"""Documents between two words about the progress."""
LONGEST_TEXT = 1500
"""Characters kept of each document, for the page to show."""
ALL_TEXT = "all text"
"""The one context where the two runs know no common ones."""


class Documents(NamedTuple):
    """Held-out text for both models."""

    texts: list[str]
    titles: list[str]
    contexts: tuple[str, ...]
    context: np.ndarray
    left_out: int


class Measured(NamedTuple):
    """One model's sums over each document, both [M]."""

    nats: np.ndarray
    length: np.ndarray
    """Predicted tokens, or the bytes of them."""


def compare_losses(
    first: Source,
    second: Source,
    corpora: tuple[Corpus, Corpus],
    comparable: bool,
    seed: int,
    progress: Progress = silent,
) -> LossComparison:
    """comparable: contexts of one name mean the same in both. ValueError when no document is held
    out for both."""
    documents = held_out_for_both(corpora, comparable)
    if not documents.texts:
        raise ValueError(
            "There is no document that was held out from both runs, so their losses cannot be"
            " compared fairly. Choose runs on the same corpus, such as twins."
        )
    same_tokens = first.tokenizer.to_json() == second.tokenizer.to_json()
    sides = []
    for number, source in enumerate((first, second)):
        told = part_of(progress, 0.1 + 0.4 * number, 0.5 + 0.4 * number)
        sides.append(measure(source, documents, not same_tokens, "AB"[number], told))
    a, b = sides
    read = (a.length > 0) & (b.length > 0)
    by_context = difference_over_documents(
        a, b, np.where(read, documents.context, -1), len(documents.contexts), seed
    )
    kept = np.flatnonzero(read)
    return LossComparison(
        run=first.run,
        step=first.step,
        other=second.run,
        other_step=second.step,
        seed=seed,
        unit="nats per token" if same_tokens else "bits per byte",
        same_corpus=corpora[0].fingerprint == corpora[1].fingerprint,
        left_out=documents.left_out,
        contexts=documents.contexts,
        titles=tuple(documents.titles[number] for number in kept),
        texts=tuple(documents.texts[number][:LONGEST_TEXT] for number in kept),
        context=documents.context[kept],
        loss=a.nats[kept] / a.length[kept],
        other_loss=b.nats[kept] / b.length[kept],
        length=a.length[kept],
        loss_by_context=by_context[0],
        other_by_context=by_context[1],
        low=by_context[2],
        high=by_context[3],
        documents_by_context=by_context[4],
        resamples=RESAMPLES,
    )


def same_rows(first: Run, second: Run, corpora: tuple[Corpus, Corpus]) -> bool:
    """Whether both are validated on the very same rows of the very same tokens."""
    if (first.settings.training.seed, first.settings.model.context_length) != (
        second.settings.training.seed,
        second.settings.model.context_length,
    ):
        return False
    a, b = corpora
    return (
        a.fingerprint == b.fingerprint
        and a.discovered == b.discovered
        and a.tokenizer_json == b.tokenizer_json
    )


def compare_reports(
    first: LossReport, second: LossReport, corpus: Corpus, comparable: bool, seed: int
) -> LossComparison:
    """Two reports on the same validation rows; nothing is read again. corpus: the first's, whose
    labels count."""
    known = comparable and bool((corpus.validation.context >= 0).any())
    context = (
        corpus.validation.context.astype(np.int64)
        if known
        else np.zeros(len(corpus.validation.context), dtype=np.int64)
    )
    names = corpus.contexts if known else (ALL_TEXT,)
    kept = np.flatnonzero(first.tokens > 0)
    read = np.where(first.tokens > 0, context, -1)
    mine, theirs, low, high, documents = difference_over_documents(
        measured_by(first), measured_by(second), read, len(names), seed
    )
    token_bytes = Tokenizer.from_json(corpus.tokenizer_json).token_bytes
    spans = corpus.validation.starts
    texts = [
        corpus.validation.ids[spans[number] : min(spans[number] + LONGEST_TEXT, spans[number + 1])]
        for number in kept
    ]
    return LossComparison(
        run=first.run,
        step=first.step,
        other=second.run,
        other_step=second.step,
        seed=seed,
        unit="nats per token",
        same_corpus=True,
        left_out=0,
        contexts=names,
        titles=tuple(corpus.validation.titles[number] for number in kept),
        texts=tuple(
            b"".join(token_bytes[token] for token in ids.tolist()).decode("utf-8", "ignore")[
                :LONGEST_TEXT
            ]
            for ids in texts
        ),
        context=context[kept],
        loss=first.nats[kept] / first.tokens[kept],
        other_loss=second.nats[kept] / second.tokens[kept],
        length=first.tokens[kept].astype(np.float64),
        loss_by_context=mine,
        other_by_context=theirs,
        low=low,
        high=high,
        documents_by_context=documents,
        resamples=RESAMPLES,
        whole=known or not (corpus.validation.context >= 0).any(),
    )


def measured_by(report: LossReport) -> Measured:
    """The sums of a report, by validation document."""
    return Measured(report.nats, report.tokens.astype(np.float64))


def held_out_for_both(corpora: tuple[Corpus, Corpus], comparable: bool) -> Documents:
    """Validation documents of both that neither was trained on, each once, in an order that does
    not depend on which run is A."""
    first, second = corpora
    found: dict[bytes, tuple[str, str]] = {}
    trained: set[bytes] = set()
    same = first.fingerprint == second.fingerprint
    for corpus in (first,) if same else (first, second):
        token_bytes = Tokenizer.from_json(corpus.tokenizer_json).token_bytes
        for place, data in enumerate(bytes_of(corpus.validation, token_bytes)):
            context = int(corpus.validation.context[place])
            found.setdefault(
                data,
                (corpus.contexts[context] if context >= 0 else "", corpus.validation.titles[place]),
            )
        trained.update(() if same else bytes_of(corpus.train, token_bytes))
    kept = [data for data in found if data not in trained and len(data) >= FEWEST_BYTES]
    left_out = sum(data in trained for data in found)
    if not same:
        kept.sort()
    shared = (
        first.contexts
        if first.contexts == second.contexts
        else tuple(sorted(set(first.contexts) & set(second.contexts)))
    )
    names = (
        shared if comparable and shared and any(found[data][0] for data in kept) else (ALL_TEXT,)
    )
    places = {name: place for place, name in enumerate(names)}
    of_each = [0 if names == (ALL_TEXT,) else places.get(found[data][0], -1) for data in kept]
    share = fair_share(np.array([len(data) for data in kept]), MOST_BYTES)
    texts = [data[:share].decode("utf-8", errors="ignore") for data in kept]
    return Documents(
        texts, [found[data][1] for data in kept], names, np.array(of_each, dtype=np.int64), left_out
    )


def bytes_of(split: Split, token_bytes: list[bytes]) -> list[bytes]:
    """The text of each document of a split, as UTF-8."""
    spans = zip(split.starts[:-1].tolist(), split.starts[1:].tolist(), strict=True)
    return [
        b"".join(token_bytes[token] for token in split.ids[start:end].tolist())
        for start, end in spans
    ]


def measure(
    source: Source, documents: Documents, in_bytes: bool, name: str, progress: Progress
) -> Measured:
    """The model's nats (bits) on each document, and over how many predicted tokens (bytes) they
    are; `name` is said in the progress."""
    sizes = np.array([len(data) for data in source.tokenizer.token_bytes])
    M = len(documents.texts)
    nats, length = np.zeros(M), np.zeros(M)
    every = source.tokenizer.encode_many(documents.texts)
    for start in range(0, M, AT_ONCE):
        progress(start / M, f"Reading document {start + 1} of {M} with {name}")
        pieces: list[np.ndarray] = []
        owner: list[int] = []
        some = slice(start, start + AT_ONCE)
        for number, tokens in enumerate(every[some]):
            for row in cut_rows(
                np.array(tokens, dtype=np.int64), source.model.settings.context_length
            ):
                pieces.append(row)
                owner.append(number)
                length[start + number] += sizes[row[1:]].sum() if in_bytes else len(row) - 1
        rows = pack(
            pieces,
            np.array(owner, dtype=np.int64),
            documents.context[some],
            tuple(documents.titles[some]),
        )
        nats[some] = document_losses(source.model, rows).nats
    return Measured(nats / math.log(2) if in_bytes else nats, length)


def difference_over_documents(
    first: Measured, second: Measured, context_of: np.ndarray, num_contexts: int, seed: int
) -> tuple[np.ndarray, ...]:
    """(A's mean, B's mean, low, high of B - A), each [C + 1]: by context, and last the mean over
    contexts; documents by context [C]."""
    sums = DocumentSums(context_of, num_contexts, 4)
    sums.sums[:] = np.stack([first.nats, first.length, second.nats, second.length], axis=1)
    sums.tokens[:] = np.minimum(first.length, second.length)
    fold = np.zeros(len(context_of), dtype=np.int64)
    one, _ = sums.summed(fold)
    drawn, _ = sums.redrawn(fold, seed)
    mine, theirs = losses(one[0])
    low, high = interval(np.subtract(*losses(drawn[:, 0])[::-1]))
    return (
        mine,
        theirs,
        without_alone(sums, low),
        without_alone(sums, high),
        sums.documents_by_context,
    )


def losses(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums [..., C, 4] -> A's and B's means [..., C + 1]."""
    return means(sums[..., 0], sums[..., 1]), means(sums[..., 2], sums[..., 3])


def answer(asked: Asked) -> LossComparison:
    """The request `compare_losses`: by the stored reports where both runs read the same rows."""
    run, values, sources, progress = asked.run, asked.values, asked.sources, asked.progress
    progress(0.0, "Loading both models")
    other = open_run(values["other"])
    corpora = (sources.corpus(run), sources.corpus(other))
    comparable = same_contexts(run, other)
    first, second = sources.source(run, values["step"]), sources.source(other, values["other_step"])
    if not same_rows(run, other, corpora):
        return compare_losses(first, second, corpora, comparable, values["seed"], progress)
    reports = (
        validation_report(run, first, corpora[0], part_of(progress, 0.1, 0.5)),
        validation_report(other, second, corpora[1], part_of(progress, 0.5, 0.9)),
    )
    return compare_reports(reports[0], reports[1], corpora[0], comparable, values["seed"])
