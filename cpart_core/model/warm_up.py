"""Everything that is compiled once on a machine for training on its CPU, compiled now: a tiny model
goes there and back in each number format."""

from __future__ import annotations

import torch
from filelock import FileLock

from cpart_core.model.decoder import Decoder
from cpart_core.model.fusion.attention import Attention
from cpart_core.model.kernels.cpu.compiled_mark import folder, note_all_compiled
from cpart_core.model.kernels.cpu.use import cpu_kernels_from
from cpart_core.settings.model import ModelSettings

VOCABULARY, ROWS, TOKENS = 32, 2, 8


def compile_cpu_kernels() -> float:
    """Compile every pass that is not yet, and note that it was done. Returns the seconds that
    compiling took.

    One process at a time: numba's index of what it keeps is not made for two that write. Others
    wait, and find everything there.
    """
    from cpart_core.model.kernels.cpu import numbers  # late: numba takes a moment to import

    began = numbers.seconds_compiling()
    with FileLock(folder() / "lock"):
        with cpu_kernels_from(0):
            for precision in (torch.bfloat16, torch.float32):
                for execution in ("soft", "topk"):
                    forward_backward(execution, precision)
        note_all_compiled()
    return numbers.seconds_compiling() - began


def forward_backward(execution: str, precision: torch.dtype) -> None:
    """One forward and backward of a model with a shared segment, pooling over documents."""
    settings = ModelSettings(
        num_layers=1,
        width=16,
        num_heads=2,
        num_kv_heads=2,
        num_neurons=24,
        shared_neurons=8,
        num_segments=4,
        top_k=2,
        context_length=TOKENS,
        execution=execution,
        fusion=Attention(pooling="document"),
    )
    model = Decoder(settings, VOCABULARY)
    model.set_fused(True)
    ids = torch.arange(ROWS * TOKENS).view(ROWS, TOKENS)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = model(ids, torch.zeros_like(ids), target_BT=ids).sum()
    loss.backward()
