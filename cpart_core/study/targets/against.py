"""A number of ours against a target, and the verdict on several."""

from __future__ import annotations

import math
from collections.abc import Callable

from cpart_core.study.interval import Interval
from cpart_core.study.verdict import (
    CONTROL,
    FAILS,
    HOLDS,
    OPEN,
    UNTESTABLE,
    Finding,
    Judgement,
    combined,
)

PERCENT, BITS, RATIO = "share", "bits", "times"


def own(
    label: str,
    value: Interval | None,
    test: Callable[[Interval], str],
    target: str,
    unit: str,
    beside: float = math.nan,
) -> Finding:
    """A number of ours against a target. beside: what it is compared with."""
    if value is None:
        return Finding(
            label,
            math.nan,
            beside,
            unit,
            None,
            None,
            CONTROL if test is control else UNTESTABLE,
            None,
            target,
        )
    return Finding(label, value.mean, beside, unit, None, None, test(value), value, target)


def control(_: Interval) -> str:
    """A number that is only there to be compared with."""
    return CONTROL


def disjoint(ours: Interval, theirs: Interval) -> str:
    """Ours is above theirs and the intervals do not touch."""
    if ours.n < 2 or theirs.n < 2:
        return OPEN
    return HOLDS if ours.low > theirs.high else FAILS if ours.mean <= theirs.mean else OPEN


def untestable(title: str, goal: str, lacks: str) -> Judgement:
    return Judgement(title, goal, UNTESTABLE, f"Cannot be tested: this study has {lacks}.", ())


def weighed(
    title: str, goal: str, why: str, found: list[Finding], lacks: str = "not all of its numbers"
) -> Judgement:
    """Holds when all findings with a target do."""
    found = [
        finding for finding in found if finding.value is not None or finding.verdict != CONTROL
    ]
    verdict = combined([finding.verdict for finding in found])
    if verdict == UNTESTABLE:
        why = f"{why} Cannot be tested: this study has {lacks}."
    elif verdict == OPEN:
        why = (
            f"{why} These seeds do not decide: an interval has the target in it, or there is one"
            " seed."
        )
    return Judgement(title, goal, verdict, why, tuple(found))
