"""What is measured of one finished run of a study. Torch is loaded when it is asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from cpart_core.analysis.source import Source, Sources
from cpart_core.analysis.statistics.nulls import Effort
from cpart_core.model.fusion.base import Size
from cpart_core.records.specialization import SegmentUse, Specialization
from cpart_core.runs.folder import Run, open_run
from cpart_core.service.answering import stored_or_answered
from cpart_core.settings.model import ModelSettings
from cpart_core.study.measures import SELECTIVE
from cpart_core.study.outcome import NAN, Outcome

if TYPE_CHECKING:
    from cpart_core.corpus.document import Corpus
    from cpart_core.training.loop import Trainer

CHANCE = Effort(shuffles=100, token_shuffles=10, resamples=1)
"""Less than on the pages, where one run has to speak for itself: here seeds give the interval."""


def measure(run_id: str, arm: str) -> Outcome:
    """All measures of a finished run, from its newest checkpoint. ValueError when it is not
    finished or damaged."""
    run = open_run(run_id)
    state = run.state()
    if state.state != "finished":
        raise ValueError(
            f"Run {run_id} is {state.state} at step {state.step} of {state.steps}, so it cannot be"
            " measured."
        )
    step, sources = run.checkpoint_steps()[-1], Sources()
    source, corpus, trainer = sources.source(run, step), sources.corpus(run), restored(run)
    outcome = basic(run, arm, step, trainer)
    if (corpus.validation.context >= 0).any():
        outcome = with_meaning(outcome, run, source, corpus)
        outcome = with_cuts(outcome, run, source, corpus, trainer)
    return replace(outcome, finished=datetime.now().astimezone().isoformat(timespec="seconds"))


def basic(run: Run, arm: str, step: int, trainer: Trainer) -> Outcome:
    """Quality, time and memory."""
    settings = run.settings
    losses = stored_or_answered(run, "losses", {"run": run.id, "step": step})
    parameters, active = parameter_counts(settings.model, run.info.num_parameters)
    accuracy = losses.accuracy_by_context
    outcome = Outcome(arm, settings.training.seed, run.id, step, run.info.fingerprint, "")
    return outcome.with_values(
        {
            "loss": losses.loss,
            "perplexity": math.exp(losses.loss),
            "accuracy": float(np.nanmean(accuracy)),
            "bits_per_byte": losses.bits_per_byte,
            "tokens": int(losses.tokens_by_context.sum()),
            "loss_by_context": tuple(float(loss) for loss in losses.loss_by_context),
            "accuracy_by_context": tuple(float(share) for share in accuracy),
            "seconds": training_seconds(run),
            "parameters": parameters,
            "active_parameters": active,
            "optimizer_bytes": bytes_of_optimizer(trainer),
            "activation_bytes": kept_for_backward(restored(run)),
            "peak_memory_bytes": int(run.all_records().memory_bytes.max()),
        }
    )


def with_meaning(outcome: Outcome, run: Run, source: Source, corpus: Corpus) -> Outcome:
    """What segments say of contexts and tokens, and whether ablating them hurts their own context;
    all on validation text."""
    from cpart_core.analysis.segments.specialization import measure_specialization

    found: Specialization = measure_specialization(source, corpus, outcome.seed, effort=CHANCE)
    matrix = stored_or_answered(run, "ablation_matrix", {"run": run.id, "step": source.step})
    selectivity = matrix.strongest_selectivity
    known = selectivity[np.isfinite(selectivity)]
    return outcome.with_values(
        {
            **information_of("mass", found.mass),
            **information_of("choice", found.choice),
            "meaning_tokens": float(found.tokens_by_context.sum()),
            "meaning_documents": float(found.documents_by_context.sum()),
            "selectivity": float(np.median(known)) if len(known) else NAN,
            "selective_share": float((known >= SELECTIVE).mean()) if len(known) else NAN,
            "selectivity_by_context": tuple(selectivity.tolist()),
            "selectivity_tokens": float(matrix.tokens_by_context.sum()),
            "selectivity_documents": float(matrix.documents_by_context.sum()),
        }
    )


def information_of(kind: str, use: SegmentUse) -> dict[str, float]:
    """The informations of the fusion mass or of the choice, mean over layers, with their chance."""
    about = {"information": use.context, "token": use.token, "given_token": use.context_given_token}
    numbers: dict[str, float] = {}
    for name, found in about.items():
        numbers[f"{name}_{kind}"] = float(found.value[-1])
        numbers[f"{name}_{kind}_null"] = float(found.null_mean[-1])
        if name != "token":  # of chance only its mean is told
            numbers[f"{name}_{kind}_null_high"] = float(found.null_high[-1])
    return numbers


def with_cuts(
    outcome: Outcome, run: Run, source: Source, corpus: Corpus, trainer: Trainer
) -> Outcome:
    """What a quarter of the segments is worth; of dense runs also under other partitions; and a
    carved model's real memory."""
    from cpart_core.study.cuts import Cut, untrained_cuts
    from cpart_core.study.keep_quarter import context_texts, keep_quarter
    from cpart_core.study.resident import measure_resident

    texts = context_texts(source, corpus, outcome.seed)
    kept = keep_quarter(source, len(corpus.contexts), texts, outcome.seed)
    if kept is None:
        return outcome
    first = texts[0]
    resident = measure_resident(
        run, source, kept.kept[first.request.context], first.request.context
    )
    outcome = outcome.with_values(
        {
            "keep_quarter": kept.cost,
            "keep_quarter_random": kept.cost_by_chance,
            "keep_by_context": kept.by_context,
            "keep_tokens": float(sum(entry.texts.measured.tokens for entry in texts)),
            "weight_bytes": float(kept.whole_bytes),
            "carved_bytes": float(kept.carved_bytes),
            "resident_context": first.request.context,
            "resident_bytes": float(resident.whole),
            "resident_carved_bytes": float(resident.carved),
            "resident_cost": kept.by_context[first.number],
        }
    )
    cuts = (
        untrained_cuts(trainer.state, source.model, texts)
        if run.settings.model.execution == "dense"
        else None
    )
    if cuts is None:
        return outcome
    by_name: dict[str, Cut] = cuts._asdict()
    return outcome.with_values(
        {f"cut_{name}": cut.share for name, cut in by_name.items()}
        | {f"cut_{name}_nats": cut.nats for name, cut in by_name.items()}
    )


