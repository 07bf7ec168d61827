"""The visible list of what is measured of one finished run of a study, and how each number is
called. Plain data; pages read it without torch.

Adding a measure = one line here, and where measure.py fills it: stored files, tables, pages,
verdicts and the ranges of intervals follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.study.interval import CHANGE, COSINE, POSITIVE, REAL, SHARE, Scale

SELECTIVE = 3.0
"""From this ratio on a segment counts as one context's own: own change of the loss / mean change of
the others."""


@dataclass(frozen=True)
class Measure:
    """One number of an outcome."""

    name: str
    """In stored files."""
    title: str = ""
    """In tables and on the page. Empty: only shown beside others, or what is behind one."""
    unit: str = ""
    lower_is_better: bool = True
    digits: int = 3
    scale: Scale = POSITIVE
    """What it can be: its intervals stay inside."""
    first: bool = False
    """Stored by every release. Others came later, and are NaN in a study from before."""
    whole: bool = False
    """Stored as a whole number."""
    greatest_of: str = ""
    """Not stored, but the greatest of these values by context; NaN where none is known."""


@dataclass(frozen=True)
class Row:
    """Values by context."""

    name: str
    first: bool = False


OF_THE_LOSS = "share of the loss, mean over contexts"
BITS = "bits, mean over layers"
SCORE = "0 = random text, 1 = human text"
MEASURES: tuple[Measure, ...] = (
    Measure("loss", "validation loss", "nats per token, mean over contexts", True, 4, first=True),
    Measure("perplexity", "perplexity", "exp of the loss", True, 3, first=True),
    Measure("accuracy", "accuracy", "share of next tokens that are the first choice", False, 4, SHARE, first=True),
    Measure("bits_per_byte", "bits per byte", "bits", True, 4, first=True),
    # Validation tokens behind loss and accuracy: all there are.
    Measure("tokens", first=True, whole=True),
    # Of training alone: validation, snapshots and checkpoints left out; partitioning counts where segments are used.
    Measure("seconds", "training time", "s", True, 1, first=True),
    Measure("parameters", "parameters", "numbers", True, 0, first=True, whole=True),
    Measure("active_parameters", "active parameters", "numbers used for one token", True, 0, first=True, whole=True),
    Measure("optimizer_bytes", "optimizer", "bytes", True, 0, first=True, whole=True),
    Measure("activation_bytes", "activations", "bytes kept for the backward pass of one step", True, 0, first=True, whole=True),
    Measure("peak_memory_bytes", "peak memory", "bytes, of the process on a CPU, allocated on a GPU", True, 0, first=True, whole=True),
    # I(S;C) as the specialization meter counts it (analysis/segments/specialization.py). Studies without the fields from
    # information_mass_null on have it from all validation text, each context counted the same.
    Measure("information_mass", "I(S;C) of the fusion mass", BITS, False, 3, first=True),
    # The same with the labels of documents shuffled: mean of the shuffles; then what 97.5 % of the shuffles stay below.
    Measure("information_mass_null", "I(S;C) of the fusion mass, labels shuffled", BITS, True, 3),
    Measure("information_mass_null_high"),
    Measure("information_choice", "I(S;C) of the choice", BITS, False, 3, first=True),
    Measure("information_choice_null", "I(S;C) of the choice, labels shuffled", BITS, True, 3),
    Measure("information_choice_null_high"),
    # I(S;T), over frequent tokens.
    Measure("token_mass", "I(S;T) of the fusion mass", BITS, False, 3),
    Measure("token_mass_null"),
    Measure("token_choice", "I(S;T) of the choice", BITS, False, 3),
    Measure("token_choice_null"),
    # I(S;C|T): what segments say of the context beyond the token itself.
    Measure("given_token_mass", "I(S;C|T) of the fusion mass", BITS, False, 3),
    Measure("given_token_mass_null"),
    Measure("given_token_mass_null_high"),
    Measure("given_token_choice", "I(S;C|T) of the choice", BITS, False, 3),
    Measure("given_token_choice_null", "I(S;C|T) of the choice, labels shuffled", BITS, True, 3),
    Measure("given_token_choice_null_high"),
    # Validation tokens and documents behind all I.
    Measure("meaning_tokens"),
    Measure("meaning_documents"),
    # Median over contexts of selectivity_by_context; tokens and documents of all contexts together.
    Measure("selectivity", "ablation selectivity", "own context's change / the others', median over contexts of their strongest segment", False),
    Measure("selective_share", "contexts with a selective segment", f"share with a selectivity of {SELECTIVE:g} or more", False, 3, SHARE),
    Measure("selectivity_tokens"),
    Measure("selectivity_documents"),
    Measure("keep_quarter", "cost of keeping 25 %", OF_THE_LOSS, True, 4, CHANGE, first=True),
    Measure("keep_quarter_worst", "cost of keeping 25 %, worst context", "share of the loss", True, 4, CHANGE, greatest_of="keep_by_context"),
    Measure("keep_quarter_random", "cost of keeping 25 % by chance", OF_THE_LOSS, True, 4, CHANGE, first=True),
    # Held-out tokens behind all costs, of all contexts together.
    Measure("keep_tokens"),
    # Of a dense run: partitions made of its finished weights, a quarter of the segments kept without further training. Random ones are
    # means over draws; in the last the shared segment is cocluster's, the rest divided by chance.
    Measure("cut_gradient", "untrained cut to 25 %: gradient", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_cocluster", "untrained cut to 25 %: cocluster", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_coactivation", "untrained cut to 25 %: coactivation", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_weights", "untrained cut to 25 %: weights", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_random", "untrained cut to 25 %: random", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_shared", "untrained cut to 25 %: random but for cocluster's shared segment", OF_THE_LOSS, True, 4, CHANGE),
    Measure("cut_gradient_nats", scale=REAL),
    Measure("cut_cocluster_nats", scale=REAL),
    Measure("cut_coactivation_nats", scale=REAL),
    Measure("cut_weights_nats", scale=REAL),
    Measure("cut_random_nats", scale=REAL),
    Measure("cut_shared_nats", scale=REAL),
    # Of the whole model, and carved to a quarter of its segments.
    Measure("weight_bytes", "weights", "bytes in memory", True, 0, first=True),
    Measure("carved_bytes", "weights, carved to 25 %", "bytes in memory", True, 0, first=True),
    # Growth of the resident memory from before the weights are read to after the first forward, median of some processes.
    Measure("resident_bytes", "resident memory of loading and reading", "bytes, in a fresh process", True, 0),
    Measure("resident_carved_bytes", "the same, carved to 25 %", "bytes, in a fresh process", True, 0),
    # Rise of the loss on resident_context.
    Measure("resident_cost", "cost of that carved model on its context", "share of the loss", True, 4, CHANGE),
    # NaN also where human and random text cannot be told apart. The order score is of coherence_order_share, whose random text has 1/2.
    Measure("coherence_embedding", "coherence, embedding score", SCORE, False, 3, REAL),
    Measure("coherence_order", "coherence, order score", SCORE, False, 3, REAL),
    # Mean over prompts.
    Measure("coherence_similarity", "similarity of continuation and prompt", "cosine", False, 3, COSINE),
    Measure("coherence_similarity_human", scale=COSINE),
    Measure("coherence_similarity_random", scale=COSINE),
    # Share of pairs in which the true next sentence is the likelier one to the judge, mean over prompts.
    Measure("coherence_order_share", scale=SHARE),
    Measure("coherence_order_human", scale=SHARE),
    # Held-out documents that were continued; 0 where there were too few that the judge had not been trained on.
    Measure("coherence_prompts"),
)  # fmt: skip
ROWS: tuple[Row, ...] = (
    Row("loss_by_context", first=True),
    Row("accuracy_by_context", first=True),
    # Of each context's strongest segment over all layers, cross-fitted (analysis/effects/ablation.py).
    Row("selectivity_by_context"),
    # What keep_quarter is the mean of; NaN for contexts without text.
    Row("keep_by_context"),
)
WORDS = (
    "resident_context",  # what the model was carved for that is measured in fresh processes
    "coherence_judge",  # the run that judged: dense, of another seed; empty: not measured yet
    "coherence_embedder",  # what turned texts into vectors, in words
)
MEASURE: dict[str, Measure] = {item.name: item for item in MEASURES}
SHOWN: tuple[Measure, ...] = tuple(item for item in MEASURES if item.title)
"""Those that stand in tables of their own."""


def scale_of(measure: str) -> Scale:
    """What the number of that name can be."""
    return MEASURE[measure].scale
