"""AdamW with decay on matrices only, and the learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn

from cpart_core.model.decoder import Decoder
from cpart_core.settings.training import TrainingSettings


def make_optimizer(model: Decoder, settings: TrainingSettings) -> torch.optim.AdamW:
    """Norms, embedding and fusion keys are not decayed; a frozen router is not optimised at all."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (
                plain
                if parameter.dim() < 2 or name == "embedding" or name.endswith("keys")
                else decayed
            ).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True
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
