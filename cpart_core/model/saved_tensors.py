"""What autograd keeps in memory of a forward pass until its backward pass begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


def kept_until_backward(run: Callable[[], object], without: Iterable[Tensor]) -> list[int]:
    """Bytes of each storage that `run` has autograd keep, each storage once, those of the tensors
    `without` not counted. `run` may go backward, too: what is kept after backward has begun does
    not count. Indices that a function of ours keeps by itself are not seen."""
    not_counted = {tensor.untyped_storage().data_ptr() for tensor in without}
    kept: dict[int, int] = {}
    held: list[Tensor] = []
    going_back = False

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if not going_back and storage.data_ptr() not in not_counted:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)  # so that its address is not given to another one
        return tensor

    def give(tensor: Tensor) -> Tensor:
        nonlocal going_back
        going_back = True
        return tensor

    with saved_tensors_hooks(keep, give):
        run()
    return list(kept.values())
