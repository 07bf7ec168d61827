"""A claim or a figure to reach as a box: its words and verdict on the left, its numbers on the right."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from app import words
from cpart_core.study.claims import FAILS, HOLDS, OPEN, UNTESTABLE, Finding, Judgement
from cpart_core.study.interval import Interval

BADGES = {
    HOLDS: f":green-badge[:material/check: {HOLDS}]",
    FAILS: f":red-badge[:material/close: {FAILS}]",
    OPEN: f":orange-badge[:material/balance: {OPEN}]",
    UNTESTABLE: f":gray-badge[:material/help: {UNTESTABLE}]",
}
NOTHING = "\u2013"
"""Where there is no number; a column of nothing else is not shown."""


def draw(entry: Judgement, by: str = "The paper") -> None:
    """The claim in words on the left, its numbers on the right; without numbers the words have the whole width."""
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="medium") if entry.findings else (st.container(), st.container())
        with left:
            st.markdown(f"#### {entry.title}\n{BADGES[entry.verdict]}")
            st.markdown(f"*{by}:* {entry.claim}" if not entry.claim.startswith("Not in the paper") else f"*{entry.claim}*")
            st.caption(entry.why)
        if entry.findings:
            table = pd.DataFrame([row(found) for found in entry.findings])
            right.dataframe(table.loc[:, (table != NOTHING).any()], hide_index=True)


def row(found: Finding) -> dict[str, str]:
    """A finding as a line of words."""
    share = "share of the whole" in found.unit
    return {
        "number": found.label,
        "verdict": found.verdict,
        "ours": shown(found.ours, found.unit),
        "95 % over seeds": span(found),
        "target": found.target or NOTHING,
        "control": NOTHING if share else shown(found.control, found.unit),
        "difference": percent(found.difference),
        "against chance": percent(found.against_chance),
    }


def span(found: Finding) -> str:
    """'0.81 to 0.95', of a finding whose value has an interval."""
    if found.value is None:
        return NOTHING
    if found.value.n < 2:
        return "one seed"
    return f"{shown(found.value.low, found.unit)} to {shown(found.value.high, found.unit)}"


def shown(value: float, unit: str) -> str:
    """A number with its unit, as a person reads it."""
    if not math.isfinite(value):
        return NOTHING
    if unit == "bytes":
        return words.size(value)
    if unit == "numbers":
        return words.amount(value)
    if unit == "s":
        return words.duration(value)
    if unit.startswith("share"):
        return f"{100 * value:.2f} %"
    return f"{value:.3f}"


def percent(found: Interval | None) -> str:
    """'+1.2 % (+0.8 to +1.6)', or '+1.2 % (every seed)' where the seeds do not differ."""
    if found is None:
        return NOTHING
    if math.isnan(found.low):
        return f"{100 * found.mean:+.2f} % (one seed)"
    if found.high - found.low < 1e-9:
        return f"{100 * found.mean:+.2f} % (every seed)"
    return f"{100 * found.mean:+.2f} % ({100 * found.low:+.2f} to {100 * found.high:+.2f})"
