"""Which columns of a table hold the text and the context, and how names and places are listed in
one sentence of bounded length."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cpart_core.corpus.document import Said
from cpart_core.settings.corpus import CorpusSettings

MOST_NAMES, LONGEST_NAME = 12, 40
GAP = re.compile(r"[\s_\-]+")


class Columns(NamedTuple):
    """Names as the table has them."""

    text: str
    context: str | None
    """None where the table has no such column."""


def short(name: str) -> str:
    """A name as it can stand in a sentence: one line, LONGEST_NAME characters at most."""
    line = " ".join(name.split()) or "(no name)"
    return (
        line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    all_names = list(names)
    more = len(all_names) - MOST_NAMES
    shown = [repr(short(name)) if "," in name else short(name) for name in all_names[:MOST_NAMES]]
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def lines_listed(lines: Sequence[int]) -> str:
    """'line 4' or 'lines 4, 7, 9, ...'."""
    return (
        f"line {lines[0]}"
        if len(lines) == 1
        else f"lines {', '.join(map(str, lines[:3]))}{', ...' if len(lines) > 3 else ''}"
    )


def alike(name: str) -> str:
    """A name without what people write now this way, now that: case, blanks, _ and -."""
    return GAP.sub("", name.strip().casefold())


def found_in(names: Sequence[str], wanted: str, usual: str) -> str | None:
    """The column of that name; where it is the usual one, which nobody asked for, also the only one
    that differs in case or blanks alone."""
    if wanted in names or wanted != usual:
        return wanted if wanted in names else None
    near = [name for name in dict.fromkeys(names) if alike(name) == alike(wanted)]
    return near[0] if len(near) == 1 else None


def find_columns(
    names: Sequence[str], title: str, settings: CorpusSettings, labelled: bool, said: Said
) -> Columns:
    """The columns to read. labelled: the context is known already (a folder's name), so its column
    is not asked for.

    ValueError where the text's column is missing, or one that was asked for by name; what is taken
    for it or missed otherwise is said.
    """
    usual = CorpusSettings()
    text = found_in(names, settings.text_column, usual.text_column)
    if text is None:
        raise ValueError(
            f"{title} has no column {short(settings.text_column)!r}; its columns are"
            f" {listed(names)}. Say which one holds the text"
            f" (text_column){did_you_mean(names, settings.text_column)}."
        )
    context = None if labelled else found_in(names, settings.context_column, usual.context_column)
    for wanted, found in ((settings.text_column, text), (settings.context_column, context)):
        if found is not None and names.count(found) > 1:
            raise ValueError(
                f"{title} has {names.count(found)} columns named {short(found)!r}; rename all but"
                " one, so that none is lost."
            )
        if found is not None and found != wanted:
            said.notes.append(
                f"{title}: the column {short(found)!r} was read as {short(wanted)!r}."
            )
    if context is None and not labelled:
        say_no_context(names, title, settings, said)
    return Columns(text, context)


def say_no_context(names: Sequence[str], title: str, settings: CorpusSettings, said: Said) -> None:
    """A column that was asked for is demanded; the usual one is missed only where another column
    might hold the context."""
    others = [name for name in dict.fromkeys(names) if name and name != settings.text_column]
    hint = did_you_mean(others, settings.context_column)
    if settings.context_column != CorpusSettings().context_column:
        raise ValueError(
            f"{title} has no column {short(settings.context_column)!r}; its columns are"
            f" {listed(names)}. Say which one holds the context (context_column){hint}."
        )
    if others:
        said.notes.append(
            f"{title} has no column {short(settings.context_column)!r}, so its rows have no context"
            f" label; if another column holds it ({listed(others)}), name that one"
            f" (context_column){hint}."
        )


def did_you_mean(names: Sequence[str], wanted: str) -> str:
    """The name that differs from the wanted one by a slip or holds it, as the end of a sentence; or
    nothing."""
    near = {alike(name): name for name in names if name}
    close = (
        difflib.get_close_matches(alike(wanted), list(near), 1, 0.75)
        or [name for name in near if alike(wanted) in name][:1]
    )
    return f"; perhaps {short(near[close[0]])!r}" if close else ""
