"""Everything but the weights that later steps depend on, as tensors, and back. Over several
processes all of them must call both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cpart_core.records.training import Discovery
from cpart_core.training.discovery import with_contexts

if TYPE_CHECKING:
    from cpart_core.training.loop import Trainer


Numbers = dict[str, int | bool | str]
"""What is no tensor: step, tokens, fused (bool), device (its type), passes (bool). The last two are
missing in the first release's."""


def state_of(trainer: Trainer) -> dict[str, Tensor]:
    """Tensors on the CPU; whole ones, although each process may hold a part only."""
    names: dict[Tensor, str] = {
        parameter: name for name, parameter in trainer.model.named_parameters()
    }
    signatures = trainer.signatures_of_all()
    tensors = {
        f"optimizer.{names[parameter]}.{key}": on_cpu(trainer.parallel.whole(value))
        for parameter, state in trainer.optimizer.state.items()
        for key, value in state.items()
    }
    tensors |= {
        "signatures.total": signatures.total,
        "signatures.count": signatures.count,
        "load": trainer.load,
    }
    if trainer.targets is not None:
        tensors["targets"] = trainer.targets
    if trainer.corpus.discovered:
        tensors["labels.train"] = torch.from_numpy(trainer.corpus.train.context)
        tensors["labels.validation"] = torch.from_numpy(trainer.corpus.validation.context)
    return {name: on_cpu(tensor) for name, tensor in tensors.items()}


def on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def take_state(
    trainer: Trainer, weights: dict[str, Tensor], tensors: dict[str, Tensor], numbers: Numbers
) -> None:
    """Go on from a stored state. Raises ValueError when it does not belong to the trainer's
    settings."""
    try:
        trainer.parallel.load(weights)
        for name, parameter in trainer.model.named_parameters():
            prefix = f"optimizer.{name}."
            kept = {
                key.removeprefix(prefix): value
                for key, value in tensors.items()
                if key.startswith(prefix)
            }
            if kept:
                trainer.optimizer.state[parameter] = {
                    key: (
                        trainer.parallel.placed(value, parameter)
                        if value.shape == parameter.shape
                        else value.to(trainer.device)
                    )
                    # one order everywhere: what is gathered from all is named by its turn alone
                    for key, value in sorted(kept.items())
                }
        # Each process adds to sums of its own; what was summed before belongs to the first.
        before = 1.0 if trainer.team.first else 0.0
        trainer.signatures.total.copy_(tensors["signatures.total"]).mul_(before)
        trainer.signatures.count.copy_(tensors["signatures.count"]).mul_(before)
        trainer.load.copy_(tensors["load"])
        trainer.targets = tensors["targets"].to(trainer.device) if "targets" in tensors else None
        trainer.step, trainer.tokens = int(numbers["step"]), int(numbers["tokens"])
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"This checkpoint does not belong to the run's settings: {error}"
        ) from None
    if trainer.corpus.discovered and "labels.train" in tensors:
        found = Discovery(tensors["labels.train"].numpy(), tensors["labels.validation"].numpy())
        trainer.take_corpus(with_contexts(trainer.corpus, found))
    trainer.set_fused(bool(numbers["fused"]))
    if trainer.device.type == numbers.get("device", trainer.device.type):
        trainer.passes = trainer.passes and bool(numbers.get("passes", True))
