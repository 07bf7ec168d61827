"""What is measured of one finished run of a study, and how each number is called. Plain data; pages
read it without torch.

Fields with a value of their own came later than the first studies: a stored study without them is
still read, and has NaN there.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from typing import Any

from cpart_core.settings.fields.setting import coerce, types_of
from cpart_core.study.interval import CHANGE, COSINE, POSITIVE, REAL, SHARE, Scale

NAN = math.nan
SELECTIVE = 3.0
"""From this ratio on a segment counts as one context's own: own change of the loss / mean change of
the others."""


@dataclass(frozen=True)
class Measure:
    """A number of an outcome, as it is shown."""

    name: str
    """Field or property of Outcome."""
    title: str
    unit: str
    lower_is_better: bool
    digits: int = 3
    scale: Scale = POSITIVE
    """What it can be: its intervals stay inside."""


OF_THE_LOSS = "share of the loss, mean over contexts"
BITS = "bits, mean over layers"
SCORE = "0 = random text, 1 = human text"
MEASURES: tuple[Measure, ...] = (
    Measure("loss", "validation loss", "nats per token, mean over contexts", True, 4),
    Measure("perplexity", "perplexity", "exp of the loss", True, 3),
    Measure("accuracy", "accuracy", "share of next tokens that are the first choice", False, 4, SHARE),
    Measure("bits_per_byte", "bits per byte", "bits", True, 4),
    Measure("seconds", "training time", "s", True, 1),
    Measure("parameters", "parameters", "numbers", True, 0),
    Measure("active_parameters", "active parameters", "numbers used for one token", True, 0),
    Measure("optimizer_bytes", "optimizer", "bytes", True, 0),
    Measure("activation_bytes", "activations", "bytes kept for the backward pass of one step", True, 0),
    Measure("peak_memory_bytes", "peak memory", "bytes, of the process on a CPU, allocated on a GPU", True, 0),
    Measure("information_mass", "I(S;C) of the fusion mass", BITS, False, 3),
    Measure("information_mass_null", "I(S;C) of the fusion mass, labels shuffled", BITS, True, 3),
    Measure("information_choice", "I(S;C) of the choice", BITS, False, 3),
    Measure("information_choice_null", "I(S;C) of the choice, labels shuffled", BITS, True, 3),
    Measure("token_mass", "I(S;T) of the fusion mass", BITS, False, 3),
    Measure("token_choice", "I(S;T) of the choice", BITS, False, 3),
    Measure("given_token_mass", "I(S;C|T) of the fusion mass", BITS, False, 3),
    Measure("given_token_choice", "I(S;C|T) of the choice", BITS, False, 3),
    Measure("given_token_choice_null", "I(S;C|T) of the choice, labels shuffled", BITS, True, 3),
    Measure("selectivity", "ablation selectivity", "own context's change / the others', median over contexts of their strongest segment", False),
    Measure("selective_share", "contexts with a selective segment", f"share with a selectivity of {SELECTIVE:g} or more", False, 3, SHARE),
    Measure("keep_quarter", "cost of keeping 25 %", OF_THE_LOSS, True, 4, CHANGE),
    Measure("keep_quarter_worst", "cost of keeping 25 %, worst context", "share of the loss", True, 4, CHANGE),
    Measure("keep_quarter_random", "cost of keeping 25 % by chance", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_gradient", "untrained cut to 25 %: gradient", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_cocluster", "untrained cut to 25 %: cocluster", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_coactivation", "untrained cut to 25 %: coactivation", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_weights", "untrained cut to 25 %: weights", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_random", "untrained cut to 25 %: random", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_shared", "untrained cut to 25 %: random but for cocluster's shared segment", OF_THE_LOSS, True, 4, CHANGE),
    Measure("weight_bytes", "weights", "bytes in memory", True, 0),
    Measure("carved_bytes", "weights, carved to 25 %", "bytes in memory", True, 0),
    Measure("resident_bytes", "resident memory of loading and reading", "bytes, in a fresh process", True, 0),
    Measure("resident_carved_bytes", "the same, carved to 25 %", "bytes, in a fresh process", True, 0),
    Measure("resident_cost", "cost of that carved model on its context", "share of the loss", True, 4, CHANGE),
    Measure("coherence_embedding", "coherence, embedding score", SCORE, False, 3, REAL),
    Measure("coherence_order", "coherence, order score", SCORE, False, 3, REAL),
    Measure("coherence_similarity", "similarity of continuation and prompt", "cosine", False, 3, COSINE),
)  # fmt: skip
"""The visible list of what is measured. Adding one: a field of Outcome, a line here, and where
measure.py fills it."""
BESIDE: dict[str, Scale] = {
    **dict.fromkeys(("coherence_similarity_human", "coherence_similarity_random"), COSINE),
    **dict.fromkeys(("coherence_order_share", "coherence_order_human"), SHARE),
    **dict.fromkeys(
        (
            f"cut_{name}_nats"
            for name in ("gradient", "cocluster", "coactivation", "weights", "random", "shared")
        ),
        REAL,
    ),
}
"""The scales of numbers that are only shown beside others; those in neither list (bits, counts) are
not below 0."""
SCALES: dict[str, Scale] = {item.name: item.scale for item in MEASURES} | BESIDE
"""What each number of an outcome can be; for every arm and page from here."""
ROUNDING = 1e-6
"""A stored number may lie so far outside its scale."""


def scale_of(measure: str) -> Scale:
    """The range of a field or property of Outcome."""
    return SCALES.get(measure, POSITIVE)


def check_ranges(outcome: Outcome) -> None:
    """ValueError for a number that cannot be: no interval could be drawn around it."""
    for name, scale in SCALES.items():
        value = float(getattr(outcome, name))
        if math.isfinite(value) and abs(value - scale.clamped(value)) > ROUNDING:
            raise ValueError(
                f"{name} of an outcome is {value:g}; it can be {scale.low:g} to {scale.high:g}."
            )


@dataclass(frozen=True)
class Outcome:
    """One finished run of a study. NaN: not measured for this run."""

    arm: str
    seed: int
    run: str
    steps: int
    loss: float
    perplexity: float
    accuracy: float
    bits_per_byte: float
    tokens: int
    """Validation tokens behind loss and accuracy: all there are."""
    loss_by_context: tuple[float, ...]
    accuracy_by_context: tuple[float, ...]
    seconds: float
    """Of training alone: validation, snapshots and checkpoints left out; partitioning counts where
    segments are used."""
    parameters: int
    active_parameters: int
    optimizer_bytes: int
    activation_bytes: int
    peak_memory_bytes: int
    information_mass: float
    """I(S;C) as the specialization meter counts it (analysis/segments/specialization.py), bits,
    mean over layers. Studies without the fields from information_mass_null on have it from all
    validation text, each context counted the same."""
    information_choice: float
    keep_quarter: float
    keep_quarter_random: float
    weight_bytes: float
    """Of the whole model in memory."""
    carved_bytes: float
    """Of the model carved to a quarter of its segments."""
    fingerprint: str
    """Of the corpus; equal for all arms of a seed."""
    finished: str
    """ISO time."""
    information_mass_null: float = NAN
    """The same with the labels of documents shuffled: mean of the shuffles."""
    information_mass_null_high: float = NAN
    """97.5 % of the shuffles gave less."""
    information_choice_null: float = NAN
    information_choice_null_high: float = NAN
    token_mass: float = NAN
    """I(S;T), over frequent tokens."""
    token_mass_null: float = NAN
    token_choice: float = NAN
    token_choice_null: float = NAN
    given_token_mass: float = NAN
    """I(S;C|T): what segments say of the context beyond the token itself."""
    given_token_mass_null: float = NAN
    given_token_mass_null_high: float = NAN
    given_token_choice: float = NAN
    given_token_choice_null: float = NAN
    given_token_choice_null_high: float = NAN
    meaning_tokens: float = NAN
    """Validation tokens behind all I."""
    meaning_documents: float = NAN
    selectivity: float = NAN
    """Median over contexts of selectivity_by_context."""
    selective_share: float = NAN
    selectivity_by_context: tuple[float, ...] = ()
    """Of each context's strongest segment over all layers, cross-fitted
    (analysis/effects/ablation.py)."""
    selectivity_tokens: float = NAN
    selectivity_documents: float = NAN
    """Validation documents behind the selectivities, of all contexts together."""
    keep_by_context: tuple[float, ...] = ()
    """What keep_quarter is the mean of; NaN for contexts without text."""
    keep_tokens: float = NAN
    """Held-out tokens behind all costs, of all contexts together."""
    cut_gradient: float = NAN
    """Of a dense run: partitions made of its finished weights, a quarter of the segments kept
    without further training."""
    cut_cocluster: float = NAN
    cut_coactivation: float = NAN
    cut_weights: float = NAN
    cut_random: float = NAN
    """Mean over draws."""
    cut_shared: float = NAN
    """The shared segment is cocluster's, the rest divided by chance; mean over draws."""
    cut_gradient_nats: float = NAN
    cut_cocluster_nats: float = NAN
    cut_coactivation_nats: float = NAN
    cut_weights_nats: float = NAN
    cut_random_nats: float = NAN
    cut_shared_nats: float = NAN
    resident_context: str = ""
    """What the model was carved for that is measured in fresh processes."""
    resident_bytes: float = NAN
    """Growth of the resident memory from before the weights are read to after the first forward;
    the median of some processes."""
    resident_carved_bytes: float = NAN
    resident_cost: float = NAN
    """Rise of the loss on resident_context, as a share."""
    coherence_embedding: float = NAN
    """Score of the similarity of prompt and continuation: 0 = as random text, 1 = as human text.
    NaN also where the two cannot be told apart."""
    coherence_order: float = NAN
    """The same of coherence_order_share, whose random text has 1/2."""
    coherence_similarity: float = NAN
    """Cosine, mean over prompts."""
    coherence_similarity_human: float = NAN
    coherence_similarity_random: float = NAN
    coherence_order_share: float = NAN
    """Share of pairs in which the true next sentence is the likelier one to the judge, mean over
    prompts."""
    coherence_order_human: float = NAN
    coherence_prompts: float = NAN
    """Held-out documents that were continued; 0 where there were too few that the judge had not
    been trained on."""
    coherence_judge: str = ""
    """The run that judged: dense, of another seed. Empty: not measured yet."""
    coherence_embedder: str = ""
    """What turned texts into vectors, in words."""

    @property
    def keep_quarter_worst(self) -> float:
        """The cost where it is greatest; NaN where none was measured."""
        known = [cost for cost in self.keep_by_context if math.isfinite(cost)]
        return max(known, default=NAN)


