"""Text as the coherence meters see it: prompts from held-out documents, sentences, windows,
repeated n-grams. No torch, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cpart_core.analysis.text.sentence_ends import columns, is_whole, parts

if TYPE_CHECKING:
    from cpart_core.corpus.document import Corpus
    from cpart_core.corpus.tokenizer import Tokenizer

WINDOWS = 4
SHORTEST_WINDOW = 8
"""Characters: a shorter window says nothing of a topic."""
SHORTEST_PIECE = 20
"""Columns, wide characters two: shorter sentences are joined with the next, so that a line of
arithmetic is not compared with a full stop."""
MOST_PIECES = 8
SEEN = 100
"""Characters of a continuation by which it is recognised in a training text."""


class Prompt(NamedTuple):
    """The head of a held-out document, and how a human went on."""

    title: str
    context: str
    text: str
    rest: str


def choose_prompts(
    corpus: Corpus,
    tokenizer: Tokenizer,
    head: int,
    rest: int,
    wanted: int,
    seed: int,
    seen: Sequence[str] = (),
) -> tuple[list[Prompt], int]:
    """(at most `wanted` prompts, documents passed over as seen): validation documents of at least
    head + rest tokens, in turn from each context, drawn by the seed. head, rest: tokens. seen:
    training texts, in which no continuation may occur."""
    split = corpus.validation
    lengths = np.diff(split.starts) - 1  # without the end token
    order = np.random.default_rng([seed, 31]).permutation(len(lengths))
    queues: dict[int, list[int]] = {}
    for document in order.tolist():
        if lengths[document] >= head + rest:
            queues.setdefault(int(split.context[document]), []).append(document)
    found: list[Prompt] = []
    passed = 0
    for document in in_turn([queues[context] for context in sorted(queues)]):
        if len(found) == wanted:
            break
        ids = split.ids[split.starts[document] : split.starts[document] + head + rest].tolist()
        text, going_on = tokenizer.decode(ids[:head]), tokenizer.decode(ids[head:])
        if any(going_on[:SEEN] in other for other in seen):
            passed += 1
            continue
        context = int(split.context[document])
        found.append(
            Prompt(
                split.titles[document],
                corpus.contexts[context] if context >= 0 else "",
                text,
                going_on,
            )
        )
    return found, passed


def in_turn(queues: Sequence[Sequence[int]]) -> Iterable[int]:
    """One of each queue, then the next of each, until all are empty."""
    for place in range(max(map(len, queues), default=0)):
        for queue in queues:
            if place < len(queue):
                yield queue[place]


def sentences(text: str) -> list[str]:
    """Pieces that joined are the text, without a last one that is cut short: sentences and lines of
    at least SHORTEST_PIECE columns."""
    pieces: list[str] = []
    for part in parts(text):
        if pieces and columns(pieces[-1]) < SHORTEST_PIECE:
            pieces[-1] += part
        else:
            pieces.append(part)
    if len(pieces) > 3 and (columns(pieces[-1]) < SHORTEST_PIECE or not is_whole(pieces[-1])):
        pieces.pop()
    return [piece for piece in pieces if piece.strip()][:MOST_PIECES]


def windows(text: str) -> list[str]:
    """WINDOWS pieces of equal length in characters; none where they would be shorter than
    SHORTEST_WINDOW."""
    size = len(text) // WINDOWS
    return (
        [text[place * size : (place + 1) * size] for place in range(WINDOWS)]
        if size >= SHORTEST_WINDOW
        else []
    )


def repetition(tokens: Sequence[int], n: int = 4) -> float:
    """Share of n-grams that were there before: 1 - different / all, seq-rep-n of arXiv 1908.04319.
    0 = none, near 1 = a loop; NaN when short."""
    different = distinct(tokens, n)
    return 1.0 - different


def distinct(tokens: Sequence[int], n: int = 2) -> float:
    """distinct-n of arXiv 1510.03055: different n-grams / all n-grams. NaN for fewer than n
    tokens."""
    grams = [tuple(tokens[place : place + n]) for place in range(len(tokens) - n + 1)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def other_of_each(count: int, seed: int) -> np.ndarray:
    """[count] for each prompt another one, whose continuation is its random text: a cyclic shift of
    a shuffle, never itself. 2 or more."""
    order = np.random.default_rng([seed, 33]).permutation(count)
    other = np.empty(count, dtype=np.int64)
    other[order] = np.roll(order, 1)
    return other
