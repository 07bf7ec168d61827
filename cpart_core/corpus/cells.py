"""Rows of cells from CSV and TSV text. Keeps nothing for the whole process, so any number of files
can be read at once.

What is well formed is read as RFC 4180 and Python's csv module do. Beyond that: every row knows its
line, nothing that stands behind a closing quote is lost, and a stray quote at the beginning of a
cell does not swallow the lines below it without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Odd:
    """What was read otherwise than it is written: the lines, each once."""

    reopened: list[int] = field(default_factory=list)
    """Lines with a cell that goes on behind its closing quote: it was kept as it stands."""
    stray: list[int] = field(default_factory=list)
    """Lines in which a cell begins with a quote that only a later line ends, though each line is a
    whole row by itself: an ordinary character."""

    joined: list[int] = field(default_factory=list)
    """Lines in which a cell of more than two lines begins, each of which would be a whole row by
    itself: read as it is written, but odd."""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    line: int
    """The line of the text in which it begins, from 1."""
    cells: list[str]


class OpenQuote(ValueError):
    """A quote opens a cell and never closes it as it should; the line is where it opens, swallowed
    how many lines it would take."""

    def __init__(self, line: int, swallowed: int) -> None:
        self.line, self.swallowed = line, swallowed
        super().__init__(f"a quote opens in line {line}")


def read_rows(
    lines: Sequence[str], first: int, delimiter: str, blanks: bool, width: int, odd: Odd
) -> Iterator[Row]:
    """Rows from lines[first] on; empty lines are none. Raises OpenQuote.

    delimiter: one character, or "" where a line is one cell. blanks: those behind a delimiter do
    not belong to the cell. width: cells of the header, by which a stray quote is told from a cell
    of several lines.
    """
    number = first
    while number < len(lines):
        line = lines[number]
        if not line:
            number += 1
            continue
        if '"' not in line:
            yield Row(number + 1, plain_cells(line, delimiter, blanks))
            number += 1
            continue
        reader = QuotedRow(lines, number, delimiter, blanks)
        whole = reader.read(alone=False)
        below = lines[number : reader.number + 1]
        if not whole and each_is_a_row(below, delimiter, blanks, width):
            reader = QuotedRow(lines, number, delimiter, blanks)
            reader.read(alone=True)
            odd.stray.append(number + 1)
        elif not whole:
            raise OpenQuote(reader.opened + 1, reader.number - reader.opened)
        elif len(below) > 2 and each_is_a_row(below, delimiter, blanks, width):
            odd.joined.append(number + 1)
        if reader.reopened:
            odd.reopened.append(number + 1)
        yield Row(number + 1, reader.cells)
        number = reader.number + 1


def plain_cells(line: str, delimiter: str, blanks: bool) -> list[str]:
    """Cells of a line without quotes."""
    cells = line.split(delimiter) if delimiter else [line]
    return [cells[0], *(cell.lstrip(" ") for cell in cells[1:])] if blanks else cells


def cells_alone(line: str, delimiter: str, blanks: bool) -> list[str]:
    """Cells of one line, whatever stands around it."""
    reader = QuotedRow([line], 0, delimiter, blanks)
    reader.read(alone=True)
    return reader.cells


def each_is_a_row(lines: Sequence[str], delimiter: str, blanks: bool, width: int) -> bool:
    """Whether each line by itself has as many cells as the header: then a quote that joins them was
    never meant to. One column says nothing."""
    return width > 1 and all(
        len(cells_alone(line, delimiter, blanks)) == width for line in lines if line
    )


class QuotedRow:
    """Reads one row that holds quotes, which may go over several lines. `number` is the line it has
    come to."""

    def __init__(self, lines: Sequence[str], number: int, delimiter: str, blanks: bool) -> None:
        self.lines, self.number, self.delimiter, self.blanks = lines, number, delimiter, blanks
        self.position = 0
        self.opened = number
        self.reopened = False
        self.cells: list[str] = []

    def read(self, alone: bool) -> bool:
        """Read to the end of the row. False where a quote is not closed as it should; alone: then
        it is an ordinary character."""
        while True:
            line = self.lines[self.number]
            while self.blanks and self.position and line[self.position : self.position + 1] == " ":
                self.position += 1
            if line[self.position : self.position + 1] != '"':
                end = self.end_of_cell(self.position)
                self.cells.append(line[self.position : end])
            elif not self.quoted(alone):
                return False
            else:
                end = self.position
            line = self.lines[self.number]
            if end >= len(line):
                return True
            self.position = end + 1

    def end_of_cell(self, position: int) -> int:
        """Where the next delimiter stands, or the end of the line."""
        line = self.lines[self.number]
        end = line.find(self.delimiter, position) if self.delimiter else -1
        return len(line) if end < 0 else end

    def quoted(self, alone: bool) -> bool:
        """Read the cell whose quote stands at `position`; leaves `position` at its end."""
        self.opened, start = self.number, self.position
        text = self.inside(start + 1, alone)
        if text is not None:
            line, closed = self.lines[self.number], self.position
            end = self.end_of_cell(closed)
            if not line[closed:end].strip():
                self.cells.append(text + line[closed:end])
                self.position = end
                return True
            if self.number == self.opened:  # "so" he said: the quotes are part of what is said
                self.reopened = True
                self.cells.append(line[start:end])
                self.position = end
                return True
        if not alone:
            return False
        self.number, line = self.opened, self.lines[self.opened]
        end = self.end_of_cell(start)
        self.cells.append(line[start:end])
        self.position = end
        return True

    def inside(self, position: int, alone: bool) -> str | None:
        """What stands between the quotes, two of them as one; leaves `position` behind the closing
        one. None where there is none."""
        parts: list[str] = []
        while True:
            line = self.lines[self.number]
            end = line.find('"', position)
            if end >= 0 and line[end + 1 : end + 2] == '"':
                parts.append(line[position : end + 1])
                position = end + 2
            elif end >= 0:
                parts.append(line[position:end])
                self.position = end + 1
                return "".join(parts)
            elif alone or self.number + 1 >= len(self.lines):
                return None
            else:
                parts += [line[position:], "\n"]
                self.number += 1
                position = 0
