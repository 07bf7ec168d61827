"""Which documents are used, and which are held out: duplicates, size limits, and the split into
training and validation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random

from cpart_core.corpus.columns import listed, short
from cpart_core.corpus.document import UNKNOWN, VALIDATION, Document, Gathered, Skipped
from cpart_core.corpus.passages import PASSAGE, clean, distinct_names, passages
from cpart_core.settings.corpus import CorpusSettings

MOST_CONTEXTS = 256
FEWEST_CHARACTERS = 400
SHORTEST_PASSAGE = 150


@dataclass(frozen=True)
class Chosen:
    """Documents of both splits, context by context. contexts is (UNKNOWN,) where there are no
    labels."""

    contexts: tuple[str, ...]
    train: tuple[Document, ...]
    validation: tuple[Document, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def choose(gathered: Gathered, settings: CorpusSettings, seed: int) -> Chosen:
    """Clean, drop duplicates, cut to size and split each context; ValueError where too little is
    left."""
    notes: list[str] = []
    skipped: list[Skipped] = []
    documents = labelled(
        with_chosen_contexts(cleaned(gathered.documents, skipped, notes), settings), skipped, notes
    )
    check_enough(documents, settings)
    cut = [
        piece
        for name, group in by_context(documents).items()
        for piece in cut_context(group, name, settings, notes)
    ]
    contexts: list[str] = []
    train: list[Document] = []
    validation: list[Document] = []
    for name, group in by_context(without_duplicates(cut, notes)).items():
        for_training, held_out = split_context(group, name, settings, seed, notes)
        if for_training:
            contexts.append(name)
            train += for_training
            validation += held_out
    if not train or not validation:
        raise ValueError(
            " ".join(
                [
                    (
                        "There is too little text to hold some out for validation. Give at least"
                        " two different documents, or a longer one."
                    ),
                    *notes,
                ]
            )
        )
    return Chosen(tuple(contexts), tuple(train), tuple(validation), tuple(skipped), tuple(notes))


def by_context(documents: list[Document]) -> dict[str, list[Document]]:
    """Documents by context, contexts in order of appearance."""
    groups: dict[str, list[Document]] = {}
    for document in documents:
        groups.setdefault(document.context, []).append(document)
    return groups


def cleaned(
    documents: tuple[Document, ...], skipped: list[Skipped], notes: list[str]
) -> list[Document]:
    """Documents with clean text and names, white space in a name aside; empty ones are counted and
    left out."""
    label_of = {
        name: " ".join(name.split())
        for name in dict.fromkeys(document.context for document in documents)
    }
    names = distinct_names(label_of.values(), notes)
    found = [
        Document(
            clean(document.text), names[label_of[document.context]], document.title, document.split
        )
        for document in documents
    ]
    kept = [document for document in found if document.text.strip()]
    if len(kept) < len(found):
        skipped.append(Skipped(f"{len(found) - len(kept)} documents", "they are empty"))
    return kept


def labelled(documents: list[Document], skipped: list[Skipped], notes: list[str]) -> list[Document]:
    """Documents that all have a label, or none: without any, or with a single one, contexts are
    left to be discovered."""
    with_label = [document for document in documents if document.context != UNKNOWN]
    names = {document.context for document in with_label}
    if len(names) == 1 and len(with_label) == len(documents):
        notes.append(
            f"There is only one context ({names.pop()}), so there is nothing to tell apart by"
            " label."
        )
        return [replace(document, context=UNKNOWN) for document in documents]
    if not names or len(with_label) == len(documents):
        return documents
    skipped.append(
        Skipped(
            f"{len(documents) - len(with_label)} documents",
            "they have no context label, and others have one",
        )
    )
    return with_label


def with_chosen_contexts(documents: list[Document], settings: CorpusSettings) -> list[Document]:
    """Documents of the contexts that the settings name; all where they name none. ValueError for
    names that the text does not have."""
    names = dict.fromkeys(document.context for document in documents if document.context != UNKNOWN)
    if not settings.contexts:
        return documents
    if not names and documents:
        raise ValueError(
            f"contexts names {listed(settings.contexts)}, but the text has no context labels to"
            " choose from; leave contexts out, or give a folder with one subfolder a context, or a"
            " table with a context column."
        )
    unknown = sorted(set(settings.contexts) - set(names))
    if unknown:
        raise ValueError(f"Unknown context {listed(unknown)}. The text has: {listed(names)}.")
    return [document for document in documents if document.context in settings.contexts]


def check_enough(documents: list[Document], settings: CorpusSettings) -> None:
    """ValueError where there is nothing, or far too many contexts."""
    size = sum(len(document.text) for document in documents)
    if size < FEWEST_CHARACTERS:
        raise ValueError(
            f"There are only {size} characters of text; at least {FEWEST_CHARACTERS} are needed,"
            " some 100,000 to learn from."
        )
    names = list(by_context(documents))
    if len(names) > MOST_CONTEXTS:
        raise ValueError(
            f"The text has {len(names):,} different contexts"
            f" ({', '.join(short(name) for name in names[:3])}, ...); at most {MOST_CONTEXTS} are"
            f" allowed. Is {settings.context_column!r} the column with the context?"
        )


def called(name: str) -> str:
    """How a context is named in a sentence."""
    return f"Context {name}" if name != UNKNOWN else "The text"


def cut_context(
    documents: list[Document], name: str, settings: CorpusSettings, notes: list[str]
) -> list[Document]:
    """Documents short enough that a fair share can be held out: too few are cut into passages, too
    long ones are shortened."""
    needed = math.ceil(1 / settings.validation_share)
    decided = any(document.split == VALIDATION for document in documents)
    if len(documents) < needed and not decided:
        return cut_into_passages(documents, name, needed, notes)
    longest = max(PASSAGE, settings.kilobytes_per_context * 1000 // needed)
    if decided:
        # files that say their split are often one book each: passages cannot cross over, so nothing
        # need be lost
        return [piece for document in documents for piece in in_passages(document, longest)]
    fits = [len(document.text) <= longest for document in documents]
    shortened = [
        document if short else replace(document, text=passages(document.text, longest)[0])
        for document, short in zip(documents, fits, strict=True)
    ]
    if count := fits.count(False):
        cut = (
            "1 document was cut to its" if count == 1 else f"{count:,} documents were cut to their"
        )
        notes.append(
            f"{called(name)}: {cut} first {longest / 1000:g} kB, so that none outweighs the others."
        )
    return shortened


def cut_into_passages(
    documents: list[Document], name: str, needed: int, notes: list[str]
) -> list[Document]:
    """Few documents as many passages, if they are long enough for that."""
    size = sum(len(document.text) for document in documents)
    limit = min(PASSAGE, max(SHORTEST_PASSAGE, size // (2 * needed)))
    pieces = [piece for document in documents for piece in in_passages(document, limit)]
    if len(pieces) > len(documents):
        notes.append(
            f"{called(name)} has only {len(documents)} document{'s' * (len(documents) > 1)}: cut"
            f" into {len(pieces)} passages, so training and validation hold different passages of"
            " the same text."
        )
    return pieces


def in_passages(document: Document, limit: int) -> list[Document]:
    pieces = passages(document.text, limit)
    if len(pieces) == 1:
        return [document]
    return [
        replace(document, text=text, title=f"{document.title}, passage {number}")
        for number, text in enumerate(pieces, start=1)
        if text.strip()
    ]


def without_duplicates(documents: list[Document], notes: list[str]) -> list[Document]:
    """Each text once over all contexts and splits (white space at its ends aside); what was named
    for validation stays there."""
    first: dict[str, Document] = {}
    for document in documents:
        text = document.text.strip()
        if text not in first or (document.split == VALIDATION and first[text].split != VALIDATION):
            first[text] = document
    if len(first) < len(documents):
        again = len(documents) - len(first)
        said, verb = ("1 document", "was") if again == 1 else (f"{again:,} documents", "were")
        notes.append(f"{said} with the very text of another one {verb} left out.")
    kept = {id(document) for document in first.values()}
    return [document for document in documents if id(document) in kept]


def split_context(
    documents: list[Document], name: str, settings: CorpusSettings, seed: int, notes: list[str]
) -> tuple[list[Document], list[Document]]:
    """(training, validation) documents of one context, within its size; by the seed where the
    source does not say."""
    size, share = settings.kilobytes_per_context * 1000, settings.validation_share
    shuffled = list(documents)
    Random(f"cpart split {seed} {name}").shuffle(shuffled)
    held_out = [document for document in shuffled if document.split == VALIDATION]
    if held_out:
        train = fill(
            [document for document in shuffled if document.split != VALIDATION],
            int(size * (1 - share)),
        )
        held_out = fill(held_out, int(size * share))
        kept = train + held_out
    else:
        kept = fill(shuffled, size)
        count = min(max(1, round(len(kept) * share)), len(kept) - 1)
        train, held_out = kept[count:], kept[:count]
    say_what_was_left(documents, kept, name, notes)
    if not train:
        notes.append(f"{called(name)} has no training text and is left out.")
    elif not held_out:
        notes.append(
            f"{called(name)} has no validation text: its one document is too short to cut, so its"
            " validation loss stays empty."
        )
    return train, held_out


def fill(documents: list[Document], size: int) -> list[Document]:
    """Documents in order, those that still fit into `size` bytes; at least one."""
    kept: list[Document] = []
    for document in documents:
        length = len(document.text.encode())
        if length <= size or not kept:
            kept.append(document)
            size -= length
        if size <= 0:
            break
    return kept


def say_what_was_left(
    documents: list[Document], kept: list[Document], name: str, notes: list[str]
) -> None:
    found, used = (
        sum(len(document.text.encode()) for document in group) / 1000 for group in (documents, kept)
    )
    if used < 0.95 * found:
        notes.append(
            f"{called(name)}: {used:,.0f} of {found:,.0f} kB used ({len(kept):,} of"
            f" {len(documents):,} documents)."
        )
