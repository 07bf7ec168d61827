"""Does the partition mean anything, and does it matter? Each figure to reach beside what a study
measured, with controls and a verdict.

These are CPart's own figures, not the paper's. A verdict is of the interval over seeds: all of it
must lie on the right side of the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cpart_core.study.claims import (
    CONTROL,
    FAILS,
    HOLDS,
    OPEN,
    UNTESTABLE,
    Finding,
    Judgement,
    combined,
    less_is_better,
    more_is_better,
)
from cpart_core.study.design import Design, ceiling, design_of
from cpart_core.study.interval import CHANGE, REAL, Interval, interval
from cpart_core.study.outcome import SELECTIVE
from cpart_core.study.result import Study
from cpart_core.wording.percent import percent

HALF = 0.5
"""Of what a partition by chance loses."""
SMALL = 0.01
"""Share of the loss."""
TOLD = 1.5
"""Bits, of log2 20 = 4.3 that twenty contexts have."""
SAVED = -0.2
"""Share of the bytes."""
PERCENT, BITS, RATIO = "share", "bits", "times"


def weigh(study: Study, arm: str | None = None) -> tuple[Judgement, ...]:
    """All figures for one arm (None: the reference), in the order of the list below."""
    design = design_of(study, arm or study.reference)
    return tuple(make(design) for make in EVIDENCE)


def untrained(design: Design) -> Judgement:
    title, goal = "Cut without further training", (
        "Cut to 25 % of its segments without further training, a dense model loses at most half as much with segments found without labels "
        "(cocluster) as with segments by chance."
    )  # fmt: skip
    study = design.study
    arms = [
        design.dense,
        *(name for name, other in study.arms.items() if other.model.execution == "dense"),
    ]
    arm = next((name for name in arms if name and study.values(name, "cut_random")), "")
    if not arm:
        return untestable(title, goal, "no dense run that was cut under several partitions")
    found = []
    for method, label in (
        ("cocluster", "cocluster, without labels"), ("gradient", "gradient, with labels"), ("coactivation", "coactivation"),
        ("weights", "weights"), ("shared", "by chance, but for cocluster's shared segment"),
    ):  # fmt: skip
        mine, chance = (design.values(f"cut_{name}", arm) for name in (method, "random"))
        ratios = [mine[seed] / chance[seed] for seed in mine if chance.get(seed, 0.0) > 0]
        value = interval(ratios, REAL) if ratios else None  # a cost may be a gain
        tested = method == "cocluster"
        found.append(
            own(
                label,
                value,
                less_is_better(HALF) if tested else control,
                f"at most {percent(HALF, 0)}" if tested else "",
                PERCENT,
            )
        )
    found.append(
        own(
            f"by chance ({arm}): cost as a share of the loss",
            design.over("cut_random", arm),
            control,
            "",
            PERCENT,
        )
    )
    why = (
        "Each but the last is a share of what random loses. A dense model's weights do not depend"
        " on the partition, so one run is cut in many ways. All keep as many neurons; the shared"
        " segment is always kept: the line before the last is what that segment alone gives."
    )
    return weighed(title, goal, why, found)


def kept(design: Design) -> Judgement:
    title = "Trained, then a quarter kept"
    goal = (
        "After training, keeping 25 % of the segments costs at most 1 % of the loss on the context"
        " they were chosen for, while the whole model is within 1 % of its dense twin trained on"
        " the same tokens."
    )
    if not design.values("keep_quarter"):
        return untestable(title, goal, "no carved models of this arm")
    costs = own(
        "cost of keeping 25 %, mean over contexts",
        design.over("keep_quarter"),
        less_is_better(SMALL),
        "below 1 %",
        PERCENT,
    )
    found = [
        costs,
        own(
            "the same in its worst context", design.over("keep_quarter_worst"), control, "", PERCENT
        ),
        own(
            "the same with segments kept by chance",
            design.over("keep_quarter_random"),
            control,
            "",
            PERCENT,
        ),
    ]
    if design.random:
        found.append(
            own(
                "the same of the random twin, chosen as well",
                design.over("keep_quarter", design.random),
                control,
                "",
                PERCENT,
            )
        )
    study = design.study
    more = (
        study.difference(design.arm, design.dense, "loss", relative=True) if design.dense else None
    )
    found.append(
        own(
            "whole model's loss over its dense twin's",
            more,
            less_is_better(SMALL),
            "below 1 %",
            PERCENT,
        )
    )
    return weighed(
        title,
        goal,
        "Segments are chosen on training documents; losses are of held-out ones.",
        found,
        "no dense twin of this arm",
    )


def told(design: Design) -> Judgement:
    kind, contexts, model = design.kind, len(design.study.contexts), design.settings.model
    title = "Contexts told apart"
    goal = (
        f"I(S;C) is at least {TOLD} bits on held-out text and above the random twin's with disjoint"
        " intervals, at a loss no higher than its."
    )
    name = f"information_{kind}"
    value = design.over(name)
    if value is None or not design.values(f"{name}_null"):
        return untestable(title, goal, "no I(S;C) with its chance")
    most = ceiling(design)
    rule = (
        f"each token chooses {model.top_k} of {model.num_segments} segments"
        if kind == "choice"
        else f"{model.num_segments} segments"
    )
    why = (
        f"Of the {'choice' if kind == 'choice' else 'fusion mass'}, mean over layers:"
        f" {percent(value.mean / most, 0)} of the {most:.2f} bits that can be reached ({contexts}"
        f" contexts have {math.log2(contexts):.2f} bits; {rule})."
    )
    first = own(
        "I(S;C)",
        value,
        more_is_better(TOLD),
        f"at least {TOLD} bits",
        BITS,
        design.study.mean(design.arm, f"{name}_null"),
    )
    if most < TOLD:
        return Judgement(
            title,
            goal,
            UNTESTABLE,
            f"{why} So {TOLD} bits are out of reach for any partition in this study.",
            (first,),
        )
    found = [first, own("with labels shuffled", design.over(f"{name}_null"), control, "", BITS)]
    theirs = design.over(name, design.random) if design.random else None
    found.append(
        own(
            "I(S;C) of the random twin",
            theirs,
            lambda other: disjoint(value, other),
            "intervals apart",
            BITS,
        )
    )
    loss = (
        design.study.difference(design.arm, design.random, "loss", relative=True)
        if design.random
        else None
    )
    found.append(
        own("loss over the random twin's", loss, less_is_better(0.0), "no higher", PERCENT)
    )
    return weighed(title, goal, why, found, "no random twin of this arm")


def beyond_words(design: Design) -> Judgement:
    title, goal = (
        "Beyond the words",
        "I(S;C|T), what segments tell of the context beyond the token itself, is above its null.",
    )
    name = f"given_token_{design.kind}"
    mine, null = design.values(name), design.values(f"{name}_null_high")
    both = [seed for seed in mine if seed in null]
    if not both:
        return untestable(title, goal, "no I(S;C|T) with its chance")
    above = interval([mine[seed] - null[seed] for seed in both], REAL)
    found = [
        own(
            "I(S;C|T)",
            design.over(name),
            control,
            "",
            BITS,
            design.study.mean(design.arm, f"{name}_null"),
        ),
        own(
            "over what 97.5 % of shuffled labels stay below",
            above,
            more_is_better(0.0),
            "above 0",
            BITS,
        ),
        own("I(S;T)", design.over(f"token_{design.kind}"), control, "", BITS),
    ]
    return weighed(
        title, goal, "Labels of whole documents are shuffled; over tokens seen often enough.", found
    )


def selective(design: Design) -> Judgement:
    title = "Segments of one context"
    goal = (
        f"Ablating a context's strongest segment hurts it {SELECTIVE:g} times as much as the other"
        " contexts, or more."
    )
    value = design.over("selectivity")
    if value is None:
        return untestable(title, goal, "no ablations")
    found = [
        own(
            "selectivity, median over contexts",
            value,
            more_is_better(SELECTIVE),
            f"{SELECTIVE:g} or more",
            RATIO,
        ),
        own(
            f"contexts with {SELECTIVE:g} or more",
            design.over("selective_share"),
            control,
            "",
            PERCENT,
        ),
    ]
    if design.random:
        found.append(
            own(
                "selectivity in the random twin",
                design.over("selectivity", design.random),
                control,
                "",
                RATIO,
            )
        )
    outcomes = [outcome for outcome in design.study.outcomes if outcome.arm == design.arm]
    known = min(sum(map(math.isfinite, outcome.selectivity_by_context)) for outcome in outcomes)
    documents = min(outcome.selectivity_documents for outcome in outcomes)
    why = (
        "The segment is chosen on one half of the documents and measured on the other; over"
        f" {known} contexts with two documents or more, {documents:,.0f} documents."
    )
    return weighed(title, goal, why, found)


def carved(design: Design) -> Judgement:
    title = "Carved, in real bytes"
    goal = (
        "A model carved for one context takes at least 20 % fewer resident bytes at no more than 1"
        " % of the loss on it."
    )
    whole, smaller = design.values("resident_bytes"), design.values("resident_carved_bytes")
    both = [seed for seed in whole if smaller.get(seed) and whole[seed] > 0]
    if not both:
        return untestable(title, goal, "no carved model that was loaded and measured")
    saved = interval([smaller[seed] / whole[seed] - 1.0 for seed in both], CHANGE)
    context = next(
        outcome.resident_context for outcome in design.study.outcomes if outcome.arm == design.arm
    )
    found = [
        own(
            "resident bytes, carved against whole",
            saved,
            less_is_better(SAVED),
            "below -20 %",
            PERCENT,
        ),
        own(
            f"cost on {context}, the context",
            design.over("resident_cost"),
            less_is_better(SMALL),
            "below 1 %",
            PERCENT,
        ),
        own(
            "cost of as small a model, mean over all contexts",
            design.over("keep_quarter"),
            control,
            "",
            PERCENT,
        ),
    ]
    why = (
        "What loading the weights and reading one row adds to a fresh process. A quarter of the"
        " segments and the shared one are kept."
    )
    return weighed(title, goal, why, found)


EVIDENCE: tuple[Callable[[Design], Judgement], ...] = (
    untrained,
    kept,
    told,
    beyond_words,
    selective,
    carved,
)
"""The visible list of figures. Adding one = one function and its name here."""


def disjoint(ours: Interval, theirs: Interval) -> str:
    """Ours is above theirs and the intervals do not touch."""
    if ours.n < 2 or theirs.n < 2:
        return OPEN
    return HOLDS if ours.low > theirs.high else FAILS if ours.mean <= theirs.mean else OPEN


def control(_: Interval) -> str:
    """A number that is only there to be compared with."""
    return CONTROL


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
