"""Rows that are objects: JSON lines, an array of JSON, and the rows of a dataset."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from cpart_core.corpus.columns import Columns, find_columns
from cpart_core.corpus.document import UNKNOWN, Document, Said, Skipped
from cpart_core.settings.corpus import CorpusSettings

DOUBLED = "\0doubled"
"""Key under which an object keeps the names that it has twice; no text holds zero bytes, so no name
is like it."""
SPACE = re.compile(r"\s*")


def json_documents(
    text: str,
    title: str,
    settings: CorpusSettings,
    said: Said,
    context: str = UNKNOWN,
    split: str = "",
) -> list[Document]:
    """Documents of JSON lines, or of one array of objects; broken lines are counted and left out.
    ValueError where there is no object."""
    rows = array_of(text, title) if text.lstrip()[:1] in ("[", "{") else None
    broken: list[int] = []
    if rows is None:
        rows, broken = lines_of(text)
    if not rows and (stream := one_after_another(text)):
        rows, broken = stream, []
    doubled = Counter(name for row in rows for name in row.pop(DOUBLED, ()))
    names = list(dict.fromkeys(name for row in rows for name in row))
    documents: list[Document] = []
    if names:
        columns = find_columns(names, title, settings, bool(context), said)
        documents = row_documents(rows, columns, title, said, context, split)
        for name in {columns.text, columns.context} & set(doubled):
            said.notes.append(
                f"{title}: {doubled[name]:,} of {len(rows):,} rows have {name!r} twice; the last"
                " one counts."
            )
    if broken:
        reason = (
            f"{len(broken):,} line{'s are' if len(broken) > 1 else ' is'} no JSON object, the first"
            f" is line {broken[0]}"
        )
        said.skipped.append(Skipped(title, reason))
    return documents


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; names that it has twice are kept beside it."""
    found = dict(pairs)
    if len(found) < len(pairs):
        found[DOUBLED] = [
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        ]
    return found


def array_of(text: str, title: str) -> list[dict[str, Any]] | None:
    """The objects of a text that is one JSON value; None where it is not one, as lines of JSON are.
    ValueError says what else it holds."""
    try:
        value = json.loads(text, object_pairs_hook=once_each)
    except (ValueError, RecursionError):
        return None
    if (
        isinstance(value, dict)
        and len(text.strip().split("\n")) > 1
        and (inner := only_list_of_objects(value)) is not None
    ):
        raise ValueError(
            f"{title} is one JSON object that holds a list under {inner[:40]!r}; save that list"
            " alone, as an array of objects."
        )
    if (
        isinstance(value, dict)
        and ".json" in title.lower()[-len(".json.gz") :]
        and ".jsonl" not in title.lower()
    ):
        raise ValueError(
            f"{title} is one JSON object, not an array of objects; a row has to be an object of its"
            " own."
        )
    rows = value if isinstance(value, list) else [value]
    others = [row for row in rows if not isinstance(row, dict)]
    if others:
        raise ValueError(
            f"{title}: {len(others):,} of the {len(rows):,} entries of its JSON array are no"
            " objects; "
            f'each row has to be one, such as {{"text": "...", "context": "..."}}.'
        )
    return rows


def only_list_of_objects(value: dict[str, Any]) -> str | None:
    """The name under which an object holds a list of objects, if it holds one."""
    return next(
        (
            name
            for name, inner in value.items()
            if isinstance(inner, list) and inner and isinstance(inner[0], dict)
        ),
        None,
    )


def lines_of(text: str) -> tuple[list[dict[str, Any]], list[int]]:
    """(objects, numbers of the lines that are none)."""
    rows: list[dict[str, Any]] = []
    broken: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=once_each)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            broken.append(number)
    return rows, broken


def one_after_another(text: str) -> list[dict[str, Any]]:
    """Objects that each go over several lines, as tools for JSON print them; none where anything
    else stands between them."""
    decoder = json.JSONDecoder(object_pairs_hook=once_each)
    rows: list[dict[str, Any]] = []
    position = len(text) - len(text.lstrip())
    while position < len(text):
        try:
            row, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return []
        if not isinstance(row, dict):
            return []
        rows.append(row)
        position = SPACE.match(text, end).end()  # type: ignore[union-attr]
    return rows


def row_documents(
    rows: Iterable[dict[str, Any]],
    columns: Columns,
    title: str,
    said: Said,
    context: str = UNKNOWN,
    split: str = "",
) -> list[Document]:
    """One document a row; the context is the given one (a folder's name), else the row's. What is
    no text or no label is counted."""
    documents: list[Document] = []
    left: Counter[str] = Counter()
    no_label: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        text = row.get(columns.text)
        if not isinstance(text, str):
            left[
                "no text" if text is None else f"a text that is no string but {kind_of_value(text)}"
            ] += 1
            continue
        own = UNKNOWN
        if columns.context is not None and not context:
            own, trouble = label_of(row.get(columns.context))
            no_label[trouble] += bool(trouble)
        documents.append(Document(text, context or own, f"{title} row {number}", split))
    said.skipped += [
        Skipped(title, f"{count:,} row{'s have' if count > 1 else ' has'} {reason}")
        for reason, count in left.items()
    ]
    for trouble, count in no_label.items():
        if count:
            said.notes.append(
                f"{title}: {count:,} row{'s have' if count > 1 else ' has'} {trouble}."
            )
    return documents


def label_of(value: Any) -> tuple[str, str]:
    """(the context, what is to be said of the value). A number is a label, 2.0 the same as 2; a
    list of one label is that label."""
    if value is None:
        return UNKNOWN, ""
    if isinstance(value, (str, int)):
        return str(value), ""
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return UNKNOWN, "no number (NaN) as their context, so no label"
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value), ""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], (str, int, float)):
        return (
            label_of(value[0])[0],
            "a list of one entry as their context, which was read as that entry",
        )
    return (
        UNKNOWN,
        f"{kind_of_value(value)} as their context, which is no label: write one name or number",
    )


def kind_of_value(value: Any) -> str:
    """'a list', 'an object', 'a number'."""
    if isinstance(value, list):
        return f"a list of {len(value)} entries" if len(value) < 4 else "a list"
    if isinstance(value, bool):
        return "true or false"
    return {int: "a number", float: "a number", dict: "an object", str: "a string"}.get(
        type(value), f"{type(value).__name__[:40]}"
    )
