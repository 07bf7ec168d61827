"""Cutting and cleaning text before it is a document: separators, passages, line ends. Knows no
files and no tokens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

SEPARATOR = re.compile(r"^<\|doc\|>[ \t]*$\n?", re.MULTILINE)
"""A line that holds only <|doc|> stands between two documents of one file."""
PASSAGE = 4000
"""Characters of a passage: about ten rows of the default context length."""
LONGEST_NAME = 80
"""Characters of a context's name."""
SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Line ends as \\n, no byte order mark, and U+FFFD for lone surrogates (JSON can hold them,
    UTF-8 cannot)."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text.removeprefix("\ufeff"))


def clean_name(name: str) -> str:
    """A context's name on one line, without control characters, at most LONGEST_NAME characters."""
    visible = "".join(
        " " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char for char in name
    )
    return " ".join(visible.split())[:LONGEST_NAME]


def distinct_names(names: Iterable[str], notes: list[str]) -> dict[str, str]:
    """Each name -> the clean one; those that cleaning or shortening makes alike stay apart by a
    number, which is said in `notes`."""
    different = list(dict.fromkeys(names))
    found = {name: name for name in different if clean_name(name) == name}
    taken = set(found.values())
    numbered: list[str] = []
    for name in different:
        if name in found:
            continue
        base, number = clean_name(name) or ("unnamed" if name else name), 1
        shown = base
        while shown in taken:
            number += 1
            shown = f"{base[: LONGEST_NAME - len(f' ({number})')].rstrip()} ({number})"
        numbered += [shown] * (number > 1)
        found[name] = shown
        taken.add(shown)
    if numbered:
        notes.append(
            f"{len(numbered)} context name{'s are' if len(numbered) > 1 else ' is'} like another"
            f" one once cleaned and shortened to {LONGEST_NAME} characters, and told apart by a"
            f" number: {numbered[0]!r}{', ...' if len(numbered) > 1 else ''}."
        )
    return found


def separate(text: str) -> list[str]:
    """The documents of a text that uses <|doc|> lines; else the whole text. Empty ones are left
    out."""
    return [piece for piece in SEPARATOR.split(text) if piece.strip()]


def passages(text: str, limit: int = PASSAGE) -> list[str]:
    """Cut a text into pieces of at most `limit` characters, at line ends where there are any;
    joined they are the text."""
    return ["".join(group) for group in group_lines(text.splitlines(keepends=True), limit)]


def group_lines(lines: Iterable[str], limit: int) -> list[list[str]]:
    """Neighbouring lines in groups of at most `limit` characters; a longer line is cut by
    characters."""
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
