"""What a repartition finds: contexts for text without labels, a partition, and the affinity of
contexts and segments. These functions measure and return; the loop applies.

The first process measures and decides, all do as it says: the same code need not round alike on all
machines.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cpart_core.partition.make import make_partition
from cpart_core.partition.partition import Partition
from cpart_core.records.training import Discovery
from cpart_core.settings.run import Settings
from cpart_core.training.discovery import discover, document_heads, sample_documents
from cpart_core.training.losses import affinity_targets
from cpart_core.training.measured_evidence import (
    as_evidence,
    measure_activations,
    measure_documents,
    weights_by_neuron,
)
from cpart_core.training.state import TrainState


class FoundContexts(NamedTuple):
    discovery: Discovery
    signature_LNC: Tensor
    """Mean signature of each neuron by found context; [L, N, C] on the CPU."""


def find_contexts(state: TrainState) -> FoundContexts:
    """Contexts for a corpus without labels, from gradients. All processes must call it."""
    model = state.placement.whole_model()
    tensors: dict[str, Tensor] = {}
    if state.group.first:
        seed = state.settings.training.seed
        discovery, by_context = discover(model, state.corpus, seed, state.device)
        arrays = {
            "train": discovery.train_context,
            "validation": discovery.validation_context,
            "by_context": by_context,
        }
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors = state.group.broadcast_tensors(tensors)
    found = Discovery(tensors["train"].numpy(), tensors["validation"].numpy())
    return FoundContexts(found, tensors["by_context"])


def new_partition(state: TrainState, old: Partition, first: bool) -> Partition:
    """The partition that the run's method makes now. All processes must call it.

    first: the old one is a mere numbering, no warm start.
    """
    settings = state.settings
    method = settings.partition.method
    measured = measured_for(state, method.needs)
    new = old
    if state.group.first:
        evidence = as_evidence(method.needs, measured, settings.model.num_layers)
        new = make_partition(
            method, evidence, old, settings.model.shared_neurons, first, settings.training.seed
        )
    if state.group.alone:
        return new
    tensors = state.group.broadcast_tensors({"segment_of": torch.from_numpy(new.segment_of)})
    return Partition(tensors["segment_of"].numpy(), new.num_segments)


def measured_for(state: TrainState, needs: str) -> list[np.ndarray] | np.ndarray | None:
    """The evidence a method needs, one array a layer; only the first process has what is not summed
    over all."""
    if needs == "by_context":
        return state.signatures_of_all().mean()
    model = state.placement.whole_model() if needs else state.model
    if not needs or not state.group.first:
        return None
    if needs == "by_document":
        train, length = state.corpus.train, state.settings.model.context_length
        documents = sample_documents(train, 128)
        rows = document_heads(train, documents, length, 16)
        return measure_documents(model, rows, len(documents), state.device)
    if needs == "activation":
        batch = state.text.batches.batch(state.step)
        return measure_activations(model, batch, 1024, state.device)
    assert needs == "weight", needs
    return weights_by_neuron(model)


def learns_fusion(settings: Settings) -> bool:
    """Whether fusion weights get a gradient."""
    return settings.model.fusion.learns and settings.model.execution != "dense"


def affinity_of(state: TrainState, partition: Partition) -> Tensor | None:
    """[L, C, S] what fusion weights are drawn to, or what the oracle takes them from; None when
    nothing asks for it. All processes must call it."""
    settings = state.settings.partition
    regularised = settings.affinity_weight and learns_fusion(state.settings)
    if not (regularised or state.settings.model.fusion.takes_affinities):
        return None
    signature = torch.from_numpy(state.signatures_of_all().mean()).to(state.device)
    segment = torch.from_numpy(partition.segment_of.astype(np.int64)).to(state.device)
    return affinity_targets(signature, segment, partition.num_segments, settings.affinity_sharpness)
