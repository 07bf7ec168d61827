"""What a verdict is: a finding, the interval that decides it, and the judgement of several. Plain
data.

A verdict is of the whole interval over seeds, never of its middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cpart_core.study.interval import Interval

HOLDS, FAILS, OPEN, UNTESTABLE = "holds", "does not hold", "not decided", "cannot be tested"
CONTROL = "control"
"""A number that is only there to be compared with."""


@dataclass(frozen=True)
class Finding:
    """One number behind a verdict: ours against a control, as a share of the control's value unless
    the unit says otherwise."""

    label: str
    ours: float
    control: float
    unit: str
    difference: Interval | None
    """Relative, paired over seeds."""
    against_chance: Interval | None
    """The same against the random partition."""
    verdict: str
    value: Interval | None = None
    """Ours over seeds, in its own unit, where the verdict is of that and not of a difference."""
    target: str = ""
    """What the value has to be, in words."""


@dataclass(frozen=True)
class Judgement:
    """A claim with what was found."""

    title: str
    claim: str
    """The paper's words, or what is known of them."""
    verdict: str
    why: str
    findings: tuple[Finding, ...]


def less_is_better(bound: float) -> Callable[[Interval], str]:
    """A claim that a number is below `bound`."""
    return lambda found: below(found, bound)


def more_is_better(bound: float) -> Callable[[Interval], str]:
    """A claim that a number is above `bound`."""
    return lambda found: below(Interval(-found.mean, -found.high, -found.low, found.n), -bound)


def below(found: Interval, bound: float) -> str:
    """Where the whole interval lies; numbers that are the same for every seed have an interval of
    no width."""
    if found.n < 2:
        return OPEN
    if found.high < bound:
        return HOLDS
    return FAILS if found.low >= bound else OPEN


def combined(verdicts: list[str]) -> str:
    """The worst of several: all must hold."""
    for verdict in (UNTESTABLE, FAILS, OPEN):
        if verdict in verdicts:
            return verdict
    return HOLDS
