"""JSON that somebody else may have written, read only where the values it stands for cannot take
more memory than is allowed."""

from __future__ import annotations

import json
from typing import Any

COSTS = {b"[": 88, b"{": 240, b":": 104, b",": 72}
"""Most bytes of Python objects behind each of these signs: a list, an object, a name with its
place, an element with its place."""
BYTES_A_CHARACTER = 5
"""The text beside the bytes: one sign beyond the BMP makes each character of a string four
bytes."""


def load_bounded(data: bytes, most_bytes: int) -> Any:
    """The value. ValueError when it is no JSON, too deep, or would take more than `most_bytes` of
    memory by a cautious count."""
    needed = len(data) * BYTES_A_CHARACTER + sum(
        data.count(sign) * cost for sign, cost in COSTS.items()
    )
    if needed > most_bytes:
        raise ValueError(
            f"it holds more than the {most_bytes:,} bytes of memory that are allowed for it"
        )
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
