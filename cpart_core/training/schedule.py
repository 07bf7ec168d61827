"""When segments are made anew, and the measurements that the partition methods ask for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from cpart_core.corpus.batches import Batch
from cpart_core.model.capture import capture
from cpart_core.model.decoder import Decoder
from cpart_core.model.next_token import token_losses
from cpart_core.partition.evidence import Evidence
from cpart_core.partition.methods import METHODS
from cpart_core.partition.signatures import SignatureSums
from cpart_core.settings.partition import PartitionSettings


def partition_due(step: int, settings: PartitionSettings) -> bool:
    """Whether a (re)partition is made after this many steps."""
    if step < settings.first_step or step > max(settings.freeze_step, settings.first_step):
        return False
    if step == settings.first_step:
        return True
    due = settings.every > 0 and (step - settings.first_step) % settings.every == 0
    return due and METHODS[settings.method].reclusters


def is_frozen(step: int, settings: PartitionSettings) -> bool:
    """Whether no repartition comes after this many steps."""
    if step < settings.first_step:
        return False
    if settings.every == 0 or not METHODS[settings.method].reclusters:
        return True
    return (
        step + settings.every - (step - settings.first_step) % settings.every > settings.freeze_step
    )


def measure_documents(
    model: Decoder, rows: Iterable[Batch], num_documents: int, device: torch.device
) -> np.ndarray:
    """Signatures by document, [L, N, M]; NaN-free, 0 for documents of which no token was in the
    rows. Weights are not touched."""
    sums = SignatureSums(
        model.settings.num_layers,
        model.settings.num_neurons,
        num_documents,
        decay=1.0,
        device=device,
    )
    for batch in rows:
        ids = torch.from_numpy(batch.ids).to(device)
        start = torch.from_numpy(batch.start[:, :-1].astype(np.int64)).to(device)
        document = torch.from_numpy(batch.document[:, :-1].astype(np.int64)).to(device)
        context = torch.from_numpy(batch.context[:, :-1].astype(np.int64)).to(device)
        with sums.measure(model, document):
            losses = token_losses(model(ids[:, :-1], start, context_BT=context), ids[:, 1:])
            loss = (losses * (document >= 0)).mean()  # padding has no document and no loss
            # Gradients of activations only: asking for the embedding's gradient runs the whole
            # backward pass and leaves .grad alone.
            torch.autograd.grad(loss, [model.embedding])
    return sums.mean()


def measure_activations(
    model: Decoder, batch: Batch, most_tokens: int, device: torch.device
) -> list[np.ndarray]:
    """For each layer a [N, K] of at most most_tokens tokens, rows by neuron number."""
    ids = torch.from_numpy(batch.ids[:, :-1]).to(device)
    start, context = (
        torch.from_numpy(part[:, :-1].astype(np.int64)).to(device)
        for part in (batch.start, batch.context)
    )
    with torch.no_grad(), capture(model) as layers:
        model(ids, start, context_BT=context)
        result = []
        for item in layers:
            hidden = item.hidden.flatten(0, 1)
            chosen = torch.linspace(
                0, len(hidden) - 1, min(most_tokens, len(hidden)), device=device
            ).long()
            by_neuron = torch.empty_like(hidden[chosen].T)
            by_neuron[item.layer.neuron_id] = hidden[chosen].T
            result.append(by_neuron.cpu().numpy())
    return result


def weights_by_neuron(model: Decoder) -> list[np.ndarray]:
    """For each layer W_gate [N, D], rows by neuron number."""
    result = []
    for layer in model.feedforwards():
        weight = np.empty(tuple(layer.w_gate.shape), dtype=np.float32)
        weight[layer.neuron_id.cpu().numpy()] = layer.w_gate.detach().float().cpu().numpy()
        result.append(weight)
    return result


def as_evidence(
    needs: str, by_layer: Iterable[np.ndarray] | None, num_layers: int
) -> list[Evidence]:
    """One Evidence a layer with the one field that the method needs."""
    if not needs:
        return [Evidence() for _ in range(num_layers)]
    assert by_layer is not None
    return [Evidence(**{needs: layer}) for layer in by_layer]
