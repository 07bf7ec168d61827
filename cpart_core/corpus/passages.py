"""Cutting and cleaning text before it is a document: separators, passages, line ends. Knows no files and no tokens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

SEPARATOR = re.compile(r"^<\|doc\|>[ \t]*$\n?", re.MULTILINE)
"""A line that holds only <|doc|> stands between two documents of one file."""
PASSAGE = 4000
"""Characters of a passage: about ten rows of the default context length."""
SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Line ends as \\n, no byte order mark, and U+FFFD for lone surrogates (JSON can hold them, UTF-8 cannot)."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text.removeprefix("\ufeff"))


def clean_name(name: str) -> str:
    """A context's name on one line, without control characters, at most 80 characters."""
    visible = "".join(" " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char for char in name)
    return " ".join(visible.split())[:80]


def separate(text: str) -> list[str]:
    """The documents of a text that uses <|doc|> lines; else the whole text. Empty ones are left out."""
    return [piece for piece in SEPARATOR.split(text) if piece.strip()]


def passages(text: str, limit: int = PASSAGE) -> list[str]:
    """Cut a text into pieces of at most `limit` characters, at line ends where there are any; joined they are the text."""
    return ["".join(group) for group in group_lines(text.splitlines(keepends=True), limit)]


def group_lines(lines: Iterable[str], limit: int) -> list[list[str]]:
    """Neighbouring lines in groups of at most `limit` characters; a longer line is cut by characters."""
    groups: list[list[str]] = []
    room = 0
    for line in lines:
        for begin in range(0, len(line), limit):
            piece = line[begin : begin + limit]
            if len(piece) > room:
                groups.append([])
                room = limit
            groups[-1].append(piece)
            room -= len(piece)
    return groups
