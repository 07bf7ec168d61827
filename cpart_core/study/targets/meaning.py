"""What segments tell of contexts, and whether one context depends on one of them."""

from __future__ import annotations

import math

from cpart_core.study.design import Design, ceiling
from cpart_core.study.interval import REAL, interval
from cpart_core.study.measures import SELECTIVE
from cpart_core.study.targets.against import (
    BITS,
    PERCENT,
    RATIO,
    control,
    disjoint,
    own,
    untestable,
    weighed,
)
from cpart_core.study.verdict import (
    UNTESTABLE,
    Judgement,
    less_is_better,
    more_is_better,
)
from cpart_core.wording.percent import percent

TOLD = 1.5
"""Bits, of log2 20 = 4.3 that twenty contexts have."""


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
    known = min(
        sum(map(math.isfinite, outcome.row("selectivity_by_context"))) for outcome in outcomes
    )
    documents = min(outcome["selectivity_documents"] for outcome in outcomes)
    why = (
        "The segment is chosen on one half of the documents and measured on the other; over"
        f" {known} contexts with two documents or more, {documents:,.0f} documents."
    )
    return weighed(title, goal, why, found)
