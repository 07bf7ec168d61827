"""From gathered documents to a corpus: choose, split, tokenize, and say what was done."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cpart_core.corpus.builtin import gather_builtin
from cpart_core.corpus.document import UNKNOWN, Corpus, Document, Gathered, Skipped, Split
from cpart_core.corpus.files import gather_file
from cpart_core.corpus.folders import gather_folder
from cpart_core.corpus.hub import gather_dataset
from cpart_core.corpus.split import choose
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.files.paths import with_home
from cpart_core.settings.corpus import CorpusSettings


@dataclass(frozen=True)
class ContextReport:
    """What one context holds."""

    name: str
    train_documents: int
    validation_documents: int
    train_tokens: int
    validation_tokens: int


@dataclass(frozen=True)
class CorpusReport:
    """What a person is shown of a corpus before training."""

    contexts: tuple[ContextReport, ...]
    """For a corpus whose contexts are still to be found: one line, "not yet known"."""
    vocabulary_size: int
    train_bytes: int
    validation_bytes: int
    discovered: bool
    fingerprint: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ContextPreview:
    """Counts of one context before anything is chosen or tokenized; the name is empty where there
    is no label."""

    name: str
    documents: int
    bytes: int


@dataclass(frozen=True)
class Preview:
    """What a source found."""

    contexts: tuple[ContextPreview, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def gather(settings: CorpusSettings) -> Gathered:
    """Documents of the source that the settings name; ValueError where nothing can be read."""
    if settings.source == "builtin":
        return gather_builtin(settings)
    if settings.source == "dataset":
        return gather_dataset(settings)
    path = Path(with_home(settings.path, "path"))
    return (
        gather_file(path, settings) if settings.source == "file" else gather_folder(path, settings)
    )


def preview(gathered: Gathered) -> Preview:
    """Documents and bytes by context: quick, for the page before training."""
    documents = Counter(document.context for document in gathered.documents)
    sizes: Counter[str] = Counter()
    for document in gathered.documents:
        sizes[document.context] += len(document.text.encode("utf-8", "replace"))
    return Preview(
        tuple(ContextPreview(name, count, sizes[name]) for name, count in documents.items()),
        gathered.skipped,
        gathered.notes,
    )


def build_corpus(gathered: Gathered, settings: CorpusSettings, seed: int) -> Corpus:
    """Choose, split by document, train the tokenizer on the training split alone, tokenize.

    The same input and seed give the same corpus. ValueError where the text is too little to train
    and validate on.
    """
    chosen = choose(gathered, settings, seed)
    tokenizer = Tokenizer.train(
        (document.text for document in chosen.train), settings.vocabulary_size
    )
    notes = list(gathered.notes + chosen.notes)
    if tokenizer.vocabulary_size < settings.vocabulary_size:
        notes.append(
            f"The text gives a vocabulary of {tokenizer.vocabulary_size} tokens;"
            f" {settings.vocabulary_size} were asked for."
        )
    discovered = chosen.contexts == (UNKNOWN,)
    if discovered:
        contexts = tuple(f"found {number + 1}" for number in range(settings.discovered_contexts))
        notes.append(
            f"The text has no context labels: {len(contexts)} contexts will be found from gradients"
            " during training."
        )
    else:
        contexts = chosen.contexts
    labels = {} if discovered else {name: number for number, name in enumerate(contexts)}
    train, validation = (
        make_split(documents, labels, tokenizer) for documents in (chosen.train, chosen.validation)
    )
    corpus = Corpus(
        contexts,
        discovered,
        train,
        validation,
        tokenizer.to_json(),
        "",
        gathered.skipped + chosen.skipped,
        tuple(notes),
    )
    return with_fingerprint(corpus)


def make_split(
    documents: tuple[Document, ...], labels: dict[str, int], tokenizer: Tokenizer
) -> Split:
    """Tokens of the documents, each closed by the end token."""
    encoded = tokenizer.encode_many([document.text for document in documents])
    lengths = [len(ids) + 1 for ids in encoded]
    ids = np.full(sum(lengths), tokenizer.end, np.uint16)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    for begin, tokens in zip(starts[:-1], encoded, strict=True):
        ids[begin : begin + len(tokens)] = tokens
    context = np.array([labels.get(document.context, -1) for document in documents], np.int16)
    return Split(ids, starts, context, tuple(document.title for document in documents))


def with_fingerprint(corpus: Corpus) -> Corpus:
    return replace(corpus, fingerprint=fingerprint_of(corpus))


def fingerprint_of(corpus: Corpus) -> str:
    """SHA-256 of the text in tokens, its cuts and labels, and the tokenizer.

    Labels found by training are not part of it, so that a run keeps its fingerprint when its
    contexts are discovered.
    """
    digest = hashlib.sha256()
    for split in (corpus.train, corpus.validation):
        labels = np.full_like(split.context, -1) if corpus.discovered else split.context
        for array, kind in ((split.ids, "<u2"), (split.starts, "<i8"), (labels, "<i2")):
            digest.update(len(array).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(array, kind).tobytes())
    for text in (corpus.tokenizer_json, *(() if corpus.discovered else corpus.contexts)):
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def with_labels(corpus: Corpus, train: np.ndarray, validation: np.ndarray) -> Corpus:
    """A discovered corpus with the contexts that training found: [M] numbers into Corpus.contexts
    for each split, -1 unknown. ValueError for labels of another corpus (a checkpoint brings some)."""
    if not corpus.discovered:
        raise ValueError("This corpus came with labels; they are not replaced.")
    for split, labels in ((corpus.train, train), (corpus.validation, validation)):
        if labels.shape != split.context.shape:
            raise ValueError(
                f"The contexts found are of {labels.size:,} documents; the corpus has"
                f" {split.context.size:,}."
            )
        if labels.min(initial=0) < -1 or labels.max(initial=0) >= len(corpus.contexts):
            raise ValueError(
                f"The contexts found are numbered {labels.min()} to {labels.max()}; the corpus has"
                f" {len(corpus.contexts)}."
            )
    return replace(
        corpus,
        train=replace(corpus.train, context=train.astype(np.int16)),
        validation=replace(corpus.validation, context=validation.astype(np.int16)),
    )


def report(corpus: Corpus) -> CorpusReport:
    """Documents and tokens by context and split, and all that is to be said of the corpus."""
    lengths = np.array(
        [len(data) for data in Tokenizer.from_json(corpus.tokenizer_json).token_bytes]
    )
    known = bool(np.any(corpus.train.context >= 0))
    rows = []
    for number, name in enumerate(corpus.contexts) if known else [(-1, "not yet known")]:
        (train_documents, train_tokens), (held_out, held_out_tokens) = (
            counts(corpus.train, number),
            counts(corpus.validation, number),
        )
        rows.append(ContextReport(name, train_documents, held_out, train_tokens, held_out_tokens))
    train_bytes, validation_bytes = (
        int(lengths[split.ids].sum()) for split in (corpus.train, corpus.validation)
    )
    return CorpusReport(
        tuple(rows),
        len(lengths),
        train_bytes,
        validation_bytes,
        corpus.discovered,
        corpus.fingerprint,
        corpus.skipped,
        corpus.notes,
    )


def counts(split: Split, context: int) -> tuple[int, int]:
    """(documents, tokens) of a context."""
    chosen = split.context == context
    return int(chosen.sum()), int(np.diff(split.starts)[chosen].sum())
