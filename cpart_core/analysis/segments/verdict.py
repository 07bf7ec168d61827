"""What the specialization meter found, in words and beside what others measured. Knows results, not
how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cpart_core.records.specialization import Information, SegmentUse, Specialization, Stability
from cpart_core.wording.percent import percent


@dataclass(frozen=True)
class Anchor:
    """What was published of a large mixture model, in bits, for its last layer (arXiv 2409.02060);
    `most` is H(C) there."""

    name: str
    context: float
    token: float
    context_given_token: float
    most: float
    null: float | None
    """Chance of `context_given_token`, where it was published."""

    def sentence(self) -> str:
        chance = f" (chance {self.null:g})" if self.null is not None else ""
        return (
            f"{self.name}, last layer, of {self.most} bits: I(S;C) {self.context:g}, I(S;T)"
            f" {self.token:g}, I(S;C given T) {self.context_given_token:g}{chance}"
        )


ANCHORS = (
    Anchor("OLMoE", 0.50, 1.31, 0.52, 2.32, 0.006),
    Anchor("Mixtral", 0.009, 0.53, 0.15, 2.32, None),
)


def layers_in_words(layers: Sequence[int] | np.ndarray, num_layers: int) -> str:
    """'layers 0, 1 and 3', 'all 4 layers', 'no layer'."""
    if not len(layers):
        return "no layer"
    if len(layers) == num_layers:
        return "the only layer" if num_layers == 1 else f"all {num_layers} layers"
    names = [str(layer) for layer in layers]
    return (
        f"layer {names[0]}"
        if len(names) == 1
        else f"layers {', '.join(names[:-1])} and {names[-1]}"
    )


def headline(result: Specialization) -> SegmentUse:
    """What the verdict is about: the choice where the model makes one, else the fusion mass."""
    return (
        result.choice
        if result.execution == "topk" and result.top_k < result.mass.load.shape[1]
        else result.mass
    )


def most_possible(result: Specialization, use: SegmentUse) -> float:
    """Bits that I(S;C) could be at most: H(C), or what is left to a choice that always divides a
    token over k segments, log2(S / k)."""
    per_token = result.top_k if use is result.choice else 1
    return min(result.context_entropy, float(np.log2(use.load.shape[1] / per_token)))


def verdict(result: Specialization, use: SegmentUse) -> str:
    """Two or three plain sentences, from the intervals against chance."""
    if int((result.documents_by_context > 0).sum()) < 2:
        return (
            "Only one context has validation text, so there is nothing for segments to tell apart."
        )
    num_layers = len(use.load)
    context, given = (
        np.flatnonzero(found.beyond_chance[:-1]) for found in (use.context, use.context_given_token)
    )
    if not len(context):
        return "Segments do not tell contexts apart beyond chance in any layer."
    said = (
        f"Segments tell contexts apart beyond chance in {layers_in_words(context, num_layers)}: the"
        f" mean over layers is {use.context.value[-1]:.2f} of at most"
        f" {most_possible(result, use):.2f} bits, or {use.context.above_chance[-1]:.2f} with all"
        " taken off that chance gives. "
    )
    if not len(given):
        return (
            said
            + "But once the token is known, no layer is beyond chance: segments may only follow"
            " words."
        )
    return (
        said + "It is not only the words: with the token known, they still do in"
        f" {layers_in_words(given, num_layers)}."
    )


def caveats(result: Specialization, discovered: bool, told_context: bool) -> list[str]:
    """What stands in the way of believing the verdict; a sentence each. told_context: whether
    the model's fusion is."""
    said = []
    if told_context:
        said.append(
            "The fusion of this control is told the true context: that its segments tell contexts"
            " apart is no finding."
        )
    known = result.documents_by_context[result.documents_by_context > 0]
    if len(known) and known.min() < 5:
        few = int((known < 5).sum())
        said.append(
            f"{few} of {len(known)} contexts {'has' if few == 1 else 'have'} fewer than 5"
            f" validation documents (the fewest: {known.min()}): an interval over so few documents"
            " is a rough one."
        )
    if discovered:
        said.append(
            "These contexts were found from this model's own gradients, so what segments tell of"
            " them is no independent evidence."
        )
    if result.execution == "dense":
        said.append(
            "This model is dense: it computes no fusion weights and all its segments count alike,"
            " so there is nothing to find."
        )
    elif result.execution != "topk":
        said.append(
            "This model computes all its segments; the choice is the one that the strongest"
            f" {result.top_k} would make."
        )
    return said


