"""Carve: the smaller model that holds only some segments of each layer, and the shared one.

It gives exactly the logits of the whole model with the other segments forbidden: alpha is the
softmax over the kept keys alone, the weights keep the whole model's S (weight_scale), and top-k
chooses among what is left. Knows no files and no runs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cpart_core.model.decoder import Decoder
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.settings.model import ModelSettings


def carved_settings(settings: ModelSettings, keep: int) -> ModelSettings:
    """The settings of a model that keeps `keep` segments a layer. ValueError when that is
    impossible."""
    if not 1 <= keep <= settings.num_segments:
        raise ValueError(
            f"keep is {keep}; this model has {settings.num_segments} segments a layer, so give 1 to"
            f" {settings.num_segments}."
        )
    size = (settings.num_neurons - settings.shared_neurons) // settings.num_segments
    return replace(
        settings,
        num_segments=keep,
        num_neurons=settings.shared_neurons + keep * size,
        top_k=min(settings.top_k, keep),
        weight_scale=settings.weight_scale or settings.num_segments,
    )


def carve(model: Decoder, kept_LxK: np.ndarray) -> Decoder:
    """A model of the kept segments [L, K], each row without repeats; kept segments keep their
    order. In evaluation mode.

    Everything but the feed-forward layers is shared with `model`, not copied: train neither while
    both are used. Neurons are numbered anew, 0 to N' - 1, in the order of their old numbers
    (`kept_neurons`).
    """
    kept = checked(kept_LxK, model.settings)
    with torch.device("meta"):
        carved = Decoder(carved_settings(model.settings, kept.shape[1]), model.vocabulary_size)
    state = model.state_dict()
    for number, (layer, segments) in enumerate(zip(model.feedforwards(), kept, strict=True)):
        name = f"layers.{number}.feedforward."
        state |= {name + key: value for key, value in cut_layer(layer, segments.tolist()).items()}
    carved.load_state_dict(state, assign=True)
    carved.cos, carved.sin = model.cos, model.sin
    carved.requires_grad_(False)
    carved.set_fused(model.feedforwards()[0].fused)
    return carved.eval()


def cut_layer(layer: PartitionedFeedForward, segments: list[int]) -> dict[str, Tensor]:
    """The layer's tensors that change: rows of the shared and the kept segments, and what is
    left of the fusion."""
    rows = kept_rows(layer, segments)
    found = {
        "w_gate": layer.w_gate.detach()[rows],
        "w_up": layer.w_up.detach()[rows],
        "w_down": layer.w_down.detach()[:, rows].contiguous(),
        "neuron_id": layer.neuron_id[rows].argsort().argsort(),
    }
    fusion = layer.fusion.carved(segments)
    return found | {f"fusion.{name}": tensor for name, tensor in fusion.items()}


def kept_rows(layer: PartitionedFeedForward, segments: list[int]) -> Tensor:
    """[N'] row numbers of the shared segment and of the given ones, in the order of the segments'
    numbers."""
    segment = layer.segment_of_row()
    return torch.cat([torch.nonzero(segment == number).flatten() for number in (-1, *segments)])


def kept_neurons(model: Decoder, kept_LxK: np.ndarray) -> np.ndarray:
    """[L, N'] the old number of each neuron of the carved model, by its new number."""
    pairs = zip(model.feedforwards(), checked(kept_LxK, model.settings), strict=True)
    return np.stack(
        [
            np.sort(layer.neuron_id[kept_rows(layer, segments.tolist())].cpu().numpy())
            for layer, segments in pairs
        ]
    )


def checked(kept_LxK: np.ndarray, settings: ModelSettings) -> np.ndarray:
    """[L, K] rising in each layer, or ValueError for segments that do not exist or are named
    twice."""
    kept = np.sort(np.asarray(kept_LxK, dtype=np.int64), axis=-1)
    fits = kept.ndim == 2 and kept.shape[0] == settings.num_layers and kept.shape[1] >= 1
    if (
        not fits
        or kept.min() < 0
        or kept.max() >= settings.num_segments
        or (np.diff(kept, axis=1) == 0).any()
    ):
        raise ValueError(
            f"The segments to keep must be one list for each of the {settings.num_layers} layers,"
            f" all equally long, without repeats, of numbers 0 to {settings.num_segments - 1}."
        )
    return kept
