"""CSV as CPart writes it, everywhere: read by pandas and spreadsheets alike, and no cell of it is
run as a formula. Knows no run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A text that begins so may be run as a formula (OWASP, CSV injection); a minus before a number
that is a text counts too."""


def harmless(cell: object) -> object:
    """A text that a spreadsheet would run gets an apostrophe in front; numbers and all else stay;
    what is not known (NaN) is left empty."""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(RUN_BY_SPREADSHEETS) else cell
    return None if cell != cell else cell


def csv_text(headings: Sequence[object], rows: Iterable[Iterable[object]]) -> str:
    """RFC 4180: rows end in CR LF, so that either of the two within a cell is quoted. Headings are
    other people's texts too (context names)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([harmless(heading) for heading in headings])
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()
