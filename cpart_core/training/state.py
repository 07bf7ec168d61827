"""What training knows, as data: the model and its optimizer, what was measured, the text, and how
far it is. What trains it is in the files that take it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cpart_core.corpus.batches import Batch, TrainingBatches, validation_rows
from cpart_core.corpus.document import Corpus
from cpart_core.model.decoder import Decoder
from cpart_core.model.kernels.cpu.use import pay_for
from cpart_core.model.signatures import SignatureSums
from cpart_core.settings.run import Settings
from cpart_core.training.compile_layers import compile_layers
from cpart_core.training.device import choose_device, choose_precision, set_threads
from cpart_core.training.estimate import rows_to_evaluate
from cpart_core.training.moving import Block, Moving, Part, freeze_all_but, moving_of
from cpart_core.training.optimizer import make_optimizer
from cpart_core.training.parallel import Whole, spread
from cpart_core.training.prefetch import Prefetcher
from cpart_core.training.process_group import ProcessGroup


@dataclass(frozen=True)
class Text:
    """A corpus as a run reads it. Batches are pure functions of seed and step."""

    corpus: Corpus
    batches: TrainingBatches
    prefetcher: Prefetcher
    validation: list[Batch]
    """The run's fixed validation rows."""


def text_of(corpus: Corpus, settings: Settings) -> Text:
    """The corpus as a run with these settings reads it. ValueError when there is no text to train
    on."""
    training, length = settings.training, settings.model.context_length
    balanced, seed = not corpus.discovered, training.seed
    num_contexts = len(corpus.contexts)
    batches = TrainingBatches(
        corpus.train, num_contexts, training.batch_size, length, seed, balanced
    )
    rows = rows_to_evaluate(training, num_contexts)
    validation = validation_rows(corpus.validation, num_contexts, length, rows, seed, balanced)
    return Text(corpus, batches, Prefetcher(batches), validation)


@dataclass
class TrainState:
    """One run at one step, as one of its processes holds it."""

    settings: Settings
    group: ProcessGroup
    threads: int
    device: torch.device
    precision: torch.dtype
    model: Decoder
    placement: Whole
    """Where weights and optimizer state lie: all here, or over several processes."""
    moving: Moving
    """What the optimizer was given."""
    optimizer: torch.optim.AdamW
    signatures: SignatureSums
    """Of this process's rows alone; `signatures_of_all` sums them."""
    load: Tensor
    """[L, S] running mean of the share of the choices; used where balance is global."""
    text: Text
    compiled: bool
    """Whether layers are compiled at all."""
    to_compile: bool
    """Whether the next step that may use compiled layers has to compile them first."""
    cpu_kernels: bool
    """Whether this run uses the fused CPU kernels: decided once, before its first step, so that
    none arrives later."""
    targets: Tensor | None = None
    """[L, C, S] what the affinity regulariser draws fusion weights to, or the oracle's table; None
    before the first partition, and where nothing asks for it."""
    step: int = 0
    """Steps done."""
    tokens: int = 0
    """Training tokens seen."""

    @property
    def corpus(self) -> Corpus:
        return self.text.corpus

    @property
    def contexts(self) -> tuple[str, ...]:
        return self.text.corpus.contexts

    @property
    def fused(self) -> bool:
        """Whether fusion weights are applied."""
        return self.model.feedforwards()[0].fused

    def use_labels_of(self, corpus: Corpus) -> None:
        """Read this corpus from now on; its text must be the same."""
        self.text = text_of(corpus, self.settings)

    def set_fused(self, fused: bool) -> None:
        """Apply fusion weights from now on, or not yet."""
        before = self.fused
        self.model.set_fused(fused)
        if self.fused != before:
            self.to_compile = self.compiled
        regularised = self.targets is not None and self.settings.partition.affinity_weight > 0
        self.placement.use_fusion(
            self.settings.model.execution != "dense" and (fused or regularised)
        )

    def signatures_of_all(self) -> SignatureSums:
        """The signatures over all processes; each one alone knows those of its own rows. All must
        call it."""
        if self.group.alone:
            return self.signatures
        summed = copy.copy(self.signatures)
        summed.total, summed.count = (
            self.group.sum(self.signatures.total.clone()),
            self.group.sum(self.signatures.count.clone()),
        )
        return summed

    def weights(self) -> dict[str, Tensor]:
        """The model's weights, whole. Over several processes all of them must call this."""
        if self.group.alone:
            return dict(self.model.state_dict())
        return {
            name: self.placement.whole(tensor.detach()).cpu()
            for name, tensor in self.model.state_dict().items()
        }


MakeExtra = Callable[[Decoder], Mapping[str, nn.Parameter]]


def initial_state(
    settings: Settings,
    corpus: Corpus,
    group: ProcessGroup,
    part: Part | None = None,
    make_extra: MakeExtra | None = None,
) -> TrainState:
    """A run before its first step. ValueError for settings that do not fit the machine or the
    corpus.

    part: what moves of the model, None = all of it. make_extra: parameters that move beside it.
    """
    model_settings, training = settings.model, settings.training
    threads = set_threads(training, group)
    device = choose_device(training, group)
    precision = choose_precision(training, model_settings.width, device)
    model = Decoder(model_settings, corpus.vocabulary_size, training.seed).to(device)
    extra = {} if make_extra is None else make_extra(model)
    blocks = None if part is None else part.blocks(model)
    if training.parallel == "fsdp" and not group.alone:
        refuse_under_fsdp(blocks, extra)
    if blocks is not None:
        freeze_all_but(model, blocks)
    compiled = compile_layers(model, training, device, group)
    placement = spread(model, settings, group, device)
    moving = moving_of(model, blocks, extra)
    L, N, S = model_settings.num_layers, model_settings.num_neurons, model_settings.num_segments
    decay = settings.partition.signature_decay
    rows = training.batch_size // group.size
    numbers_of_a_layer = rows * model_settings.context_length * model_settings.width
    state = TrainState(
        settings=settings,
        group=group,
        threads=threads,
        device=device,
        precision=precision,
        model=model,
        placement=placement,
        moving=moving,
        optimizer=make_optimizer(moving.named, training),
        signatures=SignatureSums(L, N, len(corpus.contexts), decay, device),
        load=torch.full((L, S), 1.0 / S, device=device),
        text=text_of(corpus, settings),
        compiled=compiled,
        to_compile=compiled,
        cpu_kernels=pay_for(device, numbers_of_a_layer),
    )
    state.set_fused(False)
    return state


def refuse_under_fsdp(blocks: Sequence[Block] | None, extra: Mapping[str, nn.Parameter]) -> None:
    """ValueError for what cannot be clipped and stored as one where FSDP2 cuts every matrix of the
    model over the processes."""
    cut = [block.name for block in blocks or () if block.end is not None]
    if cut:
        raise ValueError(
            "parallel is fsdp, which cuts every matrix over the processes; of a matrix a block"
            f" alone ({cut[0]}) can be trained with ddp."
        )
    if extra and (blocks is None or len(blocks)):
        raise ValueError(
            f"parallel is fsdp, with which {', '.join(extra)} can be trained alone; together with"
            " weights of the model, with ddp."
        )
