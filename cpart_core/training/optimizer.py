"""AdamW with decay on matrices only, and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from cpart_core.settings.training import TrainingSettings


def make_optimizer(
    named: Mapping[str, nn.Parameter], settings: TrainingSettings
) -> torch.optim.AdamW:
    """Of what moves, by name. Norms, embedding and fusion keys are not decayed; a frozen router is
    not among it."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in named.items():
        whole = name.partition("[")[0]  # of a block, the parameter's own name
        kept = parameter.dim() < 2 or whole == "embedding" or whole.endswith("keys")
        (plain if kept else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    # torch's fused step takes memory to be contiguous, and writes beside a block of columns
    fused = all(parameter.is_contiguous() for parameter in named.values())
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=fused
    )


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Of the step that is done next (0-based): linear warm-up, then a cosine down to the final
    share of the peak."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    low = settings.final_learning_rate
    return settings.learning_rate * (
        low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    )
