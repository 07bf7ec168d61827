"""What is lost when segments are cut away: untrained, trained, and in real bytes."""

from __future__ import annotations

from cpart_core.study.design import Design
from cpart_core.study.interval import CHANGE, REAL, interval
from cpart_core.study.targets.against import (
    PERCENT,
    control,
    own,
    untestable,
    weighed,
)
from cpart_core.study.verdict import (
    Judgement,
    less_is_better,
)
from cpart_core.wording.percent import percent

HALF = 0.5
"""Of what a partition by chance loses."""
SMALL = 0.01
"""Share of the loss."""
SAVED = -0.2
"""Share of the bytes."""


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
        outcome.word("resident_context")
        for outcome in design.study.outcomes
        if outcome.arm == design.arm
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
