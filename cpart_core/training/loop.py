"""The training loop: `for record in Trainer(settings, corpus)`. Between two records the model is
the caller's: probe, save, stop.

Knows nothing of folders and screens. The same settings and corpus give the same records; what
`weights`, `state_tensors` and `state_numbers` hold is all that is needed to go on as if it had
never stopped. Several processes (a `Team`) run the same code in step, each on its rows of the same
batches, and yield the same records.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

from cpart_core.corpus.batches import Batch, TrainingBatches, validation_rows
from cpart_core.corpus.document import Corpus
from cpart_core.model.decoder import Decoder
from cpart_core.model.kernels.cpu.use import pay_for, without_cpu_kernels
from cpart_core.partition.partition import Partition, churn
from cpart_core.partition.permute import apply_partition, partition_of
from cpart_core.partition.signatures import SignatureSums
from cpart_core.records.training import Discovery, Evaluation, PartitionChange, Record, Snapshot
from cpart_core.settings.run import Settings
from cpart_core.training.compile_layers import as_written, compile_layers
from cpart_core.training.device import autocast, choose_device, choose_precision, set_threads
from cpart_core.training.estimate import rows_to_evaluate
from cpart_core.training.failure import NonFiniteLoss
from cpart_core.training.losses import affinity_loss, affinity_targets, balance_loss, sum_by_group
from cpart_core.training.new_partition import divided, find_contexts
from cpart_core.training.optimizer import learning_rate, make_optimizer
from cpart_core.training.parallel import spread
from cpart_core.training.prefetch import Ahead
from cpart_core.training.process_group import ALONE, Team
from cpart_core.training.schedule import is_frozen, partition_due
from cpart_core.training.state import Numbers, state_of, take_state
from cpart_core.training.validation import Look, look

BALANCE_MEMORY = 0.99
"""Share of the running load kept at each step when balance is global."""


@dataclass(frozen=True)
class Descent:
    """What one optimizer step found, over all processes; floats but for the tensors [C] by
    context."""

    loss: float
    affinity: float
    balance: float
    norm: float
    total_by_context: Tensor
    tokens_by_context: Tensor


class Counted(NamedTuple):
    """A whole batch, of which a process may have a part: what its means are over."""

    tokens: int
    known: int
    """Tokens of known context."""


class Trainer:
    """Owns the model, its optimizer and its signatures. Raises ValueError for settings that do not
    fit the machine or the corpus."""

    def __init__(self, settings: Settings, corpus: Corpus, team: Team = ALONE) -> None:
        self.settings = settings.check()
        self.corpus = corpus
        self.team = team
        self.threads = set_threads(settings.training, team)
        self.device = choose_device(settings.training, team)
        self.precision = choose_precision(settings.training, settings.model.width, self.device)
        self.model = Decoder(settings.model, corpus.vocabulary_size, settings.training.seed).to(
            self.device
        )
        self.compiled = compile_layers(self.model, settings.training, self.device, team)
        self.to_compile = self.compiled
        """Whether the next step that may use compiled layers has to compile them first."""
        self.parallel = spread(self.model, settings, team, self.device)
        self.optimizer = make_optimizer(self.model, settings.training)
        self.step = 0
        self.tokens = 0
        L, N, C = settings.model.num_layers, settings.model.num_neurons, len(corpus.contexts)
        self.signatures = SignatureSums(L, N, C, settings.partition.signature_decay, self.device)
        self.load = torch.full(
            (L, settings.model.num_segments), 1.0 / settings.model.num_segments, device=self.device
        )
        self.targets: Tensor | None = None
        rows = settings.training.batch_size // team.size
        self.passes = pay_for(
            self.device, rows * settings.model.context_length * settings.model.width
        )
        """Whether this run uses compiled passes: decided once, before its first step, and kept in
        its state, so that none arrives later."""
        self.process = psutil.Process()
        self.take_corpus(corpus)
        self.set_fused(False)

    @property
    def contexts(self) -> tuple[str, ...]:
        return self.corpus.contexts

    def take_corpus(self, corpus: Corpus) -> None:
        """Use this corpus's labels from now on; its text must be the same."""
        model, training = self.settings.model, self.settings.training
        self.corpus = corpus
        balanced, length, seed = not corpus.discovered, model.context_length, training.seed
        self.batches = TrainingBatches(
            corpus.train, len(corpus.contexts), training.batch_size, length, seed, balanced
        )
        self.ahead = Ahead(self.batches)
        rows = rows_to_evaluate(training, len(corpus.contexts))
        self.validation = validation_rows(
            corpus.validation, len(corpus.contexts), length, rows, seed, balanced
        )

    def __iter__(self) -> Iterator[Record]:
        while self.step < self.settings.training.steps:
            yield self.train_step()

    def train_step(self) -> Record:
        """One optimizer step, then whatever is due after it: repartition, validation, snapshot."""
        with self.kind_of_passes():
            return self.next_record()

    def next_record(self) -> Record:
        """The step itself."""
        began = time.perf_counter()
        batch = self.ahead.batch(self.step, self.step + 1 < self.settings.training.steps)
        rate = learning_rate(self.step, self.settings.training)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        compiles = self.to_compile and not self.signature_due()
        done = self.descend(batch)
        seconds_to_compile = time.perf_counter() - began if compiles else 0.0
        self.to_compile = self.to_compile and not compiles
        self.step += 1
        self.tokens += batch.ids.size - len(batch.ids)
        discovery, change = (
            self.repartition()
            if partition_due(self.step, self.settings.partition)
            else (None, None)
        )
        if change is not None or self.step == self.settings.partition.fusion_step:
            self.set_fused(self.step >= self.settings.partition.fusion_step)
        evaluation, snapshot = self.look_if_due(change is not None)
        return Record(
            step=self.step,
            tokens=self.tokens,
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

    def descend(self, batch: Batch) -> Descent:
        """Forward, backward, clip, step, each process on its rows of the batch."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        ids, start, context = self.on_device(batch.rows(self.team.share(len(batch.ids))))
        counted = Counted(batch.ids.size - len(batch.ids), int((batch.context[:, :-1] >= 0).sum()))
        if self.signature_due():
            with (
                as_written(self.compiled),
                self.signatures.measure(self.model, context, counted.tokens / self.team.size),
            ):
                sums = self.there_and_back(ids, start, context, counted)
        else:
            sums = self.there_and_back(ids, start, context, counted)
        clip = self.settings.training.gradient_clip
        norm = self.parallel.whole(
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip or float("inf"))
        )
        # the one time in a step that the host waits for the device
        found = torch.cat([sums, norm.double().reshape(1)]).cpu()
        total, loss, affinity, balance = found[:4].tolist()
        if not np.isfinite(total):
            raise NonFiniteLoss(self.step + 1, "loss")
        if not torch.isfinite(found[-1]):
            raise NonFiniteLoss(self.step + 1, "gradient")
        self.optimizer.step()
        by_context, count = found[4:-1].view(2, -1)
        return Descent(loss, affinity, balance, float(found[-1]), by_context, count)

    def there_and_back(
        self, ids: Tensor, start: Tensor, context: Tensor, counted: Counted
    ) -> Tensor:
        """Forward and backward. Float64 sums over all processes: total loss with its pulls, loss,
        affinity, balance, [C] loss, [C] tokens."""
        losses, total, affinity, balance = self.forward(ids, start, context, counted)
        share = losses.numel() / counted.tokens
        by_context, count = sum_by_group(losses, context, len(self.contexts))
        few = torch.stack(
            [
                total.detach().double(),
                losses.mean().double() * share,
                affinity.double(),
                balance.double(),
            ]
        )
        sums = torch.cat([few, by_context, count.double()])
        pending = self.team.sum_later(sums)
        # DDP and FSDP2 divide gradients by the number of processes
        (total * self.team.size).backward()
        pending.wait()
        return sums

    def forward(
        self, ids: Tensor, start: Tensor, context: Tensor, counted: Counted | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(token losses [B, T], total loss with its pulls, affinity loss, balance loss); the last
        three these rows' shares of the batch's.

        counted: the batch of which these rows are a part; None = they are all of it.
        """
        counted = counted or Counted(context.numel(), int((context >= 0).sum()))
        with autocast(self.device, self.precision):
            losses = self.parallel.module(
                ids[:, :-1], start, context_BT=context, target_BT=ids[:, 1:]
            )
        total = losses.sum() / counted.tokens
        affinity = balance = total.new_zeros(())
        alphas = [
            layer.last_alpha for layer in self.model.feedforwards() if layer.last_alpha is not None
        ]
        settings = self.settings.partition
        if self.targets is not None and settings.affinity_weight and self.learns_fusion:
            affinity = affinity_loss(alphas, self.targets, context, counted.known)
            total = total + settings.affinity_weight * affinity
        if settings.balance != "off" and self.learns_fusion and self.step >= settings.fusion_step:
            balance = balance_loss(
                alphas, self.measured_load(losses.numel() / counted.tokens), counted.tokens
            )
            total = total + settings.balance_weight * balance
        return losses.detach(), total, affinity.detach(), balance.detach()

    def kind_of_passes(self) -> AbstractContextManager[object]:
        """Within it compiled passes are used where they pay, or nowhere."""
        return nullcontext() if self.passes else without_cpu_kernels()

    @property
    def learns_fusion(self) -> bool:
        return (
            self.settings.model.fusion == "attention" and self.settings.model.execution != "dense"
        )

    def set_fused(self, fused: bool) -> None:
        """Apply fusion weights from now on, or not yet."""
        was = self.model.feedforwards()[0].fused
        self.model.set_fused(fused)
        if self.model.feedforwards()[0].fused != was:
            self.to_compile = self.compiled
        pulled = self.targets is not None and self.settings.partition.affinity_weight > 0
        self.parallel.use_fusion(self.settings.model.execution != "dense" and (fused or pulled))

    def measured_load(self, share: float) -> Tensor:
        """[L, S] share of the computed (token, segment) choices; of this batch, or its running mean
        when balance is global.

        share: of the batch's tokens that this process has.
        """
        weights = torch.stack(
            [layer.last_weight.detach().flatten(0, 1) for layer in self.model.feedforwards()]  # type: ignore[union-attr]
        )
        now = self.team.sum((weights > 0).float().mean(dim=1) * share)
        now = now / now.sum(dim=1, keepdim=True)
        if self.settings.partition.balance == "batch":
            return now
        self.load = BALANCE_MEMORY * self.load + (1 - BALANCE_MEMORY) * now
        return self.load

    def signature_due(self) -> bool:
        """Measured all along, for the pages too; once segments are frozen a quarter as often is
        enough."""
        settings = self.settings.partition
        every = settings.signature_every * (4 if is_frozen(self.step, settings) else 1)
        return (self.step + 1) % every == 0

    def repartition(self) -> tuple[Discovery | None, PartitionChange | None]:
        """Discover contexts if there are none, divide the neurons anew, move rows and optimizer
        state."""
        began = time.perf_counter()
        first = self.step == self.settings.partition.first_step
        discovery = find_contexts(self) if first and self.corpus.discovered else None
        old = partition_of(self.model)
        new = divided(self, old, first)
        apply_partition(self.model, new, self.optimizer, self.parallel.move)
        self.targets = self.affinity_of(new)
        if self.settings.model.fusion == "oracle" and self.targets is not None:
            for layer, target in zip(self.model.feedforwards(), self.targets, strict=True):
                layer.fusion.take_affinity(target)
        moved = (
            np.full(len(new.segment_of), np.nan) if first else churn(new.segment_of, old.segment_of)
        )
        frozen = is_frozen(self.step, self.settings.partition)
        return discovery, PartitionChange(moved, time.perf_counter() - began, frozen)

    def signatures_of_all(self) -> SignatureSums:
        """The signatures over all processes; each one alone knows those of its own rows. All must
        call it."""
        if self.team.alone:
            return self.signatures
        summed = copy.copy(self.signatures)
        summed.total, summed.count = (
            self.team.sum(self.signatures.total.clone()),
            self.team.sum(self.signatures.count.clone()),
        )
        return summed

    def affinity_of(self, partition: Partition) -> Tensor | None:
        """[L, C, S] what fusion weights are pulled to, or what the oracle takes them from; None
        when nothing asks for it."""
        pulled = self.settings.partition.affinity_weight and self.learns_fusion
        if not (pulled or self.settings.model.fusion == "oracle"):
            return None
        signature = torch.from_numpy(self.signatures_of_all().mean()).to(self.device)
        segment = torch.from_numpy(partition.segment_of.astype(np.int64)).to(self.device)
        return affinity_targets(
            signature, segment, partition.num_segments, self.settings.partition.affinity_sharpness
        )

    def look_if_due(self, changed: bool) -> tuple[Evaluation | None, Snapshot | None]:
        training, last = self.settings.training, self.step == self.settings.training.steps
        evaluate = last or self.step == 1 or self.step % training.evaluate_every == 0
        snapshot = last or changed or self.step == 1 or self.step % training.snapshot_every == 0
        if not (evaluate or snapshot):
            return None, None
        seen = self.look()
        return (seen.evaluation if evaluate else None), (
            self.make_snapshot(seen) if snapshot else None
        )

    def look(self) -> Look:
        """Validation loss and fusion weights on the run's fixed validation rows."""
        with (
            autocast(self.device, self.precision),
            as_written(self.compiled),
            self.kind_of_passes(),
        ):
            return look(self.model, self.validation, len(self.contexts), self.device, self.team)

    def evaluate(self) -> Evaluation:
        return self.look().evaluation

    def snapshot(self) -> Snapshot:
        return self.make_snapshot(self.look())

    def make_snapshot(self, seen: Look) -> Snapshot:
        signatures = self.signatures_of_all()
        signature = signatures.mean()
        scale = np.maximum(signature.max(axis=(1, 2)), 1e-30).astype(np.float32)
        settings = self.settings.partition
        return Snapshot(
            step=self.step,
            segment_of=partition_of(self.model).segment_of,
            signature=(signature / scale[:, None, None]).astype(np.float16),
            signature_scale=scale,
            signature_tokens=signatures.count.cpu().numpy(),
            fusion_mass=seen.fusion_mass,
            chosen_share=seen.chosen_share,
            fusion_tokens=seen.evaluation.tokens_by_context,
            partitioned=self.step >= settings.first_step,
            frozen=is_frozen(self.step, settings),
        )

    def on_device(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(ids [B, T+1], start [B, T], context of each predicting token [B, T])."""
        ids = torch.from_numpy(batch.ids).to(self.device, non_blocking=True)
        start = torch.from_numpy(batch.start[:, :-1].astype(np.int64)).to(
            self.device, non_blocking=True
        )
        context = torch.from_numpy(batch.context[:, :-1].astype(np.int64)).to(
            self.device, non_blocking=True
        )
        return ids, start, context

    def memory_bytes(self) -> int:
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return int(self.process.memory_info().rss)

    def weights(self) -> dict[str, Tensor]:
        """The model's weights, whole. Over several processes all of them must call this, and
        `state_tensors`."""
        if self.team.alone:
            return dict(self.model.state_dict())
        return {
            name: self.parallel.whole(tensor.detach()).cpu()
            for name, tensor in self.model.state_dict().items()
        }

    def state_tensors(self) -> dict[str, Tensor]:
        """Everything but the weights that later steps depend on, as tensors."""
        return state_of(self)

    def state_numbers(self) -> Numbers:
        """The rest of the state, JSON-able. Batches and schedules are pure functions of seed and
        step."""
        fused = self.model.feedforwards()[0].fused
        return {
            "step": self.step,
            "tokens": self.tokens,
            "fused": fused,
            "device": self.device.type,
            "passes": self.passes,
        }

    def restore(
        self, weights: dict[str, Tensor], tensors: dict[str, Tensor], numbers: Numbers
    ) -> None:
        """Go on from a stored state. Raises ValueError when it does not belong to these
        settings."""
        take_state(self, weights, tensors, numbers)