COHERENCE = tuple(item.name for item in fields(Outcome) if item.name.startswith("coherence_"))
"""Fields that are filled later, when other runs of the study are finished."""
BY_CONTEXT = ("loss_by_context", "accuracy_by_context", "selectivity_by_context", "keep_by_context")
"""Fields with one value for each context; empty where not measured."""


def without_nan(value: Any) -> Any:
    """JSON data with null for what is not finite."""
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def outcome_from(data: Any) -> Outcome:
    """An outcome from its JSON object, later fields left out or not; ValueError when it does not
    fit."""
    hints = types_of(Outcome)
    required = {item.name for item in fields(Outcome) if item.default is MISSING}
    if not isinstance(data, dict) or not required <= set(data) <= set(hints):
        raise ValueError("An outcome of the study lacks fields or has others than it should.")
    values: dict[str, Any] = {}
    for name, value in data.items():
        if hints[name] is float and value is None:
            value = NAN
        if hints[name] == tuple[float, ...] and isinstance(value, list):
            value = [
                NAN if entry is None else float(entry) if type(entry) is int else entry
                for entry in value
            ]
        values[name] = coerce(
            name, value, tuple[float] if hints[name] == tuple[float, ...] else hints[name]
        )
    outcome = Outcome(**values)
    check_ranges(outcome)
    return outcome


def is_complete(data: Any) -> bool:
    """Whether the JSON object of an outcome has every field there is today, coherence aside."""
    names = {item.name for item in fields(Outcome)}
    return isinstance(data, dict) and names - set(COHERENCE) <= set(data) <= names
