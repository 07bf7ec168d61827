"""The measurements that partition methods ask for, of a model as it is: weights are not touched."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from cpart_core.corpus.batches import Batch
from cpart_core.corpus.tensors import of_predicting, token_tensors
from cpart_core.model.capture import capture
from cpart_core.model.decoder import Decoder
from cpart_core.model.next_token import token_losses
from cpart_core.model.signatures import SignatureSums
from cpart_core.partition.evidence import Evidence


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
        tokens, document = token_tensors(batch, device), of_predicting(batch.document, device)
        with sums.measure(model, document):
            logits = model(tokens.inputs, tokens.start, context_BT=tokens.context)
            losses = token_losses(logits, tokens.targets)
            loss = (losses * (document >= 0)).mean()  # padding has no document and no loss
            # Gradients of activations only: asking for the embedding's gradient runs the whole
            # backward pass and leaves .grad alone.
            torch.autograd.grad(loss, [model.embedding])
    return sums.mean()


def measure_activations(
    model: Decoder, batch: Batch, most_tokens: int, device: torch.device
) -> list[np.ndarray]:
    """For each layer a [N, K] of at most most_tokens tokens, rows by neuron number."""
    tokens = token_tensors(batch, device)
    with torch.no_grad(), capture(model) as layers:
        model(tokens.inputs, tokens.start, context_BT=tokens.context)
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
