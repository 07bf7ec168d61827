"""Where weights and optimizer state lie when several processes train one model: a copy in each
(DDP), or a part in each (FSDP2).

Every process has the same model and its own rows of the batch; each one's loss is its share of the
whole batch's, so that gradients add up. DDP and FSDP2 divide by the number of processes, which the
training step makes good.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cpart_core.model.decoder import Decoder
from cpart_core.model.permute import move_rows
from cpart_core.settings.run import Settings
from cpart_core.training.process_group import ProcessGroup

SMALLEST_BUCKET, LARGEST_BUCKET, BUCKETS = 0.5, 25.0, 8
"""Megabytes of gradients summed at once, and into how many such sums a small model is cut: the
first ones travel while backward goes on."""


class Whole:
    """One process: everything is where it seems to be."""

    def __init__(self, model: Decoder, group: ProcessGroup) -> None:
        self.model, self.group = model, group
        self.module: nn.Module = model
        """What the training step calls; `model` is for looking and measuring."""

    def use_fusion(self, used: bool) -> None:
        """Say whether the loss depends on the fusion's own weights from now on. All processes must
        say the same."""

    def whole(self, tensor: Tensor) -> Tensor:
        """The value of a weight or of its optimizer state, not a part of it. All processes must
        call it."""
        return tensor

    def placed(self, whole: Tensor, like: Tensor) -> Tensor:
        """A copy of `whole` where and as `like` is: a whole or this process's part."""
        return whole.to(like.device, copy=True)

    def whole_model(self) -> Decoder:
        """A model with all weights, to measure with. All processes must call it."""
        return self.model

    def move(self, tensor: Tensor, axis: int, order: Tensor) -> None:
        """Row (or column) i becomes what order[i] was. All processes must call it."""
        move_rows(tensor, axis, order)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Take these weights. RuntimeError when they do not fit."""
        self.model.load_state_dict(weights)


class Replicated(Whole):
    """DDP: gradients are summed in buckets while backward goes on; weights are the same
    everywhere."""

    def __init__(self, model: Decoder, group: ProcessGroup) -> None:
        super().__init__(model, group)
        self.used: bool | None = None

    def use_fusion(self, used: bool) -> None:
        """DDP waits for the gradient of every weight, so it must not know those that get none."""
        if used == self.used:
            return
        self.used = used
        idle = (
            []
            if used
            else [name for name, _ in self.model.named_parameters() if ".fusion." in name]
        )
        # The documented way to leave parameters out is underscored in this version;
        # find_unused_parameters would cost each step instead.
        nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
            self.model, idle
        )
        trained = (name for name, entry in self.model.named_parameters() if entry.requires_grad)
        if not set(trained) - set(idle):
            self.module = self.model  # no gradient is to be summed, which DDP refuses
            return
        megabytes = sum(p.numel() * p.element_size() for p in self.model.parameters()) / 2**20
        self.module = nn.parallel.DistributedDataParallel(
            self.model,
            forward_sync_buffers=False,  # they change at a repartition alone, everywhere alike
            gradient_as_bucket_view=True,
            bucket_cap_mb=min(LARGEST_BUCKET, max(SMALLEST_BUCKET, megabytes / BUCKETS)),
        )


class Sharded(Whole):
    """FSDP2: each process keeps a part of every weight and of its optimizer state, and gathers a
    layer when it is computed."""

    def __init__(self, model: Decoder, group: ProcessGroup, device: torch.device) -> None:
        super().__init__(model, group)
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(device.type, (group.size,))
        for layer in model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)

    def whole(self, tensor: Tensor) -> Tensor:
        part: Any = tensor
        return part.full_tensor() if hasattr(part, "full_tensor") else tensor

    def placed(self, whole: Tensor, like: Tensor) -> Tensor:
        if not hasattr(like, "placements"):
            return whole.to(like.device, copy=True)
        from torch.distributed.tensor import distribute_tensor

        part: Any = like  # every process has the whole and cuts its own part: nothing is sent
        cut = distribute_tensor(
            whole.to(like.device), part.device_mesh, part.placements, src_data_rank=None
        )
        # what was cut off keeps the memory of the whole, which here is often a file's or a
        # message's
        return cut.clone()

    def whole_model(self) -> Decoder:
        device = self.model.cos.device
        model = Decoder(self.model.settings, self.model.vocabulary_size).to(device)
        model.load_state_dict(
            {name: self.whole(tensor.detach()) for name, tensor in self.model.state_dict().items()}
        )
        model.set_fused(self.model.feedforwards()[0].fused)
        return model

    def move(self, tensor: Tensor, axis: int, order: Tensor) -> None:
        """Gathered, permuted and cut again: simple, and a repartition is rare."""
        whole = self.whole(tensor).index_select(axis, order)
        tensor.copy_(self.placed(whole, tensor))

    def load(self, weights: dict[str, Tensor]) -> None:
        mine = self.model.state_dict()
        if mine.keys() != weights.keys():
            raise RuntimeError(
                f"other tensors are wanted: {', '.join(sorted(mine.keys() ^ weights.keys()))}"
            )
        with torch.no_grad():
            for name, tensor in mine.items():
                if tensor.shape != weights[name].shape:
                    raise RuntimeError(
                        f"{name} is {tuple(weights[name].shape)}, wanted {tuple(tensor.shape)}"
                    )
                tensor.copy_(self.placed(weights[name], tensor))


def spread(model: Decoder, settings: Settings, group: ProcessGroup, device: torch.device) -> Whole:
    """The model as these processes hold it; make the optimizer afterwards. ValueError when there
    are more processes than rows."""
    rows = settings.training.batch_size
    if rows < group.size:
        raise ValueError(
            f"batch_size is {rows}, but {group.size} processes train together and each needs a row."
            " Raise it, or start fewer."
        )
    if group.alone:
        return Whole(model, group)
    return (
        Sharded(model, group, device)
        if settings.training.parallel == "fsdp"
        else Replicated(model, group)
    )
