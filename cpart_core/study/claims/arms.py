"""A number of the study's reference arm against that of another arm, paired over seeds."""

from __future__ import annotations

from collections.abc import Callable

from cpart_core.study.interval import Interval, interval
from cpart_core.study.measures import scale_of
from cpart_core.study.result import Study
from cpart_core.study.verdict import (
    CONTROL,
    OPEN,
    UNTESTABLE,
    Finding,
    Judgement,
    combined,
    more_is_better,
)

DENSE = "dense"
"""The arm that every claim is measured against."""
CHANCE = "random"
"""The arm that says how much of an effect is the method's."""


def finding(
    study: Study,
    measure: str,
    label: str,
    unit: str,
    test: Callable[[Interval], str],
    control: str = DENSE,
) -> Finding:
    """Ours (the study's reference arm) against a control."""
    ours = study.reference
    difference = (
        study.difference(ours, control, measure, relative=True) if control in study.arms else None
    )
    chance = (
        study.difference(ours, CHANCE, measure, relative=True)
        if CHANCE in study.arms and control != CHANCE
        else None
    )
    verdict = UNTESTABLE if difference is None else test(difference)
    return Finding(
        label,
        study.mean(ours, measure),
        study.mean(control, measure),
        unit,
        difference,
        chance,
        verdict,
    )


def judged(title: str, claim: str, findings: tuple[Finding, ...], why: str) -> Judgement:
    """A claim that holds when all its findings do."""
    verdict = combined([found.verdict for found in findings])
    if verdict == UNTESTABLE:
        why = f"{why} This study has no arm to compare with."
    elif verdict == OPEN:
        why = f"{why} The interval has zero or the bound in it: these seeds do not decide."
    return Judgement(title, claim, verdict, why, findings)


def gain(study: Study, measure: str, label: str) -> Finding:
    """Ours less the dense arm's, paired by seed, in the measure's own unit; more is better."""
    found = study.difference(study.reference, DENSE, measure) if DENSE in study.arms else None
    if found is None:
        return Finding(
            label, float("nan"), float("nan"), "", None, None, UNTESTABLE, None, "above 0"
        )
    return Finding(
        label,
        found.mean,
        float("nan"),
        "",
        None,
        None,
        more_is_better(0.0)(found),
        found,
        "above 0",
    )


def beside_dense(study: Study, measure: str, label: str) -> Finding:
    """Ours with its interval over seeds, beside the dense arm's."""
    values = list(study.values(study.reference, measure).values())
    value = interval(values, scale_of(measure)) if values else None
    return Finding(
        label,
        study.mean(study.reference, measure),
        study.mean(DENSE, measure),
        "",
        None,
        None,
        CONTROL,
        value,
    )
