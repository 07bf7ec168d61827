"""A carved run: the smaller model as a run of its own, that loads, generates, evaluates and opens
in the pages like any other.

Written whole or not at all: it is made under a hidden name and renamed when its last file is there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import torch

from cpart_core.corpus.batches import validation_rows
from cpart_core.corpus.document import Corpus
from cpart_core.corpus.store import load_corpus, save_corpus
from cpart_core.model.carve import carve, kept_neurons
from cpart_core.model.decoder import Decoder
from cpart_core.model.permute import partition_of
from cpart_core.records.training import Record, Snapshot
from cpart_core.runs.atomic import writing_folder
from cpart_core.runs.checkpoint import Checkpoint, save_checkpoint
from cpart_core.runs.checkpoint_files import CheckpointConfig
from cpart_core.runs.create import machine, versions
from cpart_core.runs.folder import Run, new_run_id, open_run, runs_root
from cpart_core.runs.info import RunInfo, clean_name, write_info
from cpart_core.runs.origin import Carved
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.settings.run import Settings
from cpart_core.training.estimate import rows_to_evaluate
from cpart_core.training.validation import Validation, validate

NOT_TRAINED = float("nan")


def carve_run(
    run: Run, step: int, model: Decoder, kept_LxK: np.ndarray, context: str, name: str = ""
) -> Run:
    """Carve the model of a checkpoint of `run` into a new run below the root of runs.

    context: what the segments were chosen for; empty = a text. ValueError for segments that do not
    exist. OSError when the disk refuses.
    """
    smaller = carve(model, kept_LxK)
    settings = settings_of(run.settings, step, smaller)
    corpus = load_corpus(run.folder / "corpus")
    seen = validated(smaller, corpus, settings)
    kept = tuple(tuple(row) for row in np.sort(np.asarray(kept_LxK), axis=1).tolist())
    info = RunInfo(
        id=new_run_id(),
        name=clean_name(name)
        or clean_name(
            f"{run.info.name} carved to {smaller.settings.num_segments} for {context or 'a text'}"
        ),
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        settings=settings,
        contexts=corpus.contexts,
        discovered=run.info.discovered,
        fingerprint=corpus.fingerprint,
        vocabulary_size=smaller.vocabulary_size,
        num_parameters=sum(parameter.numel() for parameter in smaller.parameters()),
        versions=versions(),
        machine=machine(),
        origin=Carved(run.id, step, context, kept),
    )
    record = record_of(run, step, seen, snapshot_of(run, step, model, smaller, kept_LxK, seen))
    with writing_folder(runs_root() / info.id) as draft:
        write_info(draft, info)
        save_corpus(corpus, draft / "corpus")
        save_checkpoint(draft / "checkpoints", checkpoint_of(smaller, step, corpus), keep=1)
        with RecordWriter(draft) as writer:
            writer.event("start", step=step)
            writer.append(record)
            writer.event(
                "note", f"Carved from run {run.id} at step {step}; it was not trained.", step
            )
            writer.event("finish", step=step)
    return open_run(info.id)


def checkpoint_of(smaller: Decoder, step: int, corpus: Corpus) -> Checkpoint:
    """Weights without optimizer state: a carved model is not trained on."""
    config = CheckpointConfig(
        smaller.settings, smaller.vocabulary_size, step, smaller.feedforwards()[0].fused
    )
    return Checkpoint(
        config,
        smaller.state_dict(),
        {"none": torch.zeros(1)},
        {"step": step},
        corpus.tokenizer_json,
    )


def settings_of(settings: Settings, step: int, smaller: Decoder) -> Settings:
    """The whole run's settings with the smaller model, ending at the step it was carved at."""
    training = replace(settings.training, steps=max(1, step))
    return replace(settings, model=smaller.settings, training=training).check()


def validated(model: Decoder, corpus: Corpus, settings: Settings) -> Validation:
    """Validation loss and fusion weights on the very rows that the whole run is validated on."""
    training = settings.training
    count, length = len(corpus.contexts), settings.model.context_length
    rows = validation_rows(
        corpus.validation,
        count,
        length,
        rows_to_evaluate(training, count),
        training.seed,
        not corpus.discovered,
    )
    return validate(model, rows, count, torch.device("cpu"))


def snapshot_of(
    run: Run, step: int, model: Decoder, smaller: Decoder, kept_LxK: np.ndarray, seen: Validation
) -> Snapshot:
    """What the pages show: signatures are those of the whole run's nearest snapshot, of the neurons
    that stayed; the rest is measured."""
    segment_of = partition_of(smaller).segment_of
    nearest = min(run.snapshot_steps(), key=lambda saved: abs(saved - step), default=None)
    old = None if nearest is None else run.snapshot(nearest)
    L, N = segment_of.shape
    C = seen.fusion_mass.shape[1]
    numbers = kept_neurons(model, kept_LxK)
    return Snapshot(
        step=step,
        segment_of=segment_of,
        signature=(
            np.zeros((L, N, C), np.float16)
            if old is None
            else np.take_along_axis(old.signature, numbers[:, :, None], axis=1)
        ),
        signature_scale=np.ones(L, np.float32) if old is None else old.signature_scale,
        signature_tokens=np.zeros(C) if old is None else old.signature_tokens,
        fusion_mass=seen.fusion_mass,
        chosen_share=seen.chosen_share,
        fusion_tokens=seen.evaluation.tokens_by_context,
        partitioned=True,
        frozen=True,
    )


def record_of(run: Run, step: int, seen: Validation, snapshot: Snapshot) -> Record:
    """The one record of a carved run: what was measured on it. It has no training loss, since it
    was not trained."""
    before = run.records(max_points=4, after_step=step - 1).tokens
    return Record(
        step=max(1, step),
        tokens=int(before[0]) if len(before) else 0,
        loss=NOT_TRAINED,
        loss_by_context=np.full(len(seen.evaluation.loss_by_context), np.nan),
        affinity_loss=NOT_TRAINED,
        balance_loss=NOT_TRAINED,
        gradient_norm=NOT_TRAINED,
        learning_rate=NOT_TRAINED,
        seconds=NOT_TRAINED,
        memory_bytes=0,
        evaluation=seen.evaluation,
        snapshot=snapshot,
    )
