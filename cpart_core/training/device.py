"""Device, number format and threads: what the hardware has and what is worth using."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager, nullcontext

import torch

from cpart_core.settings.training import TrainingSettings
from cpart_core.training.capacity import cores
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup


def choose_device(settings: TrainingSettings, group: ProcessGroup = SINGLE_PROCESS) -> torch.device:
    """Each of several processes takes a GPU of its own. ValueError when a GPU is asked for and
    there is none, or too few."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device is cuda, but torch sees no GPU here. Choose cpu or auto; a run that was begun"
            " on a GPU goes on elsewhere with `resume RUN --device cpu` or the page's button Resume"
            " on the CPU."
        )
    if settings.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if group.alone:
        return torch.device("cuda")
    if group.local_size > torch.cuda.device_count():
        raise ValueError(
            f"{group.local_size} processes were started on a machine with"
            f" {torch.cuda.device_count()} GPUs; start one for each GPU, or set device to cpu."
        )
    return torch.device("cuda", group.local_rank)


NARROWEST_BF16 = 256
"""Width from which bf16 products pay on a CPU with AMX tiles. Below it the step is mostly softmax,
norms and copies, which bf16 does not help."""


def choose_precision(settings: TrainingSettings, width: int, device: torch.device) -> torch.dtype:
    """bfloat16 where the whole step is faster with it: CUDA from Ampere on, and wide models on CPUs
    with AMX tiles."""
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bf16" else torch.float32
    if device.type == "cuda":
        return (
            torch.bfloat16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else torch.float32
        )
    return torch.bfloat16 if cpu_has_amx() and width >= NARROWEST_BF16 else torch.float32


def cpu_has_amx() -> bool:
    """Whether this CPU has bf16 tile products (Intel AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def set_threads(settings: TrainingSettings, group: ProcessGroup = SINGLE_PROCESS) -> int:
    """0 = all cores but one, shared by the processes here: the page and the operating system need
    the last one. Returns what was set."""
    threads = settings.threads or max(1, (cores() - 1) // group.local_size)
    torch.set_num_threads(threads)
    return threads


LARGEST_KEPT = 32 << 20
"""Bytes; glibc allows no more on 64 bits."""
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""mallopt(3)'s names for these."""


def keep_freed_memory() -> bool:
    """Tell glibc to keep a step's freed tensors for the next step, instead of asking the system for
    zeroed pages each time.

    For a process that does nothing but train. False where the C library is another one: then
    nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    wanted = (
        (M_MMAP_THRESHOLD, LARGEST_KEPT),
        (M_TRIM_THRESHOLD, 2**31 - 1),
        (M_TOP_PAD, 2 * LARGEST_KEPT),
    )
    return all([mallopt(name, size) == 1 for name, size in wanted])


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Products in bf16, everything that sums in fp32; nothing at all for fp32."""
    return (
        torch.autocast(device.type, dtype=precision)
        if precision == torch.bfloat16
        else nullcontext()
    )
