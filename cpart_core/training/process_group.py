"""The processes that train one run together, as torchrun starts them: who is who, sums over all,
words from the first to the others.

Only bytes, JSON and safetensors go between them: nothing is pickled. Torch is imported late, for a
process alone needs none of this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from cpart_core.training.background import left_at_work

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE = timedelta(minutes=5)
"""How long a process waits for another, which is hung then: one that died is noticed at once, and
while the first gathers text or looks inside, it tells the others to wait on."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one run. The first (rank 0) alone reads and writes the run folder; alone,
    every method does nothing."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Number of this process on its machine: the GPU it takes."""
    local_size: int = 1
    """Processes on this machine, which share its cores."""

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def share(self, rows: int) -> slice:
        """This process's part of `rows` rows; parts differ by one row at most."""
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def sum(self, tensor: Tensor) -> Tensor:
        """The tensor with its sum over all processes in it. All must call it."""
        self.sum_later(tensor).wait()
        return tensor

    def sum_later(self, tensor: Tensor) -> Pending:
        """The same while other work goes on: the sum is there once `wait` has returned."""
        if self.alone:
            return Pending(None)
        import torch.distributed as dist

        return Pending(dist.all_reduce(tensor, async_op=True))

    def broadcast_number(self, number: int = 0) -> int:
        """The first process's number, everywhere."""
        if self.alone:
            return number
        import torch
        import torch.distributed as dist

        word = torch.tensor([number], dtype=torch.int64)
        dist.broadcast(word, src=0)
        return int(word)

    def gather_numbers(self, numbers: list[int]) -> list[list[int]]:
        """The numbers of every process, by rank; equally many in each."""
        if self.alone:
            return [numbers]
        import torch
        import torch.distributed as dist

        gathered = [torch.empty(len(numbers), dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(gathered, torch.tensor(numbers, dtype=torch.int64))
        return [entry.tolist() for entry in gathered]

    def broadcast_bytes(self, data: bytes = b"") -> bytes:
        """The first process's bytes, everywhere."""
        if self.alone:
            return data
        import torch
        import torch.distributed as dist

        length = self.broadcast_number(len(data))
        buffer = (
            torch.frombuffer(bytearray(data), dtype=torch.uint8)
            if self.first and length
            else torch.empty(length, dtype=torch.uint8)
        )
        dist.broadcast(buffer, src=0)
        return data if self.first else buffer.numpy().tobytes()

    def broadcast_tensors(self, tensors: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The first process's tensors, everywhere, on the CPU."""
        if self.alone:
            return dict(tensors or {})
        from safetensors.torch import load, save

        ours = {
            name: tensor.detach().cpu().contiguous() for name, tensor in (tensors or {}).items()
        }
        data = self.broadcast_bytes(save(ours) if self.first else b"")
        return dict(sorted((ours if self.first else load(data)).items()))


class Pending:
    """A sum that is being made."""

    def __init__(self, work: Any) -> None:
        self.work = work

    def wait(self) -> None:
        if self.work is not None:
            self.work.wait()


SINGLE_PROCESS = ProcessGroup()


def one_of_several() -> bool:
    """Whether torchrun started this process together with others."""
    return os.environ.get("WORLD_SIZE", "") not in ("", "1")


def group_of_environment() -> ProcessGroup:
    """Who this process is, from what torchrun sets (RANK, WORLD_SIZE, ...). ValueError when these
    are no sensible numbers."""
    if not one_of_several():
        return SINGLE_PROCESS
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    given = {name: os.environ.get(name, "") for name in names}
    try:
        rank, size = int(given["RANK"]), int(given["WORLD_SIZE"])
        group = ProcessGroup(
            rank, size, int(given["LOCAL_RANK"] or rank), int(given["LOCAL_WORLD_SIZE"] or size)
        )
    except ValueError:
        group = ProcessGroup(-1, 0)
    if not 0 <= group.rank < group.size or not 0 <= group.local_rank < group.local_size:
        said = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(
            f"The environment names no place among several processes ({said}). Start them with"
            " torchrun, or unset WORLD_SIZE."
        )
    return group


@contextmanager
def joined(group: ProcessGroup) -> Iterator[ProcessGroup]:
    """Connected with the others: gloo between CPUs, NCCL between GPUs. Waits until all are
    there."""
    if group.alone:
        yield group
        return
    import torch
    import torch.distributed as dist

    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    if gpus:
        torch.cuda.set_device(group.local_rank % torch.cuda.device_count())
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if gpus else "gloo",
        rank=group.rank,
        world_size=group.size,
        timeout=PATIENCE,
    )
    try:
        yield group
    finally:
        dist.destroy_process_group()


def leave(code: int) -> NoReturn:
    """Ends this process with the exit code `code`; one of several, or one with work left that
    nobody waits for, without taking the interpreter apart.

    Some modules of torch that DDP and FSDP2 import keep the process group after
    `destroy_process_group`, and with it gloo's threads. One of those that still holds a tensor
    wants the interpreter to let go of it, and when that is being taken apart the process aborts
    instead.
    """
    if one_of_several() or left_at_work():
        try:
            sys.stdout.flush()
        finally:  # whatever became of who reads it
            os._exit(code)
    sys.exit(code)


LOST = (
    "gloo",
    "nccl",
    "connection closed",
    "connection reset",
    "broken pipe",
    "timed out",
    "socket",
)


def lost_another(error: BaseException) -> bool:
    """Whether this failure says that another process is gone."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in LOST)
    )
