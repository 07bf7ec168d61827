"""Move neurons between segments: rows and columns travel with their optimizer state, so training
goes on undisturbed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from cpart_core.model.decoder import Decoder
from cpart_core.model.feedforward import PartitionedFeedForward
from cpart_core.partition.partition import Partition

NEURON_AXIS = {"w_gate": 0, "w_up": 0, "w_down": 1}


def partition_of(model: Decoder) -> Partition:
    """The partition that the model's rows are in now."""
    rows = []
    for layer in model.feedforwards():
        segment = np.empty(len(layer.neuron_id), dtype=np.int16)
        segment[layer.neuron_id.cpu().numpy()] = layer.segment_of_row().cpu().numpy()
        rows.append(segment)
    return Partition(np.stack(rows), model.settings.num_segments)


def move_rows(tensor: Tensor, axis: int, order: Tensor) -> None:
    """Row (axis 0) or column (axis 1) i becomes what order[i] was."""
    tensor.copy_(tensor.index_select(axis, order))


Move = Callable[[Tensor, int, Tensor], None]
"""As move_rows; where a tensor is spread over several processes, that is another way
(training/parallel.py)."""


def apply_partition(
    model: Decoder,
    partition: Partition,
    optimizer: torch.optim.Optimizer | None = None,
    move: Move = move_rows,
) -> None:
    """Reorder every layer's rows so that they lie in the given segments. The function of a
    uniformly fused model does not change."""
    partition.check(model.settings.shared_neurons)
    for number, layer in enumerate(model.feedforwards()):
        segment = torch.from_numpy(partition.segment_of[number].astype("int64")).to(
            layer.neuron_id.device
        )
        # Stable: neurons that stay in their segment keep their order, so an unchanged partition
        # moves nothing.
        order = segment[layer.neuron_id].argsort(stable=True)
        reorder(layer, order, optimizer, move)


def reorder(
    layer: PartitionedFeedForward,
    order: Tensor,
    optimizer: torch.optim.Optimizer | None,
    move: Move,
) -> None:
    """Row i becomes what row order[i] was, in weights and in everything the optimizer keeps of the
    same shape."""
    layer.neuron_id.copy_(layer.neuron_id[order])
    for name, axis in NEURON_AXIS.items():
        parameter: nn.Parameter = getattr(layer, name)
        kept = (
            []
            if optimizer is None
            else [
                t
                for t in optimizer.state[parameter].values()
                if torch.is_tensor(t) and t.shape == parameter.shape
            ]
        )
        for tensor in [parameter.data, *kept]:
            move(tensor, axis, order)
