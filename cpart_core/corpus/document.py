"""What every source yields, and what every corpus is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

UNKNOWN = ""
"""The context of a document that came without a label."""
TRAIN = "train"
VALIDATION = "validation"


@dataclass(frozen=True)
class Document:
    """One text with its context label (UNKNOWN where none is given) and a title a person can find
    it by."""

    text: str
    context: str
    title: str
    split: str = ""
    """TRAIN or VALIDATION where the source itself says so (files named train.* and valid.*); empty
    = chosen by the seed."""


@dataclass(frozen=True)
class Skipped:
    """A piece of input that was left out, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Gathered:
    """What a source found."""

    documents: tuple[Document, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...] = ()
    """Sentences for the person that are not about one piece of input."""


@dataclass
class Said:
    """What is to be told of a source, collected while it is read."""

    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences about what was read otherwise than it is written."""
    tables: int = 0
    """Files with rows that were read."""

    def gathered(self, documents: Sequence[Document]) -> Gathered:
        """The documents with what is said of them, each sentence once."""
        return Gathered(tuple(documents), tuple(self.skipped), tuple(dict.fromkeys(self.notes)))


@dataclass(frozen=True)
class Split:
    """Tokens of many documents, one after another.

    ids: [tokens] uint16. starts: [M + 1] int64 offsets of documents in ids. context: [M] int16 into
    Corpus.contexts, -1 where not known. Every document ends with the end-of-document token.
    """

    ids: np.ndarray
    starts: np.ndarray
    context: np.ndarray
    titles: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """Documents cut into tokens, split by document. No text held out for validation is in the
    training split or trained the tokenizer."""

    contexts: tuple[str, ...]
    discovered: bool
    """True when contexts are to be (or were) found from gradients: no labels were given."""
    train: Split
    validation: Split
    tokenizer_json: str
    """The tokenizers library's own JSON."""
    fingerprint: str
    """SHA-256 over ids, starts, contexts of both splits and the tokenizer."""
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    """Sentences for the person: what was cut, balanced, or discovered."""

    @property
    def vocabulary_size(self) -> int:
        import json

        data = json.loads(self.tokenizer_json)
        return len(data["model"]["vocab"]) + sum(
            1 for t in data["added_tokens"] if t["content"] not in data["model"]["vocab"]
        )
