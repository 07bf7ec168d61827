"""What is measured of one finished run of a study. Torch is loaded when it is asked for."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cpart_core.analysis.information import mutual_information
from cpart_core.analysis.requests import answer
from cpart_core.config import ModelSettings
from cpart_core.runs.folder import Run, open_run
from cpart_core.study.result import Outcome

if TYPE_CHECKING:
    from torch import Tensor

    from cpart_core.corpus.document import Corpus
    from cpart_core.training.loop import Trainer


def measure(run_id: str, arm: str) -> Outcome:
    """All measures of a finished run, from its newest checkpoint. ValueError when it is not finished or damaged."""
    run = open_run(run_id)
    state = run.state()
    if state.state != "finished":
        raise ValueError(f"Run {run_id} is {state.state} at step {state.step} of {state.steps}, so it cannot be measured.")
    step, settings = run.checkpoint_steps()[-1], run.settings
    losses, profiles = (stored(run, name, step) for name in ("losses", "profiles"))
    parameters, active = parameter_counts(settings.model, run.info.num_parameters)
    optimizer_bytes, activation_bytes = memory_of_a_step(run)
    accuracy = losses.accuracy_by_context
    from cpart_core.study.keep import keep_quarter

    kept = keep_quarter(run, step)
    return Outcome(
        arm=arm,
        seed=settings.training.seed,
        run=run.id,
        steps=step,
        loss=losses.loss,
        perplexity=math.exp(losses.loss),
        accuracy=float(np.nanmean(accuracy)),
        bits_per_byte=losses.bits_per_byte,
        tokens=int(losses.tokens_by_context.sum()),
        loss_by_context=tuple(float(loss) for loss in losses.loss_by_context),
        accuracy_by_context=tuple(float(share) for share in accuracy),
        seconds=training_seconds(run),
        parameters=parameters,
        active_parameters=active,
        optimizer_bytes=optimizer_bytes,
        activation_bytes=activation_bytes,
        peak_memory_bytes=int(run.records(max_points=settings.training.steps + 10).memory_bytes.max()),
        information_mass=information(profiles.mass),
        information_choice=information(profiles.chosen),
        keep_quarter=math.nan if kept is None else kept.cost,
        keep_quarter_random=math.nan if kept is None else kept.cost_by_chance,
        weight_bytes=math.nan if kept is None else float(kept.whole_bytes),
        carved_bytes=math.nan if kept is None else float(kept.carved_bytes),
        fingerprint=run.info.fingerprint,
        finished=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def stored(run: Run, name: str, step: int) -> Any:
    """A result of the run, computed now if it is not there yet."""
    request = {"run": run.id, "step": step}
    found = run.result(name, request)
    if found is None:
        found = answer(name, request)
        run.store_result(name, request, found)
    return found


def information(share_LCS: np.ndarray) -> float:
    """I(S;C) in bits, mean over layers, each context counted the same; 0 where all segments are used alike."""
    known = ~np.isnan(share_LCS).any(axis=(0, 2))
    share = share_LCS[:, known]
    return float(mutual_information((share / share.sum(axis=2, keepdims=True)).transpose(1, 0, 2)).mean())


def parameter_counts(model: ModelSettings, stored_parameters: int) -> tuple[int, int]:
    """(parameters, those used for one token). A dense model's fusion is not used by anything, so it does not count."""
    if model.execution == "dense":
        fusion = 0 if model.fusion in ("uniform", "oracle") else model.fusion_width * (model.width + model.num_segments)
        count = stored_parameters - model.num_layers * fusion
        return count, count
    left_out = model.num_segments - model.top_k if model.execution == "topk" else 0
    neurons = left_out * (model.num_neurons - model.shared_neurons) // model.num_segments
    return stored_parameters, stored_parameters - model.num_layers * 3 * model.width * neurons


def training_seconds(run: Run) -> float:
    """Steps at their mean time without validation, plus what partitioning took. A dense run measures signatures and is partitioned only
    to be looked at, so neither counts for it."""
    settings = run.settings
    records = run.records(max_points=settings.training.steps + 10)
    looked = set(run.evaluations().step.tolist()) | set(run.snapshot_steps())
    plain = np.array([step not in looked for step in records.step.tolist()])
    dense = settings.model.execution == "dense"
    if dense:
        plain &= records.step % settings.partition.signature_every != 0
    if not plain.any():
        return math.nan
    return float(records.seconds[plain].mean() * settings.training.steps + (0.0 if dense else run.changes().seconds.sum()))


def memory_of_a_step(run: Run) -> tuple[int, int]:
    """(bytes of the optimizer's moments, bytes kept for the backward pass of one training step) of the newest checkpoint."""
    from cpart_core.corpus.store import load_corpus
    from cpart_core.runs.checkpoint import load_latest
    from cpart_core.training.loop import Trainer

    corpus: Corpus = load_corpus(run.folder / "corpus")
    trainer = Trainer(run.settings, corpus)
    latest = load_latest(run.folder / "checkpoints", run.settings.training.steps).checkpoint
    if latest is None:
        raise ValueError(f"Run {run.id} has no checkpoint that can be used.")
    trainer.restore(latest.weights, latest.tensors, latest.numbers)
    moments = [value for state in trainer.optimizer.state.values() for value in state.values()]
    return sum(value.numel() * value.element_size() for value in moments), kept_for_backward(trainer)


def kept_for_backward(trainer: Trainer) -> int:
    """Bytes of all tensors that autograd keeps from the forward pass of a batch, weights not counted, each storage once."""
    from torch.autograd.graph import saved_tensors_hooks

    weights = {parameter.untyped_storage().data_ptr() for parameter in trainer.model.parameters()}
    kept: dict[int, int] = {}
    held: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)  # so that its address is not given to another one
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        trainer.forward(*trainer.on_device(trainer.batches.batch(0)))
    return sum(kept.values())
