"""A claim or a figure to reach as a box: its words and verdict on the left, its numbers on the
right."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from app.text import readable
from app.text.escape import sentence
from cpart_core.study.interval import Interval
from cpart_core.study.verdict import FAILS, HOLDS, OPEN, UNTESTABLE, Finding, Judgement
from cpart_core.wording import percent

BADGES = {
    HOLDS: f":green-badge[:material/check: {HOLDS}]",
    FAILS: f":red-badge[:material/close: {FAILS}]",
    OPEN: f":orange-badge[:material/balance: {OPEN}]",
    UNTESTABLE: f":gray-badge[:material/help: {UNTESTABLE}]",
}
NOTHING = percent.NOTHING
"""Where there is no number; a column of nothing else is not shown."""


def draw(entry: Judgement, by: str = "The paper") -> None:
    """The claim in words, below it its numbers. The table's cells wrap: no column is cut off,
    however narrow the window."""
    with st.container(border=True):
        st.markdown(f"#### {entry.title}\n{BADGES[entry.verdict]}")
        st.markdown(
            f"*{by}:* {entry.claim}"
            if not entry.claim.startswith("Not in the paper")
            else f"*{entry.claim}*"
        )
        st.caption(entry.why)
        if entry.findings:
            table = pd.DataFrame([row(found) for found in entry.findings])
            st.table(table.loc[:, (table != NOTHING).any()], hide_index=True, border="horizontal")


def row(found: Finding) -> dict[str, str]:
    """A finding as a line of words; intervals are 95 % over seeds."""
    share = "share of the whole" in found.unit
    return {
        "number": sentence(found.label, 120),
        "verdict": found.verdict,
        "ours (95 %)": NOTHING if share else value_of(found),
        "target": found.target or NOTHING,
        "control": NOTHING if share else shown(found.control, found.unit),
        "difference (95 %)": relative(found.difference),
        "against chance (95 %)": relative(found.against_chance),
    }


def value_of(found: Finding) -> str:
    """Ours, with its interval where the finding is of the value itself: '0.88 (0.81 to 0.95)'."""
    ours, value = shown(found.ours, found.unit), found.value
    if value is None or not math.isfinite(found.ours):
        return ours
    if value.n < 2:
        return f"{ours} (one seed)"
    if value.steady:
        return f"{ours} (every seed)"
    if found.unit.startswith("share"):
        return percent.with_interval(value.mean, value.low, value.high)
    return f"{ours} ({shown(value.low, found.unit)} to {shown(value.high, found.unit)})"


def shown(value: float, unit: str) -> str:
    """A number with its unit, as a person reads it."""
    if not math.isfinite(value):
        return NOTHING
    if unit == "bytes":
        return readable.size(value)
    if unit == "numbers":
        return readable.amount(value)
    if unit == "s":
        return readable.duration(value)
    if unit.startswith("share"):
        return percent.percent(value)
    return f"{value:.3f}"


def relative(found: Interval | None) -> str:
    """'+1.2 % (+0.8 to +1.6)', or '+1.2 % (every seed)' where the seeds do not differ."""
    if found is None:
        return NOTHING
    if math.isnan(found.low):
        return f"{percent.change(found.mean)} (one seed)"
    if found.steady:
        return f"{percent.change(found.mean)} (every seed)"
    return percent.with_interval(found.mean, found.low, found.high, "+")
