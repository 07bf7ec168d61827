"""A trainer's neurons divided anew: the first process measures and decides, all do as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cpart_core.partition.methods import METHODS, make_partition
from cpart_core.partition.partition import Partition
from cpart_core.records.training import Discovery
from cpart_core.training.discovery import discover, document_heads, sample_documents, with_contexts
from cpart_core.training.schedule import (
    as_evidence,
    measure_activations,
    measure_documents,
    weights_by_neuron,
)

if TYPE_CHECKING:
    from cpart_core.training.loop import Trainer


def divided(trainer: Trainer, old: Partition, first: bool) -> Partition:
    """The new partition. The first process makes it, for the same code need not round alike on all
    machines."""
    method = METHODS[trainer.settings.partition.method]
    measured = measured_for(trainer, method.needs)
    new = old
    if trainer.team.first:
        evidence = as_evidence(method.needs, measured, trainer.settings.model.num_layers)
        new = make_partition(
            method,
            evidence,
            old,
            trainer.settings.model.shared_neurons,
            first,
            trainer.settings.training.seed,
        )
    if trainer.team.alone:
        return new
    return Partition(
        trainer.team.share_tensors({"segment_of": torch.from_numpy(new.segment_of)})[
            "segment_of"
        ].numpy(),
        new.num_segments,
    )


def measured_for(trainer: Trainer, needs: str) -> list[np.ndarray] | np.ndarray | None:
    """The evidence a method needs, one array a layer; only the first process has what is not summed
    over all."""
    if needs == "by_context":
        return trainer.signatures_of_all().mean()
    model = trainer.parallel.whole_model() if needs else trainer.model
    if not needs or not trainer.team.first:
        return None
    if needs == "by_document":
        documents = sample_documents(trainer.corpus.train, 128)
        rows = document_heads(
            trainer.corpus.train, documents, trainer.settings.model.context_length, 16
        )
        return measure_documents(model, rows, len(documents), trainer.device)
    if needs == "activation":
        return measure_activations(model, trainer.batches.batch(trainer.step), 1024, trainer.device)
    assert needs == "weight", needs
    return weights_by_neuron(model)


def find_contexts(trainer: Trainer) -> Discovery:
    """Contexts for a corpus without labels, found from gradients; the trainer goes on with them."""
    model = trainer.parallel.whole_model()
    tensors: dict[str, Tensor] = {}
    if trainer.team.first:
        discovery, by_context = discover(
            model, trainer.corpus, trainer.settings.training.seed, trainer.device
        )
        arrays = {
            "train": discovery.train_context,
            "validation": discovery.validation_context,
            "by_context": by_context,
        }
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors = trainer.team.share_tensors(tensors)
    found = Discovery(tensors["train"].numpy(), tensors["validation"].numpy())
    trainer.take_corpus(with_contexts(trainer.corpus, found))
    trainer.signatures.count.fill_(1.0 if trainer.team.first else 0.0)
    trainer.signatures.total.copy_(tensors["by_context"]).mul_(1.0 if trainer.team.first else 0.0)
    return found
