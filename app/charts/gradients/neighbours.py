"""The neurons most alike in signature, by number rather than by place on a map. Pure numpy on one
snapshot."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from app.charts.segments.layer_map import strongest_context
from app.text.escape import token_label
from cpart_core.analysis.maps.neuron_map import relative_signature
from cpart_core.analysis.maps.plane import log_features
from cpart_core.records.training import Snapshot


def nearest(snapshot: Snapshot, layer: int, neuron: int, count: int) -> list[tuple[int, float]]:
    """(neuron, cosine of the two signatures as the maps see them) of the `count` most alike neurons
    of the layer, itself left out."""
    rows = log_features(relative_signature(snapshot)[layer])
    if not 0 <= neuron < len(rows):
        raise ValueError(f"Layer {layer} has the neurons 0 to {len(rows) - 1}; got {neuron}.")
    length = np.linalg.norm(rows, axis=1)
    cosine = rows @ rows[neuron] / np.maximum(length * length[neuron], 1e-12)
    cosine[neuron] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(count, len(rows) - 1)]
    return [(int(index), float(cosine[index])) for index in order]


def listed(
    snapshot: Snapshot,
    contexts: Sequence[str],
    neurons: Collection[tuple[int, int]],
    typical: Sequence[Sequence[Sequence[str]]] | None = None,
) -> pd.DataFrame:
    """One row a neuron: layer, neuron, segment, strongest context and its share of the signature,
    typical tokens where known."""
    num_layers, num_neurons = snapshot.segment_of.shape
    known = sorted(
        (layer, neuron)
        for layer, neuron in neurons
        if 0 <= layer < num_layers and 0 <= neuron < num_neurons
    )
    layer, neuron = np.array(known, dtype=np.int64).reshape(-1, 2).T
    signature = relative_signature(snapshot)[layer, neuron]
    context = strongest_context(snapshot)[layer, neuron]
    total = signature.sum(axis=1)
    strongest = (
        np.take_along_axis(signature, np.maximum(context, 0)[:, None].astype(np.int64), axis=1)[
            :, 0
        ]
        if len(known)
        else total
    )
    names = np.array([*contexts, "not measured"], dtype=object)
    table = pd.DataFrame(
        {
            "layer": layer,
            "neuron": neuron,
            "segment": [
                "shared" if number < 0 else str(number)
                for number in snapshot.segment_of[layer, neuron].tolist()
            ],
            "strongest_context": names[context],
            "share_of_signature": np.divide(
                strongest, total, out=np.zeros_like(total), where=total > 0
            ),
        }
    )
    if typical is not None:
        table["typical_tokens"] = [
            "  ".join(map(token_label, typical[row][column])) for row, column in known
        ]
    return table
