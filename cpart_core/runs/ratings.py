"""Votes of blind comparisons: kept as one JSON line each beside the runs, counted, and written out.
Standard library only.

A vote is taken while both sides are hidden, and says who stood left, so that a habit of choosing
one side can be seen.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.plain import NotPlain, open_plain
from cpart_core.files.typed_json import Reader
from cpart_core.runs.folder import runs_root
from cpart_core.runs.spreadsheet import csv_text

FILE = "ratings.jsonl"
LARGEST = 8_000_000
"""Bytes read of the file; some 20,000 votes."""
MOST_BYTES = 1 << 20
"""Of memory for what one line says."""
Z = 1.959964
CHOICES = ("left", "right", "tie")


@dataclass(frozen=True)
class Vote:
    """One blind comparison. left, right: who they were, in words that name run, step and
    changes."""

    time: str
    left: str
    right: str
    choice: str
    """left, right or tie"""
    prompt: str
    """Title of the document."""
    seed: int
    corpus: str
    """Fingerprint of the text that the prompt is from."""

    @property
    def winner(self) -> str:
        """Empty for a tie."""
        return {"left": self.left, "right": self.right}.get(self.choice, "")


READ_VOTE = Reader().decoder(Vote, "a vote")


class Tally(NamedTuple):
    """What was voted on a pair."""

    first: str
    second: str
    first_won: int
    second_won: int
    ties: int
    share: float
    """first_won / (first_won + second_won); NaN without a decision. Ties are left out."""
    low: float
    high: float
    """95 %, Wilson's interval of a binomial share."""


def add_vote(vote: Vote) -> None:
    """Append one line. ValueError for a choice that is none, OSError when the disk refuses."""
    if vote.choice not in CHOICES:
        raise ValueError(f"A vote is one of {', '.join(CHOICES)}; given: {vote.choice[:40]!r}.")
    root = runs_root()
    root.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(asdict(vote)) + "\n").encode()
    # One write in append mode: two windows that vote at once do not mix their lines.
    file = open_plain(root, FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def votes() -> list[Vote]:
    """All votes so far, oldest first; lines that are no votes (a half-written last one) are passed
    over."""
    try:
        handle = open_plain(runs_root(), FILE)
    except (OSError, NotPlain):
        return []
    with os.fdopen(handle, "rb") as file:
        lines = file.read(LARGEST).splitlines()
    return [vote for vote in map(vote_of, lines) if vote is not None]


def vote_of(line: bytes) -> Vote | None:
    try:
        vote: Vote = READ_VOTE(load_bounded(line, MOST_BYTES))
    except ValueError:
        return None
    return vote if vote.choice in CHOICES else None


def tallies(of: Sequence[Vote]) -> list[Tally]:
    """One of each pair, whoever stood left, the pair with most votes first."""
    pairs: dict[tuple[str, str], list[Vote]] = {}
    for vote in of:
        first, second = sorted((vote.left, vote.right))
        pairs.setdefault((first, second), []).append(vote)
    found = []
    for (first, second), cast in sorted(pairs.items(), key=lambda item: -len(item[1])):
        won = [sum(vote.winner == name for vote in cast) for name in (first, second)]
        found.append(
            Tally(first, second, won[0], won[1], len(cast) - sum(won), *wilson(won[0], sum(won)))
        )
    return found


def wilson(wins: int, count: int) -> tuple[float, float, float]:
    """(share, low, high): 95 % interval of a binomial share (Wilson 1927). NaN for no count."""
    if count == 0:
        return math.nan, math.nan, math.nan
    share = wins / count
    middle = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = (
        Z
        / (1 + Z * Z / count)
        * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    )
    return share, max(0.0, middle - half), min(1.0, middle + half)


def as_json(of: Sequence[Vote]) -> str:
    """Votes and tallies; NaN as null."""
    counted = [
        {name: None if value != value else value for name, value in tally._asdict().items()}
        for tally in tallies(of)
    ]
    return (
        json.dumps(
            {"votes": [asdict(vote) for vote in of], "tallies": counted}, indent=1, allow_nan=False
        )
        + "\n"
    )


def as_csv(of: Sequence[Vote]) -> str:
    """A line a vote."""
    return csv_text(
        [*(item.name for item in fields(Vote)), "winner"],
        [[*asdict(vote).values(), vote.winner] for vote in of],
    )
