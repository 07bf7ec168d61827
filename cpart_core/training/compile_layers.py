"""torch.compile by region: a layer is compiled once for all layers, which takes seconds where the
whole model takes a minute.

What measures or looks inside (signatures, validation) runs as it is written: hooks and other
numbers of rows would only compile anew. So do attention in bf16 and the executions of top-k, which
are functions with a backward of their own.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext

import torch

from cpart_core.files.cache_folder import cache_folder
from cpart_core.model.decoder import Decoder
from cpart_core.settings.training import TrainingSettings
from cpart_core.training.process_group import ProcessGroup

COMPILERS = ("c++", "g++", "clang++", "cl")


def compiler_there(device: torch.device) -> bool:
    """Whether torch.compile has what it needs: on a CPU a C++ compiler, on a GPU nothing that torch
    does not bring."""
    return device.type != "cpu" or any(map(shutil.which, COMPILERS))


def compile_layers(
    model: Decoder, settings: TrainingSettings, device: torch.device, group: ProcessGroup
) -> bool:
    """Have the layers compiled at their next use, where the settings ask for it. ValueError where
    that cannot be."""
    if settings.compile == "off":
        return False
    if not group.alone:
        raise ValueError(
            f"training.compile is {settings.compile!r} with {group.size} processes; it can be had"
            " with one. Set it to 'off'."
        )
    if not compiler_there(device):
        raise ValueError(
            "training.compile is 'layers', and on a CPU that needs a C++ compiler, which this"
            " machine has not: install one (Debian: apt install g++; macOS: xcode-select --install)"
            " or set it to 'off'."
        )
    for name, place in (("TORCHINDUCTOR_CACHE_DIR", "inductor"), ("TRITON_CACHE_DIR", "triton")):
        # not a folder among temporary ones for each user and start
        os.environ.setdefault(name, str(cache_folder() / place))
    for layer in model.layers:
        for part in (layer.attention, layer.feedforward):
            part.compute = torch.compiler.disable(part.compute)  # type: ignore[union-attr]
        layer.compile()
    return True


def as_written(compiled: bool) -> AbstractContextManager[object]:
    """Within it, what was compiled runs as it is written, and nothing more is compiled."""
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()
