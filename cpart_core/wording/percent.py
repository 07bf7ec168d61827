"""Shares as a person reads them: the one place that writes a percentage, a relative change or
percentage points. Standard library only.

A share is 0.125, written 12.5 %. A relative change is of something else's value, written +12.5 %.
The difference of two shares is in percentage points, written +12.5 points: 36 % and 48.5 % lie 12.5
points apart, and 35 % apart.
"""

from __future__ import annotations

import math

NOTHING = "\u2013"
"""Where there is no number."""
POINTS = "percentage points"


def percent(share: float, digits: int | None = None) -> str:
    """0.125 -> '12.5 %'. digits: behind the point; None = 1, and 2 below 1 %, where 1 would say too
    little."""
    return NOTHING if not math.isfinite(share) else f"{number(share, digits)} %"


def change(share: float, digits: int | None = None) -> str:
    """With its sign: 0.125 -> '+12.5 %'."""
    return NOTHING if not math.isfinite(share) else f"{number(share, digits, '+')} %"


def points(difference: float, digits: int | None = None, sign: str = "+") -> str:
    """The difference of two shares: 0.125 -> '+12.5 points'; with sign '' -> '12.5 points'."""
    return (
        NOTHING if not math.isfinite(difference) else f"{number(difference, digits, sign)} points"
    )


def between(low: float, high: float, sign: str = "") -> str:
    """Both ends with equally many digits and one sign of percent: '12.5 to 37.0 %'."""
    digits = digits_of(low, high)
    return f"{number(low, digits, sign)} to {number(high, digits, sign)} %"


def with_interval(middle: float, low: float, high: float, sign: str = "") -> str:
    """'+1.2 % (+0.8 to +1.6)', all with equally many digits."""
    digits = digits_of(middle, low, high)
    return (
        f"{number(middle, digits, sign)} % ({number(low, digits, sign)} to"
        f" {number(high, digits, sign)})"
    )


def number(share: float, digits: int | None = None, sign: str = "") -> str:
    """A share times a hundred, without its unit."""
    digits = digits_of(share) if digits is None else digits
    rounded = round(100 * share, digits) + 0.0  # no -0.0
    return f"{rounded:{sign},.{digits}f}"


def digits_of(*shares: float) -> int:
    """How many digits behind the point these have together."""
    largest = max(abs(share) for share in shares)
    return 2 if 0 < largest < 0.00995 else 1
