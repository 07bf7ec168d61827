"""A JSON object that carries the SHA-256 of its own values, so that a flipped bit in it is noticed;
spaces and order make no difference."""

from __future__ import annotations

import hashlib
import json
from typing import Any

SIGNATURE = "sha256"
"""The name under which the sum lies among the values."""


def signed(values: dict[str, Any]) -> dict[str, Any]:
    """The values with their sum, in front of them."""
    return {SIGNATURE: digest(values), **values}


def without_signature(values: dict[str, Any]) -> dict[str, Any]:
    """The values without their sum. ValueError when it does not fit them; without one (an earlier
    release) they are taken as they are."""
    rest = {name: value for name, value in values.items() if name != SIGNATURE}
    if SIGNATURE in values and values[SIGNATURE] != digest(rest):
        raise ValueError(
            "it was damaged or changed by hand: its values do not fit their sha256 (delete that"
            " entry to accept them)"
        )
    return rest


def digest(values: dict[str, Any]) -> str:
    """Hex, of the one text that these values have."""
    return hashlib.sha256(
        json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
