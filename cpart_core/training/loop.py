"""The training loop: `for record in Trainer(settings, corpus)`. Between two records the model is
the caller's: probe, save, stop.

Knows nothing of folders and screens. The same settings and corpus give the same records; what
`weights`, `state_tensors` and `state_numbers` hold is all that is needed to go on as if it had
never stopped. Several processes (a `ProcessGroup`) run the same code in step, each on its rows of
the same batches, and yield the same records.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import psutil
import torch
from torch import Tensor

from cpart_core.corpus.document import Corpus
from cpart_core.model.decoder import Decoder
from cpart_core.model.kernels.cpu.use import without_cpu_kernels
from cpart_core.model.permute import apply_partition, partition_of
from cpart_core.partition.partition import churn
from cpart_core.records.training import Discovery, Evaluation, PartitionChange, Record, Snapshot
from cpart_core.settings.run import Settings
from cpart_core.training.compile_layers import as_written
from cpart_core.training.device import autocast
from cpart_core.training.discovery import with_contexts
from cpart_core.training.new_partition import affinity_of, find_contexts, new_partition
from cpart_core.training.objective import NextToken, Objective
from cpart_core.training.optimizer import learning_rate
from cpart_core.training.optimizer_step import optimizer_step, signatures_due
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup
from cpart_core.training.schedule import (
    evaluation_due,
    is_frozen,
    partition_due,
    snapshot_due,
)
from cpart_core.training.snapshot import make_snapshot
from cpart_core.training.state import initial_state
from cpart_core.training.stored_state import Numbers, restore_state, state_numbers, state_tensors
from cpart_core.training.validation import Validation, validate


class Trainer:
    """Moves a `TrainState` step by step. Raises ValueError for settings that do not fit the machine
    or the corpus."""

    def __init__(
        self,
        settings: Settings,
        corpus: Corpus,
        group: ProcessGroup = SINGLE_PROCESS,
        objective: Objective | None = None,
    ) -> None:
        """objective: what a step minimises and moves; None = the next token's loss, all
        weights."""
        self.settings = settings.check()
        self.objective = objective or NextToken()
        self.state = initial_state(
            settings, corpus, group, self.objective.part, self.objective.extra
        )
        self.process = psutil.Process()

    @property
    def model(self) -> Decoder:
        return self.state.model

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def corpus(self) -> Corpus:
        """With the contexts that were discovered, if any."""
        return self.state.corpus

    @property
    def device(self) -> torch.device:
        return self.state.device

    def __iter__(self) -> Iterator[Record]:
        while self.state.step < self.settings.training.steps:
            yield self.train_step()

    def train_step(self) -> Record:
        """One optimizer step, then whatever is due after it: repartition, validation, snapshot."""
        with self.kernels():
            return self.next_record()

    def next_record(self) -> Record:
        """The step itself."""
        state, settings = self.state, self.settings
        began = time.perf_counter()
        more = state.step + 1 < settings.training.steps
        batch = state.text.prefetcher.batch(state.step, more)
        rate = learning_rate(state.step, settings.training)
        for parameters in state.optimizer.param_groups:
            parameters["lr"] = rate
        compiles = state.to_compile and not signatures_due(state)
        done = optimizer_step(state, self.objective, batch)
        seconds_to_compile = time.perf_counter() - began if compiles else 0.0
        state.to_compile = state.to_compile and not compiles
        state.step += 1
        state.tokens += batch.ids.size - len(batch.ids)
        discovery, change = self.repartition_if_due()
        evaluation, snapshot = self.validate_if_due(change is not None)
        return Record(
            step=state.step,
            tokens=state.tokens,
            loss=done.loss,
            loss_by_context=(done.total_by_context / done.tokens_by_context).numpy(),
            affinity_loss=done.affinity,
            balance_loss=done.balance,
            gradient_norm=done.norm,
            learning_rate=rate,
            seconds=time.perf_counter() - began,
            memory_bytes=self.memory_bytes(),
            seconds_to_compile=seconds_to_compile,
            evaluation=evaluation,
            change=change,
            snapshot=snapshot,
            discovery=discovery,
        )

    def kernels(self) -> AbstractContextManager[object]:
        """Within it the fused CPU kernels are used where they pay, or nowhere."""
        return nullcontext() if self.state.cpu_kernels else without_cpu_kernels()

    def repartition_if_due(self) -> tuple[Discovery | None, PartitionChange | None]:
        """New segments and the beginning of fusion, each at its step; neither where only a part of
        the model moves."""
        step, settings = self.state.step, self.settings.partition
        if not self.state.moving.all_of_model:
            return None, None
        discovery = change = None
        if partition_due(step, settings):
            discovery, change = self.repartition()
        if change is not None or step == settings.fusion_step:
            self.state.set_fused(step >= settings.fusion_step)
        return discovery, change

    def repartition(self) -> tuple[Discovery | None, PartitionChange]:
        """Discover contexts if there are none, then move rows and optimizer state into a new
        partition."""
        state, settings = self.state, self.settings.partition
        began = time.perf_counter()
        first = state.step == settings.first_step
        discovery = self.discover_contexts() if first and state.corpus.discovered else None
        old = partition_of(state.model)
        new = new_partition(state, old, first)
        apply_partition(state.model, new, state.optimizer, state.placement.move)
        state.targets = affinity_of(state, new)
        if self.settings.model.fusion.takes_affinities and state.targets is not None:
            for layer, target in zip(state.model.feedforwards(), state.targets, strict=True):
                layer.fusion.take_affinity(target)
        moved = (
            np.full(len(new.segment_of), np.nan) if first else churn(new.segment_of, old.segment_of)
        )
        frozen = is_frozen(state.step, settings)
        return discovery, PartitionChange(moved, time.perf_counter() - began, frozen)

    def discover_contexts(self) -> Discovery:
        """Find contexts and go on with them, and with their signatures."""
        state = self.state
        discovery, signature = find_contexts(state)
        state.use_labels_of(with_contexts(state.corpus, discovery))
        # sums are over processes, so what all know belongs to the first
        before = 1.0 if state.group.first else 0.0
        state.signatures.count.fill_(before)
        state.signatures.total.copy_(signature).mul_(before)
        return discovery

    def validate_if_due(self, changed: bool) -> tuple[Evaluation | None, Snapshot | None]:
        """One pass over the validation rows gives both."""
        evaluates = evaluation_due(self.state.step, self.settings.training)
        shows = changed or snapshot_due(self.state.step, self.settings.training)
        if not (evaluates or shows):
            return None, None
        seen = self.validate()
        return (
            seen.evaluation if evaluates else None,
            make_snapshot(self.state, seen) if shows else None,
        )

    def validate(self) -> Validation:
        """Validation loss and fusion weights on the run's fixed validation rows."""
        state = self.state
        with (
            autocast(state.device, state.precision),
            as_written(state.compiled),
            self.kernels(),
        ):
            return validate(
                state.model,
                state.text.validation,
                len(state.contexts),
                state.device,
                state.group,
            )

    def snapshot(self) -> Snapshot:
        """What the pages would show of this moment."""
        return make_snapshot(self.state, self.validate())

    def memory_bytes(self) -> int:
        """Resident memory of the process (CPU), or peak allocated memory (GPU)."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return int(self.process.memory_info().rss)

    def weights(self) -> dict[str, Tensor]:
        """The model's weights, whole. Over several processes all of them must call this, and
        `state_tensors`."""
        return self.state.weights()

    def state_tensors(self) -> dict[str, Tensor]:
        """Everything but the weights that later steps depend on, as tensors."""
        return state_tensors(self.state)

    def state_numbers(self) -> Numbers:
        """The rest of the state, JSON-able."""
        return state_numbers(self.state)

    def begin_from(self, weights: dict[str, Tensor], fused: bool) -> None:
        """Begin step 1 with another run's weights. ValueError when they do not fit.

        fused: whether fusion weights are applied. That, like the segments, stays as it is where
        only a part of the model moves.
        """
        try:
            self.state.placement.load(weights)
        except RuntimeError as error:
            raise ValueError(f"These weights do not fit the run's settings: {error}") from None
        self.state.set_fused(fused)

    def restore(
        self, weights: dict[str, Tensor], tensors: dict[str, Tensor], numbers: Numbers
    ) -> None:
        """Go on from a stored state. Raises ValueError when it does not belong to these
        settings."""
        restore_state(self.state, weights, tensors, numbers)
