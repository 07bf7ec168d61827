"""Does the partition mean anything, and does it matter? Each figure to reach beside what a study
measured, with controls and a verdict.

These are CPart's own figures, not the paper's. A verdict is of the interval over seeds: all of it
must lie on the right side of the target.
"""

from __future__ import annotations

from collections.abc import Callable

from cpart_core.study.design import Design, design_of
from cpart_core.study.result import Study
from cpart_core.study.targets.costs import carved, kept, untrained
from cpart_core.study.targets.meaning import beyond_words, selective, told
from cpart_core.study.verdict import (
    Judgement,
)

EVIDENCE: tuple[Callable[[Design], Judgement], ...] = (
    untrained,
    kept,
    told,
    beyond_words,
    selective,
    carved,
)
"""The visible list of figures. Adding one = one function and its name here."""


def weigh(study: Study, arm: str | None = None) -> tuple[Judgement, ...]:
    """All figures for one arm (None: the reference), in the order of the list."""
    design = design_of(study, arm or study.reference)
    return tuple(make(design) for make in EVIDENCE)
