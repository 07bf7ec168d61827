"""What a run will need, computed from its settings alone. No torch: the Train page says it before
anything is started."""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.model.fusion.base import Size
from cpart_core.settings.run import Settings
from cpart_core.settings.training import TrainingSettings

PROCESS_BYTES = 640_000_000
"""Resident memory of a trainer beside its model: Python, torch, its threads' buffers, compiled
passes, the text. Measured on CPU by training very small models (`bench estimate`, within 6 % of six
models); before its first step such a process holds 450 MB."""

MOST_ROWS = 8
"""Validation rows of a context where their number is left to be chosen."""
SHARE = 0.02
"""Of the training time that looking at validation rows may then take."""
STEP_OF_LOOK = 3
"""A trained row costs as much as this many that are only looked at: backward is twice forward."""


@dataclass(frozen=True)
class Estimate:
    num_parameters: int
    active_parameters: int
    """Used for one token once fusion is applied: top-k leaves the segments out that are not
    chosen."""
    memory_bytes: int
    """Process, weights, gradients, two optimizer moments, activations of one step. An estimate:
    real use is measured in the run."""
    flops_per_step: float
    """6 x active parameters x tokens, plus attention."""
    tokens_per_step: int
    total_tokens: int


def estimate(settings: Settings) -> Estimate:
    """vocabulary_size counts as set, although a small corpus may give a smaller vocabulary."""
    model, training = settings.model, settings.training
    parameters = count_parameters(settings)
    active_neurons = model.num_neurons
    if model.execution == "topk":
        active_neurons = (
            model.shared_neurons
            + model.top_k * (model.num_neurons - model.shared_neurons) // model.num_segments
        )
    active = parameters - model.num_layers * 3 * model.width * (model.num_neurons - active_neurons)
    tokens = training.batch_size * model.context_length
    memory = PROCESS_BYTES + weight_bytes(settings) + step_bytes(settings)
    flops = (
        6.0 * active * tokens
        + 12.0 * model.num_layers * model.width * model.context_length * tokens
    )
    return Estimate(parameters, active, memory, flops, tokens, tokens * training.steps)


def count_parameters(settings: Settings) -> int:
    model = settings.model
    head_width = model.width // model.num_heads
    attention = (
        model.num_heads + 2 * model.num_kv_heads
    ) * head_width * model.width + model.width**2
    fusion = model.fusion.num_parameters(Size(model.num_segments, model.width))
    layer = attention + 3 * model.width * model.num_neurons + fusion + 2 * model.width
    return model.num_layers * layer + settings.corpus.vocabulary_size * model.width + model.width


def weight_bytes(settings: Settings) -> int:
    """Of weights, gradients and two optimizer moments."""
    return 16 * count_parameters(settings)


def step_bytes(settings: Settings) -> int:
    """Of what a step keeps for its backward pass: per token and layer about 16 numbers of the width
    and 4 of the neurons, and three copies of the logits."""
    model = settings.model
    kept = (
        model.num_layers * (16 * model.width + 4 * model.num_neurons)
        + 3 * settings.corpus.vocabulary_size
    )
    return 4 * settings.training.batch_size * model.context_length * kept


def rows_to_evaluate(training: TrainingSettings, num_contexts: int) -> int:
    """Validation rows of each context, the same at every step of a run: as set, or as many as SHARE
    of the training time allows."""
    if training.evaluation_rows:
        return training.evaluation_rows
    looks = 1.0 / training.evaluate_every
    if training.snapshot_every % training.evaluate_every:
        # a snapshot looks too, once for both where they meet
        looks += 1.0 / training.snapshot_every
    rows = SHARE * STEP_OF_LOOK * training.batch_size / looks
    return max(1, min(MOST_ROWS, int(rows / num_contexts)))
