"""Rows with a text and an optional context: CSV and TSV, and what Excel makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Sized
from typing import NamedTuple

from cpart_core.corpus.cells import Odd, OpenQuote, Row, cells_alone, read_rows
from cpart_core.corpus.columns import Columns, alike, find_columns, lines_listed, short
from cpart_core.corpus.document import UNKNOWN, Document, Said, Skipped
from cpart_core.settings.corpus import CorpusSettings

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?[,;\t ]*', re.IGNORECASE)
"""The line in which Excel says what stands between two cells."""
FARTHEST_HEADER = 20
"""Lines in which a header is looked for: exports often have a title above it."""


class Header(NamedTuple):
    """Where a table begins, and how it is written."""

    place: int
    """Index of its line."""
    delimiter: str
    """Empty for a table of one column, in which nothing needs to be told apart."""
    names: list[str]
    blanks: bool
    """Blanks behind a delimiter do not belong to the cell: the header has them too."""
    titles: list[int]
    """Indices of the lines above it that were passed over, empty ones not counted."""


def csv_documents(
    text: str,
    title: str,
    settings: CorpusSettings,
    said: Said,
    context: str = UNKNOWN,
    split: str = "",
) -> list[Document]:
    """Documents of the rows below a header; comma, semicolon, tab, bar, or what Excel's first line
    `sep=` names.

    ValueError for a missing or doubled column and for a quote that is never closed, with its line.
    Rows that have more cells than the header are left out and counted, since their text cannot be
    told from what follows it.
    """
    lines = text.rstrip("\n").split("\n")
    header = find_header(lines, settings.text_column)
    if header.titles:
        above = "1 line" if len(header.titles) == 1 else f"{len(header.titles)} lines"
        where = lines_listed([place + 1 for place in header.titles])
        said.notes.append(
            f"{title}: {above} above the header left out ({where}:"
            f" {short(lines[header.titles[0]])!r})."
        )
    columns = find_columns(header.names, title, settings, bool(context), said)
    odd = Odd()
    try:
        rows = list(
            read_rows(
                lines, header.place + 1, header.delimiter, header.blanks, len(header.names), odd
            )
        )
    except OpenQuote as error:
        raise ValueError(
            f"{title}: a quote opens in line {error.line} and is not closed as it should be:"
            f" {error.swallowed + 1:,} of {len(lines):,} lines "
            f'would become one cell; close it, or write a quote within a quoted cell twice ("").'
        ) from None
    say_odd(odd, rows, lines, header, title, said)
    surplus = say_cells(rows, header, title, said)
    return list(documents_of(rows, surplus, header, columns, title, said, context, split))


def find_header(lines: Sequence[str], text_column: str) -> Header:
    """The first line that names the text's column, else the first that holds anything at all."""
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    asked = ""
    if setting := SEPARATOR_LINE.fullmatch(lines[first]):
        asked, first = setting[1], first + 1
    filled = [
        place
        for place in range(first, min(len(lines), first + FARTHEST_HEADER))
        if lines[place].strip(' ,;\t|"')
    ]
    candidates = [
        header_in(lines, place, asked, text_column)
        for place in filled or [first - 1 if asked else first]
    ]
    for same in (text_column.strip().__eq__, lambda name: alike(name) == alike(text_column)):
        for number, header in enumerate(candidates):
            if any(map(same, header.names)) and may_be_titles(candidates[:number], header):
                return header._replace(titles=filled[:number])
    return candidates[0]


def may_be_titles(above: Sequence[Header], header: Header) -> bool:
    """A title has fewer cells than the header below it; rows of a table have as many."""
    return all(sum(map(bool, title.names)) < max(2, len(header.names)) for title in above)


def header_in(lines: Sequence[str], place: int, asked: str, text_column: str) -> Header:
    """A line as a header: with the delimiter asked for, else the one that stands in it most often
    outside of quotes."""
    offered = [asked] if asked else list(DELIMITERS)
    read = {delimiter: cells_alone(lines[place], delimiter, True) for delimiter in offered}
    delimiter = max(offered, key=lambda one: (len(read[one]), text_column in read[one]))
    names = [name.strip() for name in read[delimiter]]
    if len(names) == 1:
        return Header(place, "", names, False, [])
    return Header(place, delimiter, names, f"{delimiter} " in lines[place], [])