def parameter_counts(model: ModelSettings, stored_parameters: int) -> tuple[int, int]:
    """(parameters, those used for one token). A dense model's fusion is not used by anything, so it
    does not count."""
    if model.execution == "dense":
        fusion = model.fusion.num_parameters(Size(model.num_segments, model.width))
        count = stored_parameters - model.num_layers * fusion
        return count, count
    left_out = model.num_segments - model.top_k if model.execution == "topk" else 0
    neurons = left_out * (model.num_neurons - model.shared_neurons) // model.num_segments
    return stored_parameters, stored_parameters - model.num_layers * 3 * model.width * neurons


def training_seconds(run: Run) -> float:
    """Steps at their mean time without validation, plus what partitioning took. A dense run
    measures signatures and is partitioned only to be looked at, so neither counts for it."""
    settings = run.settings
    records = run.all_records()
    looked = set(run.evaluations().step.tolist()) | set(run.snapshot_steps())
    plain = np.array([step not in looked for step in records.step.tolist()])
    dense = settings.model.execution == "dense"
    if dense:
        plain &= records.step % settings.partition.signature_every != 0
    if not plain.any():
        return math.nan
    return float(
        records.seconds[plain].mean() * settings.training.steps
        + (0.0 if dense else run.changes().seconds.sum())
    )


def restored(run: Run) -> Trainer:
    """The trainer as it was at the newest checkpoint."""
    from cpart_core.corpus.store import load_corpus
    from cpart_core.runs.checkpoint import load_latest
    from cpart_core.training.loop import Trainer

    trainer = Trainer(run.settings, load_corpus(run.folder / "corpus"))
    latest = load_latest(run.folder / "checkpoints", run.settings.training.steps).checkpoint
    if latest is None:
        raise ValueError(f"Run {run.id} has no checkpoint that can be used.")
    trainer.restore(latest.weights, latest.tensors, latest.numbers)
    return trainer


def bytes_of_optimizer(trainer: Trainer) -> int:
    """Of the optimizer's moments."""
    moments = [
        value for state in trainer.state.optimizer.state.values() for value in state.values()
    ]
    return sum(value.numel() * value.element_size() for value in moments)


def kept_for_backward(trainer: Trainer) -> int:
    """Bytes of all tensors that autograd keeps until the backward pass begins, weights not counted,
    each storage once. Trains a step."""
    from cpart_core.model.saved_tensors import kept_until_backward

    return sum(kept_until_backward(trainer.train_step, trainer.model.parameters()))
