"""The claim of contextual coherence: better than the baseline is decided, the paper's scores are
not."""

from __future__ import annotations

from cpart_core.study.claims.arms import beside_dense, gain
from cpart_core.study.result import Study
from cpart_core.study.verdict import (
    OPEN,
    UNTESTABLE,
    Finding,
    Judgement,
    combined,
)


def coherence(study: Study) -> Judgement:
    title, claim = (
        "Contextual coherence",
        "Coherence is better than the baseline's: scores of 0.79 to 0.85 (of what, is not said).",
    )
    undefined = (
        "What can be read of the paper does not define the score, nor give it for human or for"
        " random text, so no number of ours can be laid beside 0.79 to 0.85: that cannot be tested."
    )
    ours = [
        outcome
        for outcome in study.outcomes
        if outcome.arm == study.reference and outcome["coherence_prompts"] > 0
    ]
    if not ours:
        lacks = (
            "Nor has this study measured coherence by a definition of ours: that takes a dense run"
            " of another seed as the judge."
        )
        return Judgement(title, claim, UNTESTABLE, f"{undefined} {lacks}", ())
    scores = (("coherence_embedding", "embedding score"), ("coherence_order", "order score"))
    tested = [gain(study, name, f"{label}, ours less the dense twin's") for name, label in scores]
    beside = [beside_dense(study, name, label) for name, label in scores]
    rows = {"similarity": f"similarity to the prompt, by {ours[0].word('coherence_embedder')}", "similarity_human": "the same of human text",
            "similarity_random": "the same of random text"}  # fmt: skip
    beside += [beside_dense(study, f"coherence_{name}", label) for name, label in rows.items()]
    unknown = Finding(
        "the paper's scores",
        float("nan"),
        float("nan"),
        "",
        None,
        None,
        UNTESTABLE,
        None,
        "0.79 to 0.85",
    )
    fewest = min(outcome["coherence_prompts"] for outcome in ours)
    why = (
        f"The verdict is of 'better than the baseline' alone. {undefined} Ours: 0 = random text, 1"
        f" = human text, on {fewest:.0f} or more held-out documents a run. Embedding: similarity of"
        " prompt and continuation. Order: does the judge find the true next sentence likelier than"
        " one that the same writer wrote elsewhere? The judge is the dense run of another seed."
    )
    verdict = combined([found.verdict for found in tested])
    if verdict == UNTESTABLE:
        why = (
            f"{why} Here a score is lacking: the judge cannot tell human from random text, or there"
            " is no dense twin."
        )
    elif verdict == OPEN:
        why = f"{why} An interval has zero in it: these seeds do not decide."
    return Judgement(title, claim, verdict, why, (*tested, *beside, unknown))
