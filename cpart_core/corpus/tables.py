"""Rows with a text and an optional context: CSV, JSON lines, datasets."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from cpart_core.config import CorpusSettings
from cpart_core.corpus.document import UNKNOWN, Document, Skipped

LONGEST_CELL = 200_000_000


def csv_documents(
    text: str, title: str, settings: CorpusSettings, skipped: list[Skipped], context: str = UNKNOWN, split: str = ""
) -> list[Document]:
    """Rows of a CSV file with a header; comma, semicolon or tab. ValueError for a missing column or broken quoting."""
    header = text[: text.find("\n") + 1 or len(text)]
    delimiter = max(",;\t", key=header.count)
    before = csv.field_size_limit(LONGEST_CELL)  # the csv module has one limit for the whole process
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"{title} is not a readable CSV file: {error}.") from None
    finally:
        csv.field_size_limit(before)
    return row_documents(rows, title, settings, skipped, context, split)


def jsonl_documents(
    text: str, title: str, settings: CorpusSettings, skipped: list[Skipped], context: str = UNKNOWN, split: str = ""
) -> list[Document]:
    """Lines that are one JSON object each; broken lines are counted and left out."""
    broken: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row
            else:
                broken.append(number)

    documents = row_documents(rows(), title, settings, skipped, context, split)
    if broken:
        skipped.append(
            Skipped(title, f"{len(broken):,} line{'s are' if len(broken) > 1 else ' is'} no JSON object, the first is line {broken[0]}")
        )
    return documents


def row_documents(
    rows: Iterable[dict[str, Any]], title: str, settings: CorpusSettings, skipped: list[Skipped], context: str = UNKNOWN, split: str = ""
) -> list[Document]:
    """One document a row; the context is the given one (a folder's name), else the row's. ValueError where no row has the column."""
    documents: list[Document] = []
    columns: set[str] = set()
    left: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        columns.update(str(name) for name in row if name is not None)
        text, label = row.get(settings.text_column), row.get(settings.context_column)
        if not isinstance(text, str):
            left["no text" if text is None else "a text that is no string"] += 1
            continue
        name = context or (str(label) if isinstance(label, (str, int)) else UNKNOWN)
        documents.append(Document(text, name, f"{title} row {number}", split))
    if columns and settings.text_column not in columns:
        raise ValueError(
            f"{title} has no column {settings.text_column!r}; its columns are {', '.join(sorted(columns)[:20])}. "
            f"Say which one holds the text (text_column)."
        )
    skipped += [Skipped(title, f"{count:,} rows have {reason}") for reason, count in left.items()]
    return documents
