"""The training loop: `for record in Trainer(settings, corpus)`. Between two records the model is the caller's: probe, save, stop.

Knows nothing of folders, screens or processes. The same settings and corpus give the same records; what `state_tensors` and
`state_numbers` hold is all that is needed to go on as if it had never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import psutil
import torch
from torch import Tensor

from cpart_core.config import Settings
from cpart_core.corpus.batches import Batch, TrainingBatches, validation_rows
from cpart_core.corpus.document import Corpus
from cpart_core.model.decoder import Decoder
from cpart_core.partition.methods import METHODS, make_partition
from cpart_core.partition.partition import Partition, churn
from cpart_core.partition.permute import apply_partition, partition_of
from cpart_core.partition.signatures import SignatureSums
from cpart_core.training.device import autocast, choose_device, choose_precision, set_threads
from cpart_core.training.discovery import discover, document_heads, sample_documents, with_contexts
from cpart_core.training.look import Look, look
from cpart_core.training.losses import affinity_loss, affinity_targets, balance_loss, mean_by_group, token_losses
from cpart_core.training.optimizer import learning_rate, make_optimizer
from cpart_core.training.records import Discovery, Evaluation, PartitionChange, Record, Snapshot
from cpart_core.training.repartition import (
    as_evidence,
    is_frozen,
    measure_activations,
    measure_documents,
    partition_due,
    weights_by_neuron,
)

BALANCE_MEMORY = 0.99
"""Share of the running load kept at each step when balance is global."""


class NonFiniteLoss(RuntimeError):
    """The loss or its gradient is no longer a number. The model still holds the weights of the last good step."""

    def __init__(self, step: int, what: str) -> None:
        self.step = step
        super().__init__(
            f"The {what} became infinite or not a number at step {step}, so training ended before it could spoil the weights. "
            f"A lower learning_rate, more warmup_steps or a smaller gradient_clip usually helps."
        )


class Trainer:
    """Owns the model, its optimizer and its signatures. Raises ValueError for settings that do not fit the machine or the corpus."""

    def __init__(self, settings: Settings, corpus: Corpus) -> None:
        self.settings = settings.check()
        self.corpus = corpus
        self.threads = set_threads(settings.training)
        self.device = choose_device(settings.training)
        self.precision = choose_precision(settings.training, settings.model.width, self.device)
        self.model = Decoder(settings.model, corpus.vocabulary_size, settings.training.seed).to(self.device)
        self.model.set_fused(False)
        self.optimizer = make_optimizer(self.model, settings.training)
        self.step = 0
        self.tokens = 0
        L, N, C = settings.model.num_layers, settings.model.num_neurons, len(corpus.contexts)
        self.signatures = SignatureSums(L, N, C, settings.partition.signature_decay, self.device)
        self.load = torch.full((L, settings.model.num_segments), 1.0 / settings.model.num_segments, device=self.device)
        self.targets: Tensor | None = None
        self.process = psutil.Process()
        self.take_corpus(corpus)

    @property
    def contexts(self) -> tuple[str, ...]:
        return self.corpus.contexts

    def take_corpus(self, corpus: Corpus) -> None:
        """Use this corpus's labels from now on; its text must be the same."""
        model, training = self.settings.model, self.settings.training
        self.corpus = corpus
        balanced, length, seed = not corpus.discovered, model.context_length, training.seed
        self.batches = TrainingBatches(corpus.train, len(corpus.contexts), training.batch_size, length, seed, balanced)
        self.validation = validation_rows(corpus.validation, len(corpus.contexts), length, training.evaluation_rows, seed, balanced)

    def __iter__(self) -> Iterator[Record]:
        while self.step < self.settings.training.steps:
            yield self.train_step()

    def train_step(self) -> Record:
        """One optimizer step, then whatever is due after it: repartition, validation, snapshot."""
        began = time.perf_counter()
        batch = self.batches.batch(self.step)
        ids, start, context = self.on_device(batch)
        rate = learning_rate(self.step, self.settings.training)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses, affinity, balance, norm = self.descend(ids, start, context)
        self.step += 1
        self.tokens += losses.numel()
        by_context, _ = mean_by_group(losses, context, len(self.contexts))
        discovery, change = self.repartition() if partition_due(self.step, self.settings.partition) else (None, None)
        if self.step == self.settings.partition.fusion_step:
            self.model.set_fused(True)
        evaluation, snapshot = self.look_if_due(change is not None)
        return Record(
            step=self.step,
            tokens=self.tokens,
            loss=float(losses.mean()),
            loss_by_context=by_context.cpu().numpy(),
            affinity_loss=affinity,
            balance_loss=balance,
            gradient_norm=norm,
            learning_rate=rate,
            seconds=time.perf_counter() - began,
            memory_bytes=self.memory_bytes(),
            evaluation=evaluation,
            change=change,
            snapshot=snapshot,
            discovery=discovery,
        )

    def descend(self, ids: Tensor, start: Tensor, context: Tensor) -> tuple[Tensor, float, float, float]:
        """Forward, backward, clip, step. Returns (token losses [B, T], affinity loss, balance loss, gradient norm before clipping)."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        if self.signature_due():
            with self.signatures.measure(self.model, context):
                losses, total, affinity, balance = self.forward(ids, start, context)
                total.backward()
        else:
            losses, total, affinity, balance = self.forward(ids, start, context)
            total.backward()
        clip = self.settings.training.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip or float("inf"))
        if not torch.isfinite(total.detach()):
            raise NonFiniteLoss(self.step + 1, "loss")
        if not torch.isfinite(norm):
            raise NonFiniteLoss(self.step + 1, "gradient")
        self.optimizer.step()
        return losses, affinity, balance, float(norm)

    def forward(self, ids: Tensor, start: Tensor, context: Tensor) -> tuple[Tensor, Tensor, float, float]:
        """(token losses, total loss with its pulls, affinity loss, balance loss)."""
        with autocast(self.device, self.precision):
            logits = self.model(ids[:, :-1], start, context_BT=context)
        losses = token_losses(logits, ids[:, 1:])
        total = losses.mean()
        affinity = balance = 0.0
        alphas = [layer.last_alpha for layer in self.model.feedforwards() if layer.last_alpha is not None]
        settings = self.settings.partition
        if self.targets is not None and settings.affinity_weight and self.learns_fusion:
            pull = affinity_loss(alphas, self.targets, context)
            total, affinity = total + settings.affinity_weight * pull, float(pull.detach())
        if settings.balance != "off" and self.learns_fusion and self.step >= settings.fusion_step:
            push = balance_loss(alphas, self.measured_load())
            total, balance = total + settings.balance_weight * push, float(push.detach())
        return losses.detach(), total, affinity, balance

    @property
    def learns_fusion(self) -> bool:
        return self.settings.model.fusion == "attention" and self.settings.model.execution != "dense"

    def measured_load(self) -> Tensor:
        """[L, S] share of the computed (token, segment) choices; of this batch, or its running mean when balance is global."""
        weights = torch.stack([layer.last_weight.detach().flatten(0, 1) for layer in self.model.feedforwards()])  # type: ignore[union-attr]
        now = (weights > 0).float().mean(dim=1)
        now = now / now.sum(dim=1, keepdim=True)
        if self.settings.partition.balance == "batch":
            return now
        self.load = BALANCE_MEMORY * self.load + (1 - BALANCE_MEMORY) * now
        return self.load

    def signature_due(self) -> bool:
        """Measured all along, for the pages too; once segments are frozen a quarter as often is enough."""
        settings = self.settings.partition
        every = settings.signature_every * (4 if is_frozen(self.step, settings) else 1)
        return (self.step + 1) % every == 0

    def repartition(self) -> tuple[Discovery | None, PartitionChange | None]:
        """Discover contexts if there are none, divide the neurons anew, move rows and optimizer state."""
        began = time.perf_counter()
        first = self.step == self.settings.partition.first_step
        discovery = self.discover_contexts() if first and self.corpus.discovered else None
        method, old = METHODS[self.settings.partition.method], partition_of(self.model)
        evidence = as_evidence(method.needs, self.measured(method.needs), self.settings.model.num_layers)
        seed = self.settings.training.seed
        new = make_partition(method, evidence, old, self.settings.model.shared_neurons, first, seed)
        apply_partition(self.model, new, self.optimizer)
        self.targets = self.affinity_of(new)
        if self.settings.model.fusion == "oracle" and self.targets is not None:
            for layer, target in zip(self.model.feedforwards(), self.targets, strict=True):
                layer.fusion.take_affinity(target)  # type: ignore[operator]
        moved = np.full(len(new.segment_of), np.nan) if first else churn(new.segment_of, old.segment_of)
        frozen = is_frozen(self.step, self.settings.partition)
        return discovery, PartitionChange(moved, time.perf_counter() - began, frozen)

    def measured(self, needs: str) -> list[np.ndarray] | np.ndarray | None:
        """The evidence a method needs, one array a layer."""
        if needs == "by_context":
            return self.signatures.mean()
        if needs == "by_document":
            documents = sample_documents(self.corpus.train, 128)
            rows = document_heads(self.corpus.train, documents, self.settings.model.context_length, 16)
            return measure_documents(self.model, rows, len(documents), self.device)
        if needs == "activation":
            return measure_activations(self.model, self.batches.batch(self.step), 1024, self.device)
        return weights_by_neuron(self.model) if needs == "weight" else None

    def discover_contexts(self) -> Discovery:
        found, by_context = discover(self.model, self.corpus, self.settings.training.seed, self.device)
        self.take_corpus(with_contexts(self.corpus, found))
        self.signatures.count.fill_(1.0)
        self.signatures.total.copy_(torch.from_numpy(by_context))
        return found

    def affinity_of(self, partition: Partition) -> Tensor | None:
        """[L, C, S] what fusion weights are pulled to, or what the oracle takes them from; None when nothing asks for it."""
        pulled = self.settings.partition.affinity_weight and self.learns_fusion
        if not (pulled or self.settings.model.fusion == "oracle"):
            return None
        signature = torch.from_numpy(self.signatures.mean()).to(self.device)
        segment = torch.from_numpy(partition.segment_of.astype(np.int64)).to(self.device)
        return affinity_targets(signature, segment, partition.num_segments, self.settings.partition.affinity_sharpness)

    def look_if_due(self, changed: bool) -> tuple[Evaluation | None, Snapshot | None]:
        training, last = self.settings.training, self.step == self.settings.training.steps
        evaluate = last or self.step == 1 or self.step % training.evaluate_every == 0
        snapshot = last or changed or self.step == 1 or self.step % training.snapshot_every == 0
        if not (evaluate or snapshot):
            return None, None
        seen = self.look()
        return (seen.evaluation if evaluate else None), (self.make_snapshot(seen) if snapshot else None)

    def look(self) -> Look:
        """Validation loss and fusion weights on the run's fixed validation rows."""
        with autocast(self.device, self.precision):
            return look(self.model, self.validation, len(self.contexts), self.device)

    def evaluate(self) -> Evaluation:
        return self.look().evaluation

    def snapshot(self) -> Snapshot:
        return self.make_snapshot(self.look())

    def make_snapshot(self, seen: Look) -> Snapshot:
        signature = self.signatures.mean()
        scale = np.maximum(signature.max(axis=(1, 2)), 1e-30).astype(np.float32)
        settings = self.settings.partition
        return Snapshot(
            step=self.step,
            segment_of=partition_of(self.model).segment_of,
            signature=(signature / scale[:, None, None]).astype(np.float16),
            signature_scale=scale,
            signature_tokens=self.signatures.count.cpu().numpy(),
            fusion_mass=seen.fusion_mass,
            chosen_share=seen.chosen_share,
            fusion_tokens=seen.evaluation.tokens_by_context,
            partitioned=self.step >= settings.first_step,
            frozen=is_frozen(self.step, settings),
        )

    def on_device(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(ids [B, T+1], start [B, T], context of each predicting token [B, T])."""
        ids = torch.from_numpy(batch.ids).to(self.device, non_blocking=True)
        start = torch.from_numpy(batch.start[:, :-1].astype(np.int64)).to(self.device, non_blocking=True)
        context = torch.from_numpy(batch.context[:, :-1].astype(np.int64)).to(self.device, non_blocking=True)
        return ids, start, context

    def memory_bytes(self) -> int:
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return int(self.process.memory_info().rss)

    def state_tensors(self) -> dict[str, Tensor]:
        """Everything but the weights that later steps depend on, as tensors."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        tensors = {
            f"optimizer.{names[parameter]}.{key}": value
            for parameter, state in self.optimizer.state.items()
            for key, value in state.items()
        }
        tensors |= {"signatures.total": self.signatures.total, "signatures.count": self.signatures.count, "load": self.load}
        if self.targets is not None:
            tensors["targets"] = self.targets
        if self.corpus.discovered:
            tensors["labels.train"] = torch.from_numpy(self.corpus.train.context)
            tensors["labels.validation"] = torch.from_numpy(self.corpus.validation.context)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def state_numbers(self) -> dict[str, int | bool]:
        """The rest of the state, JSON-able. Batches and schedules are pure functions of seed and step."""
        return {"step": self.step, "tokens": self.tokens, "fused": self.model.feedforwards()[0].fused}

    def restore(self, weights: dict[str, Tensor], tensors: dict[str, Tensor], numbers: dict[str, int | bool]) -> None:
        """Go on from a stored state. Raises ValueError when it does not belong to these settings."""
        try:
            self.model.load_state_dict(weights)
            for name, parameter in self.model.named_parameters():
                prefix = f"optimizer.{name}."
                kept = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
                if kept:
                    self.optimizer.state[parameter] = {key: value.to(self.device) for key, value in kept.items()}
            self.signatures.total.copy_(tensors["signatures.total"])
            self.signatures.count.copy_(tensors["signatures.count"])
            self.load.copy_(tensors["load"])
            self.targets = tensors["targets"].to(self.device) if "targets" in tensors else None
            self.step, self.tokens = int(numbers["step"]), int(numbers["tokens"])
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"This checkpoint does not belong to the run's settings: {error}") from None
        if self.corpus.discovered and "labels.train" in tensors:
            found = Discovery(tensors["labels.train"].numpy(), tensors["labels.validation"].numpy())
            self.take_corpus(with_contexts(self.corpus, found))
        self.model.set_fused(bool(numbers["fused"]))
