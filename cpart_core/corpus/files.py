"""A person's own text: pasted, one file, or uploads (a folder: folders.py).

File kinds: .txt and .md (documents may be separated by lines that hold only <|doc|>); tables with a
header (.csv, .tsv); objects (.jsonl, .ndjson, .json: lines, or one array); and each of them with
.gz.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from cpart_core.corpus.document import UNKNOWN, Document, Gathered, Said, Skipped
from cpart_core.corpus.encoding import LARGEST_FILE, decoded
from cpart_core.corpus.foreign import HEAD, model_in, other_in, refused
from cpart_core.corpus.objects import json_documents
from cpart_core.corpus.passages import clean, distinct_names, separate
from cpart_core.corpus.tables import csv_documents
from cpart_core.settings.corpus import CorpusSettings

PLAIN, TABLES, OBJECTS = (".txt", ".md"), (".csv", ".tsv"), (".jsonl", ".ndjson", ".json")
KINDS = PLAIN + TABLES + OBJECTS


def gather_pasted(text: str, context: str = UNKNOWN) -> Gathered:
    """Documents of a text that was typed or pasted. ValueError where it is empty."""
    documents = text_documents(text, "pasted text", context)
    if not documents:
        raise ValueError("The pasted text is empty.")
    return Gathered(documents, ())


def gather_file(path: Path, settings: CorpusSettings) -> Gathered:
    """Documents of one file; ValueError where it cannot be used."""
    if path.is_dir():
        kind = model_in(path) or other_in(path)
        raise ValueError(
            f"{path.name} is {kind}, not a file of text."
            if kind
            else f"{path.name} is a folder, not a file; choose the source folder."
        )
    said = Said()
    documents = file_documents(path, path.name, settings, said)
    if not documents:
        reasons = "; ".join(dict.fromkeys(item.reason for item in said.skipped[:3]))
        raise ValueError(f"{path.name} holds no text{': ' if reasons else ''}{reasons}.")
    check_columns(settings, said, "")
    return said.gathered(documents)


def gather_uploads(
    files: Sequence[tuple[str, bytes]], settings: CorpusSettings, context_each: bool = False
) -> Gathered:
    """Documents of uploaded files, (name, content) each; unusable ones are skipped with the reason.
    ValueError where none is left.

    context_each: of several files, each whose documents have no labels is a context of its own,
    named as the file.
    """
    said = Said()
    documents: list[Document] = []
    contexts = file_contexts([name for name, _ in files], said)
    for (name, data), context in zip(files, contexts, strict=True):
        try:
            found = content_documents(io.BytesIO(data), name, settings, said)
        except ValueError as error:
            said.skipped.append(Skipped(name, str(error).removeprefix(f"{name}: ")))
            continue
        labelled = (
            any(document.context for document in found) or len(files) == 1 or not context_each
        )
        documents += (
            found if labelled else [replace(document, context=context) for document in found]
        )
    if not documents:
        raise ValueError(
            "None of the files holds text that can be used. "
            + " ".join(sentence_of(item) for item in said.skipped[:3])
        )
    check_columns(settings, said, "")
    return said.gathered(documents)


def sentence_of(item: Skipped) -> str:
    """What was left out and why; many reasons begin with the name."""
    return item.reason if item.reason.startswith(item.title) else f"{item.title}: {item.reason}"


def file_contexts(names: Sequence[str], said: Said) -> list[str]:
    """A context for each file: its name without the kind, or with it where two would be alike; two
    files of one name stay two."""
    stems = [Path(name.removesuffix(".gz")).stem or name for name in names]
    called = [
        stem if stems.count(stem) == 1 else name for stem, name in zip(stems, names, strict=True)
    ]
    again = [
        f"{name} ({called[:place].count(name) + 1})" if name in called[:place] else name
        for place, name in enumerate(called)
    ]
    shown = distinct_names(again, said.notes)
    return [shown[name] for name in again]


def check_columns(settings: CorpusSettings, said: Said, labelled_by: str) -> None:
    """ValueError for a column that was named though nothing has columns, or whose labels something
    else has given already."""
    usual = CorpusSettings()
    given = [
        name
        for name in ("text_column", "context_column")
        if getattr(settings, name) != getattr(usual, name)
    ]
    if given and not said.tables:
        raise ValueError(
            f"{' and '.join(given)} name{'s' * (len(given) == 1)} a column, but no table"
            f" ({', '.join(TABLES + OBJECTS)}) was read."
        )
    if "context_column" in given and labelled_by:
        raise ValueError(
            f"context_column {settings.context_column[:40]!r} cannot take effect: {labelled_by}"
            " name the contexts; leave it out."
        )


def kind_of(name: str) -> str | None:
    """One of KINDS, .gz aside; None for other files."""
    kind = Path(name.lower().removesuffix(".gz")).suffix
    return kind if kind in KINDS else None


def file_documents(
    path: Path,
    title: str,
    settings: CorpusSettings,
    said: Said,
    context: str = UNKNOWN,
    split: str = "",
) -> Sequence[Document]:
    """Documents of one file; ValueError says what is wrong with it."""
    if not path.is_file():  # nor a pipe or a device, which might never end
        raise ValueError(f"There is no file {title}.")
    try:
        with open(path, "rb") as file:
            return content_documents(file, title, settings, said, context, split)
    except OSError as error:
        raise ValueError(f"{title} cannot be read: {error.strerror or error}.") from None


def content_documents(
    file: BinaryIO,
    title: str,
    settings: CorpusSettings,
    said: Said,
    context: str = UNKNOWN,
    split: str = "",
) -> Sequence[Document]:
    """Documents of a file's content, by the kind that its title names; ValueError says what is
    wrong with it."""
    kind = kind_of(title)
    if kind is None:
        foreign = refused(file.read(HEAD))
        what = f"{title} is {foreign}; " if foreign else f"{title}: "
        raise ValueError(
            f"{what}this kind of file is not known. Known: {', '.join(KINDS)} (also with .gz)."
        )
    text = read_text(file, title)
    if not separate(text):
        said.skipped.append(Skipped(title, "it is empty"))
        return ()
    if kind in PLAIN:
        return text_documents(text, title, context, split)
    said.tables += 1
    read = csv_documents if kind in TABLES else json_documents
    return read(text, title, settings, said, context, split)


def text_documents(
    text: str, title: str, context: str = UNKNOWN, split: str = ""
) -> tuple[Document, ...]:
    pieces = separate(clean(text))
    many = len(pieces) > 1
    return tuple(
        Document(piece, context, f"{title}, document {number}" if many else title, split)
        for number, piece in enumerate(pieces, start=1)
    )


def read_text(file: BinaryIO, title: str) -> str:
    """Text in UTF-8 (or UTF-16 with a byte order mark), unpacked where it is .gz; ValueError for
    anything else, with nothing guessed."""
    packed = title.lower().endswith(".gz")
    try:
        data = (gzip.GzipFile(fileobj=file) if packed else file).read(LARGEST_FILE + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{title} is a damaged .gz file: {error}.") from None
    if len(data) > LARGEST_FILE:
        raise ValueError(
            f"{title} is larger than {LARGEST_FILE // 1_000_000} MB. Cut it into smaller files in a"
            " folder."
        )
    return decoded(data, title)