def say_odd(
    odd: Odd, rows: Sequence[Row], lines: Sequence[str], header: Header, title: str, said: Said
) -> None:
    """Say what was read otherwise than it is written."""
    if odd.stray:
        said.notes.append(
            f"{title}: a quote opens a cell in {lines_listed(odd.stray)} and is not closed there;"
            " each line has as many cells as the header, so it was read as an ordinary character:"
            f" {amount_of_lines(rows, lines, header)}."
        )
    if odd.joined:
        said.notes.append(
            f"{title}: a quoted cell goes on over several lines in {lines_listed(odd.joined)},"
            " though each of them has as many cells as the header:"
            f" {amount_of_lines(rows, lines, header)}; if a quote was left open there, close it."
        )
    if odd.reopened:
        said.notes.append(
            f"{title}: a cell goes on behind its closing quote in {lines_listed(odd.reopened)}; its"
            " quotes were kept."
        )
    divided = (
        [row.line for row in rows if is_divided(lines[row.line - 1], row)]
        if len(header.names) == 1
        else []
    )
    if divided:
        said.notes.append(
            f"{title}: {amount(divided, rows)} more cells than the header, which names one column"
            f" ({lines_listed(divided)}), if commas and tabs count; each was taken whole, as one"
            " text."
        )


def amount_of_lines(rows: Sized, lines: Sequence[str], header: Header) -> str:
    """'120 rows in 130 lines', empty ones not counted."""
    return f"{len(rows):,} rows in {sum(map(bool, lines[header.place + 1 :])):,} lines"


def is_divided(line: str, row: Row) -> bool:
    """Whether a row of a one-column table would have more cells if its commas or tabs counted."""
    return row.cells == [line] and any(
        len(cells_alone(line, delimiter, False)) > 1 for delimiter in ",\t"
    )


def amount(some: Sized, rows: Sized) -> str:
    """'1 of 120 rows has', '7 of 120 rows have'."""
    return f"{len(some):,} of {len(rows):,} rows {'has' if len(some) == 1 else 'have'}"


def say_cells(rows: Sequence[Row], header: Header, title: str, said: Said) -> set[int]:
    """Say which rows do not fit their header. Returns the lines of those with more cells, whose
    text cannot be told from what follows it."""
    width = len(header.names)
    named = max(place for place, name in enumerate(header.names, 1) if name)
    surplus = [row.line for row in rows if any(cell.strip() for cell in row.cells[width:])]
    fewer = [row.line for row in rows if len(row.cells) < named]
    if surplus:
        name = DELIMITERS.get(header.delimiter, repr(header.delimiter))
        reason = (
            f"{amount(surplus, rows)} more cells than the header's {width}"
            f" ({lines_listed(surplus)})"
        )
        said.skipped.append(Skipped(title, f"{reason}: put a text that holds a {name} in quotes"))
    if fewer:
        reason = (
            f"{amount(fewer, rows)} fewer cells than the header's {named} ({lines_listed(fewer)})"
        )
        said.notes.append(f"{title}: {reason}; what is missing counts as empty.")
    return set(surplus)


def documents_of(
    rows: Sequence[Row],
    left_out: set[int],
    header: Header,
    columns: Columns,
    title: str,
    said: Said,
    context: str,
    split: str,
) -> Iterator[Document]:
    """One document a row; a row without a cell for its text gives none, nor does one that is left
    out."""
    text = header.names.index(columns.text)
    label = len(header.names) if columns.context is None else header.names.index(columns.context)
    missing = [row.line for row in rows if len(row.cells) <= text]
    if missing:
        said.skipped.append(
            Skipped(title, f"{amount(missing, rows)} no text ({lines_listed(missing)})")
        )
    for number, row in enumerate(rows, start=1):
        if text < len(row.cells) and row.line not in left_out:
            own = row.cells[label] if label < min(len(row.cells), len(header.names)) else UNKNOWN
            yield Document(row.cells[text], context or own, f"{title} row {number}", split)
