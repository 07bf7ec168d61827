"""Everything but the weights that later steps depend on, as tensors and numbers that a checkpoint
stores, and back. Over several processes all of them must call these.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cpart_core.records.training import Discovery
from cpart_core.training.discovery import with_contexts
from cpart_core.training.moving import EXTRA
from cpart_core.training.state import TrainState

Numbers = dict[str, int | bool | str]
"""What is no tensor: step, tokens, fused (bool), device (its type), passes (bool: the fused CPU
kernels are used). The last two are missing in the first release's."""


OPTIMIZER = "optimizer."


def state_tensors(state: TrainState) -> dict[str, Tensor]:
    """Tensors on the CPU; whole ones, although each process may hold a part only."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in state.moving.named.items()}
    signatures = state.signatures_of_all()
    tensors = {
        f"{OPTIMIZER}{names[parameter]}.{key}": on_cpu(state.placement.whole(value))
        for parameter, moments in state.optimizer.state.items()
        for key, value in moments.items()
    }
    tensors |= {
        "signatures.total": signatures.total,
        "signatures.count": signatures.count,
        "load": state.load,
    }
    tensors |= {f"{EXTRA}{name}": value for name, value in state.moving.extra.items()}
    if state.targets is not None:
        tensors["targets"] = state.targets
    if state.corpus.discovered:
        tensors["labels.train"] = torch.from_numpy(state.corpus.train.context)
        tensors["labels.validation"] = torch.from_numpy(state.corpus.validation.context)
    return {name: on_cpu(tensor) for name, tensor in tensors.items()}


def on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def state_numbers(state: TrainState) -> Numbers:
    """JSON-able. Batches and schedules are pure functions of seed and step."""
    return {
        "step": state.step,
        "tokens": state.tokens,
        "fused": state.fused,
        "device": state.device.type,
        "passes": state.cpu_kernels,
    }


def restore_state(
    state: TrainState, weights: dict[str, Tensor], tensors: dict[str, Tensor], numbers: Numbers
) -> None:
    """Go on from what was stored. ValueError when it does not belong to the state's settings."""
    try:
        state.placement.load(weights)
        restore_optimizer(state, tensors)
        with torch.no_grad():
            for name, parameter in state.moving.extra.items():
                parameter.copy_(tensors[f"{EXTRA}{name}"])
        # Each process adds to sums of its own; what was summed before belongs to the first.
        before = 1.0 if state.group.first else 0.0
        state.signatures.total.copy_(tensors["signatures.total"]).mul_(before)
        state.signatures.count.copy_(tensors["signatures.count"]).mul_(before)
        state.load.copy_(tensors["load"])
        state.targets = tensors["targets"].to(state.device) if "targets" in tensors else None
        state.step, state.tokens = int(numbers["step"]), int(numbers["tokens"])
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"This checkpoint does not belong to the run's settings: {error}"
        ) from None
    if state.corpus.discovered and "labels.train" in tensors:
        found = Discovery(tensors["labels.train"].numpy(), tensors["labels.validation"].numpy())
        state.use_labels_of(with_contexts(state.corpus, found))
    state.set_fused(bool(numbers["fused"]))
    if state.device.type == numbers.get("device", state.device.type):
        state.cpu_kernels = state.cpu_kernels and bool(numbers.get("passes", True))


def restore_optimizer(state: TrainState, tensors: dict[str, Tensor]) -> None:
    """Moments of the parameters that have any; one that never got a gradient has none. KeyError for
    moments of what does not move."""
    stored = {
        key.removeprefix(OPTIMIZER).rpartition(".")[0]
        for key in tensors
        if key.startswith(OPTIMIZER)
    }
    if others := sorted(stored - state.moving.named.keys()):
        raise KeyError(f"it was trained for another objective, which moved {others[0]}")
    for name, parameter in state.moving.named.items():
        prefix = f"{OPTIMIZER}{name}."
        kept = {
            key.removeprefix(prefix): value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
        if kept:
            state.optimizer.state[parameter] = {
                key: (
                    state.placement.placed(value, parameter)
                    if value.shape == parameter.shape
                    else value.to(state.device)
                )
                # one order everywhere: what is gathered from all is named by its turn alone
                for key, value in sorted(kept.items())
            }
