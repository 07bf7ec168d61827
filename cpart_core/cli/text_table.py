"""Results for the terminal and for JSON: plain text tables, plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cpart_core.wording.printable import JOINERS, marked


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as aligned columns: numbers to the right, text to the left."""
    names = list(rows[0])
    cells = [[cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    right = [
        all(isinstance(row[name], (int, float)) or row[name] is None for row in rows)
        for name in names
    ]
    lines = [names, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            text.rjust(w) if r else text.ljust(w)
            for text, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def cell(value: Any) -> str:
    """One value, printable whatever a name holds (control characters would drive the terminal)."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    return "".join(c if c.isprintable() or c in JOINERS else "?" for c in marked(str(value), "?"))


def plain(value: Any) -> Any:
    """Arrays as lists, NaN as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and value != value else value
