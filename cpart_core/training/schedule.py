"""What is due at which step: a partition, a measurement of signatures, a validation, a snapshot."""

from __future__ import annotations

from cpart_core.settings.partition import PartitionSettings
from cpart_core.settings.training import TrainingSettings


def partition_due(step: int, settings: PartitionSettings) -> bool:
    """Whether a (re)partition is made after this many steps."""
    if step < settings.first_step or step > max(settings.freeze_step, settings.first_step):
        return False
    if step == settings.first_step:
        return True
    due = settings.every > 0 and (step - settings.first_step) % settings.every == 0
    return due and settings.method.reclusters


def is_frozen(step: int, settings: PartitionSettings) -> bool:
    """Whether no repartition comes after this many steps."""
    if step < settings.first_step:
        return False
    if settings.every == 0 or not settings.method.reclusters:
        return True
    return (
        step + settings.every - (step - settings.first_step) % settings.every > settings.freeze_step
    )


def signature_due(step: int, settings: PartitionSettings) -> bool:
    """Whether signatures are measured in the step after so many. All along, for the pages too; once
    segments are frozen a quarter as often is enough."""
    every = settings.signature_every * (4 if is_frozen(step, settings) else 1)
    return (step + 1) % every == 0


def evaluation_due(step: int, settings: TrainingSettings) -> bool:
    """Whether the validation loss is wanted after this many steps."""
    return step in (1, settings.steps) or step % settings.evaluate_every == 0


def snapshot_due(step: int, settings: TrainingSettings) -> bool:
    """Whether a snapshot is wanted after this many steps, whatever changed."""
    return step in (1, settings.steps) or step % settings.snapshot_every == 0
