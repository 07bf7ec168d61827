"""From bytes to text: UTF-8, or what a byte order mark says; nothing is guessed."""

from __future__ import annotations

import codecs
from pathlib import Path

from cpart_core.corpus.foreign import HEAD, refused
from cpart_core.corpus.passages import clean

LARGEST_FILE = 200_000_000
"""Bytes of one file of text, unpacked."""
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Longer ones first: UTF-32's begins as UTF-16's does."""


def decoded(data: bytes, title: str) -> str:
    """The text of a file's bytes, line ends as \\n and without its mark. ValueError that names the
    file and says what it is instead."""
    if (said := refused(data[:HEAD])) is not None:
        raise ValueError(f"{title} is {said}.")
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        kind = (
            "a binary file, not text"
            if b"\0" in data
            else f"not {encoding.upper()} text (byte {error.start:,}); save it as UTF-8"
        )
        raise ValueError(f"{title} is {kind}.") from None
    if "\0" in text:
        raise ValueError(f"{title} is a binary file, not text (it holds zero bytes).")
    return clean(text)


def read_text_file(path: Path, most: int, what: str) -> str:
    """The text of a small file, such as settings. ValueError where it is none, is longer than
    `most` bytes, or cannot be read.

    what: 'settings file', as it is called in a sentence.
    """
    if not path.is_file():
        raise ValueError(f"There is no {what} {str(path)!r}.")
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    if len(data) > most:
        raise ValueError(f"{path.name} is longer than {most:,} bytes; no {what} is so long.")
    return decoded(data, path.name)
