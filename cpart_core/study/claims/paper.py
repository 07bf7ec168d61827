"""The paper's claims beside what a study measured: each with its control, its interval and a
verdict computed from the numbers.

Contextual Partitioning (arXiv 2501.12901) gives two numbers in all ("more than 20 %" of memory,
coherence "0.79 to 0.85"), names neither model, data nor seeds in what can be read of it, and no
variance; where it says only "better", better by anything is taken as the claim.
"""

from __future__ import annotations

from collections.abc import Callable

from cpart_core.study.claims.arms import CHANCE, finding, judged
from cpart_core.study.claims.coherence import coherence
from cpart_core.study.interval import CHANGE, interval
from cpart_core.study.measures import scale_of
from cpart_core.study.result import Study
from cpart_core.study.verdict import (
    CONTROL,
    UNTESTABLE,
    Finding,
    Judgement,
    below,
    combined,
    less_is_better,
    more_is_better,
)


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
