"""Numbers as a person reads them. No streamlit."""

from __future__ import annotations

import math
from datetime import datetime

UNKNOWN = "not known yet"


def duration(seconds: float) -> str:
    """75.2 -> '1 min 15 s'; NaN -> 'not known yet'."""
    if not math.isfinite(seconds) or seconds < 0:
        return UNKNOWN
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def size(count: float) -> str:
    """1_234_567 bytes -> '1.2 MB'; 0 and NaN -> 'not known yet'."""
    if not math.isfinite(count) or count <= 0:
        return UNKNOWN
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return (
                f"{count / factor:,.1f} {unit}"
                if count < 100 * factor
                else f"{count / factor:,.0f} {unit}"
            )
    return f"{count:.0f} B"


def amount(count: float) -> str:
    """1_234_567 -> '1.23 M'; 870 -> '870'."""
    if not math.isfinite(count):
        return UNKNOWN
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(count) >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f}"


def age(created: str, now: datetime | None = None) -> str:
    """An ISO time -> '5 min ago'; what cannot be read -> nothing."""
    try:
        then = datetime.fromisoformat(created)
    except ValueError:
        return ""
    seconds = ((now or datetime.now().astimezone()) - then.astimezone()).total_seconds()
    if seconds < 45:
        return "just now"
    return f"{coarse(seconds)} ago"


def coarse(seconds: float) -> str:
    """One unit only."""
    for unit, factor in (("day", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= factor:
            count = int(seconds // factor)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return "1 min"


def loss(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "\u2013"
