"""A study as rows for a table: means over seeds by arm, paired differences to the reference, losses
by context."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cpart_core.study.interval import Interval
from cpart_core.study.measures import SHOWN
from cpart_core.study.result import Study

COMPARED = ("loss", "perplexity", "accuracy", "seconds", "peak_memory_bytes", "information_choice", "keep_quarter", "coherence_embedding",
            "coherence_order")  # fmt: skip
"""Measures whose differences are printed; the JSON has all values, from which any other follows."""


def arm_rows(study: Study) -> list[dict[str, Any]]:
    """One row an arm: how many seeds, and the mean of every measure that any run has."""
    shown = [item for item in SHOWN if any(study.values(arm, item.name) for arm in study.arms)]
    return [
        {"arm": arm, "seeds": len(study.values(arm, "loss"))}
        | {item.title: rounded(study.mean(arm, item.name), item.digits) for item in shown}
        for arm in study.arms
    ]


def rounded(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    return round(value) if digits == 0 else round(value, digits)


def difference_rows(study: Study, measures: Sequence[str] = COMPARED) -> list[dict[str, Any]]:
    """One row for each arm and measure: arm - reference, its 95 % interval over seeds, n, and what
    it says."""
    rows = []
    for item in SHOWN:
        for arm in study.arms if item.name in measures else ():
            found = (
                study.difference(arm, study.reference, item.name)
                if arm != study.reference
                else None
            )
            if found is not None:
                rows.append(
                    {
                        "measure": item.title,
                        "arm": f"{arm} - {study.reference}",
                        "difference": rounded(found.mean, item.digits),
                        "low": rounded(found.low, item.digits),
                        "high": rounded(found.high, item.digits),
                        "n": found.n,
                        "says": says(found, item.lower_is_better),
                    }
                )
    return rows


def says(found: Interval, lower_is_better: bool) -> str:
    """What an interval says of the arm: better, worse, or not decided by these seeds."""
    if found.low > 0:
        return "worse" if lower_is_better else "better"
    if found.high < 0:
        return "better" if lower_is_better else "worse"
    return "one seed" if found.n < 2 else "not decided"


def context_rows(study: Study) -> list[dict[str, Any]]:
    """One row a context: mean loss of every arm."""
    losses = {arm: study.by_context(arm) for arm in study.arms}
    return [
        {"context": name} | {arm: rounded(losses[arm][place], 4) for arm in study.arms}
        for place, name in enumerate(study.contexts)
    ]