def against(ours: SegmentUse, theirs: SegmentUse, name: str) -> str:
    """How the mean I(S;C) over layers stands against a control's, in a sentence; both on the same
    documents, so touching says little."""
    mine, other = ours.context, theirs.context
    if mine.low[-1] > other.high[-1]:
        which = "more than"
    elif mine.high[-1] < other.low[-1]:
        which = "less than"
    else:
        which = "not to be told from"
    return (
        f"{mine.value[-1]:.2f} bits ({mine.low[-1]:.2f} to {mine.high[-1]:.2f}) are {which} the"
        f" {name}'s {other.value[-1]:.2f} ({other.low[-1]:.2f} to {other.high[-1]:.2f})"
    )


def stability_verdict(result: Stability) -> str:
    """One sentence on the agreement over seeds, from its mean against chance."""
    above = np.flatnonzero(result.agreement[:-1] > result.null_high[:-1] + 1e-6)
    num_layers = len(result.agreement) - 1
    said = f"mean correlation {result.agreement[-1]:.2f}, by chance {result.null_mean[-1]:.2f}"
    if not len(above):
        return f"Other seeds do not find the same segments beyond chance in any layer ({said})."
    return (
        "Other seeds find segments of the same contexts beyond chance in"
        f" {layers_in_words(above, num_layers)} ({said})."
    )


def measured_on(result: Specialization) -> str:
    """n and seeds, for captions."""
    return (
        f"n = {int(result.documents_by_context.sum()):,} validation documents,"
        f" {int(result.tokens_by_context.sum()):,} tokens · T: {result.token_kinds:,} tokens seen"
        f" at least {result.fewest_seen} times, {percent(result.token_share)} of the text ·"
        f" {result.shuffles} shuffles of contexts over documents, {result.token_shuffles} of"
        f" tokens, {result.resamples} draws of documents · seed {result.seed} of rows and shuffles"
    )


def rows(result: Specialization) -> list[dict[str, str | float]]:
    """One row for each layer (and their mean), way of dividing, and information: what the terminal
    and the CSV hold."""
    found: list[dict[str, str | float]] = []
    for by, use in (("fusion mass", result.mass), (f"top-{result.top_k} choice", result.choice)):
        kinds = (
            ("I(S;C)", use.context),
            ("I(S;T)", use.token),
            ("I(S;C given T)", use.context_given_token),
        )
        for name, information in kinds:
            found += [
                row_of(by, name, information, place) for place in range(len(information.value))
            ]
    return found


def row_of(by: str, name: str, found: Information, place: int) -> dict[str, str | float]:
    last = place == len(found.value) - 1
    return {
        "by": by,
        "information": name,
        "layer": "mean" if last else str(place),
        "bits": float(found.value[place]),
        "low": float(found.low[place]),
        "high": float(found.high[place]),
        "null_mean": float(found.null_mean[place]),
        "null_high": float(found.null_high[place]),
        "above_chance": float(found.above_chance[place]),
        "beyond_chance": "yes" if found.beyond_chance[place] else "no",
    }


def layer_rows(result: Specialization) -> list[dict[str, str | float]]:
    """One row a layer: how the segments of it are used, whatever they mean."""
    return [
        {
            "layer": str(layer),
            "h_segment_mass": float(result.mass.segment_entropy[layer]),
            "h_segment_choice": float(result.choice.segment_entropy[layer]),
            "h_context": result.context_entropy,
            "committee": float(result.committee[layer]),
            "dead": int(result.dead[layer].sum()),
            "ever_present": int(result.present[layer].sum()),
            "imbalance_mass": float(result.mass.imbalance[layer]),
            "imbalance_choice": float(result.choice.imbalance[layer]),
        }
        for layer in range(len(result.committee))
    ]


def stability_rows(result: Stability) -> list[dict[str, str | float]]:
    """One row a layer, and their mean."""
    names = [*(str(layer) for layer in range(len(result.agreement) - 1)), "mean"]
    columns = ("agreement", "lowest", "highest", "null_mean", "null_high")
    return [
        {"layer": name, **{column: float(getattr(result, column)[place]) for column in columns}}
        for place, name in enumerate(names)
    ]
