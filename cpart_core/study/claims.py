"""The paper's claims beside what a study measured: each with its control, its interval and a
verdict computed from the numbers.

Contextual Partitioning (arXiv 2501.12901) gives two numbers in all ("more than 20 %" of memory,
coherence "0.79 to 0.85"), names neither model, data nor seeds in what can be read of it, and no
variance; where it says only "better", better by anything is taken as the claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cpart_core.study.interval import CHANGE, Interval, interval
from cpart_core.study.outcome import scale_of
from cpart_core.study.result import Study

HOLDS, FAILS, OPEN, UNTESTABLE = "holds", "does not hold", "not decided", "cannot be tested"
CONTROL = "control"
"""A number that is only there to be compared with."""
DENSE = "dense"
"""The arm that every claim is measured against."""
CHANCE = "random"
"""The arm that says how much of an effect is the method's."""


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


def judge(study: Study) -> tuple[Judgement, ...]:
    """All claims, in the paper's order."""
    return tuple(make(study) for make in CLAIMS)


def accuracy(study: Study) -> Judgement:
    found = finding(study, "accuracy", "next-token accuracy", "share", more_is_better(0.0))
    return judged(
        "Accuracy",
        "Accuracy is better than the baseline's on all tasks, substantially so in machine"
        " translation; no number is given.",
        (found,),
        "Accuracy here is the share of held-out next tokens that are the model's first choice.",
    )


def translation(study: Study) -> Judgement:
    return Judgement(
        "Accuracy in translation",
        "Machine translation gains most.",
        UNTESTABLE,
        "The models of this study are trained on running text and cannot translate; the paper names"
        " neither languages nor test set nor score.",
        (),
    )


def perplexity(study: Study) -> Judgement:
    found = finding(study, "perplexity", "perplexity", "", less_is_better(0.0))
    return judged(
        "Perplexity",
        "Perplexity is lower than the baseline's; no number is given.",
        (found,),
        "On all held-out text.",
    )


def memory(study: Study) -> Judgement:
    findings = tuple(
        finding(study, name, label, unit, less_is_better(-0.2))
        for name, label, unit in (
            ("parameters", "parameters", "numbers"),
            ("optimizer_bytes", "optimizer", "bytes"),
            ("activation_bytes", "activations of a training step", "bytes"),
            ("active_parameters", "active parameters", "numbers"),
            ("peak_memory_bytes", "peak memory of training", "bytes"),
        )
    )
    resident = findings[:3]
    verdict = combined([found.verdict for found in resident])
    return Judgement(
        "Memory",
        "Memory use falls by more than 20 % on every task.",
        verdict,
        "Memory is resident only if it is parameters, optimizer or activations, so all three must"
        " fall by 20 % for the verdict. Active parameters (used for one token) are not memory: the"
        " others must be there too. The peak is of the whole process on a CPU, Python and its"
        " libraries included.",
        findings,
    )


def carved_memory(study: Study) -> Judgement:
    whole, carved = (
        study.mean(study.reference, "weight_bytes"),
        study.mean(study.reference, "carved_bytes"),
    )
    pairs = {
        name: study.values(study.reference, name)
        for name in ("weight_bytes", "carved_bytes", "keep_quarter")
    }
    claim = (
        "Not in the paper: what a model for one context saves when only a quarter of its segments"
        " is kept."
    )
    if not (pairs["weight_bytes"] and pairs["keep_quarter"]):
        return Judgement(
            "Memory, carved", claim, UNTESTABLE, "This study did not measure carved models.", ()
        )
    saved = interval(
        [
            pairs["carved_bytes"][seed] / pairs["weight_bytes"][seed] - 1.0
            for seed in pairs["weight_bytes"]
        ],
        CHANGE,
    )
    cost = interval(list(pairs["keep_quarter"].values()), scale_of("keep_quarter"))
    by_chance = list(study.values(study.reference, "keep_quarter_random").values())
    smaller = Finding(
        "weights in memory, carved against whole",
        carved,
        whole,
        "bytes",
        saved,
        None,
        below(saved, -0.2),
    )
    cheap = Finding(
        "loss on the context it was carved for",
        cost.mean,
        0.0,
        "share of the whole model's loss",
        cost,
        None,
        below(cost, 0.01),
    )
    chance = Finding(
        "the same with segments kept by chance",
        sum(by_chance) / len(by_chance),
        0.0,
        "share of the whole model's loss",  # fmt: skip
        interval(by_chance, scale_of("keep_quarter_random")),
        None,
        CONTROL,
    )
    verdict = combined([smaller.verdict, cheap.verdict])
    why = (
        "Holds where at least 20 % of the bytes are saved at no more than 1 % of the loss. Segments"
        " are chosen on training documents, losses are of held-out ones."
    )
    return Judgement("Memory, carved", claim, verdict, why, (smaller, cheap, chance))


def training_time(study: Study) -> Judgement:
    found = finding(study, "seconds", "training time", "s", less_is_better(0.0))
    busy = f" {study.jobs} runs were trained at once, so times are rough." if study.jobs > 1 else ""
    return judged(
        "Training time",
        "Training times are 'notably reduced' in the abstract, 'competitive' elsewhere.",
        (found,),
        f"For as many steps on the same batches; partitioning is in it, validation is not.{busy}",
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
        if outcome.arm == study.reference and outcome.coherence_prompts > 0
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
    rows = {"similarity": f"similarity to the prompt, by {ours[0].coherence_embedder}", "similarity_human": "the same of human text",
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
    fewest = min(outcome.coherence_prompts for outcome in ours)
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


def method(study: Study) -> Judgement:
    found = finding(study, "loss", "validation loss", "nats per token", less_is_better(0.0), CHANCE)
    told = finding(
        study, "information_choice", "I(S;C) of the choice", "bits", more_is_better(0.0), CHANCE
    )
    why = (
        "The control is the same model with its neurons divided by chance: what gradient clusters"
        " add to a learned fusion."
    )
    return judged(
        "Segments from gradients",
        "Parameters are grouped by gradient-driven clustering.",
        (found, told),
        why,
    )


CLAIMS: tuple[Callable[[Study], Judgement], ...] = (
    accuracy, translation, perplexity, memory, carved_memory, training_time, coherence, method
)  # fmt: skip
"""The visible list of claims. Adding one = one function and its name here."""


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


def judged(title: str, claim: str, findings: tuple[Finding, ...], why: str) -> Judgement:
    """A claim that holds when all its findings do."""
    verdict = combined([found.verdict for found in findings])
    if verdict == UNTESTABLE:
        why = f"{why} This study has no arm to compare with."
    elif verdict == OPEN:
        why = f"{why} The interval has zero or the bound in it: these seeds do not decide."
    return Judgement(title, claim, verdict, why, findings)


def combined(verdicts: list[str]) -> str:
    """The worst of several: all must hold."""
    for verdict in (UNTESTABLE, FAILS, OPEN):
        if verdict in verdicts:
            return verdict
    return HOLDS
