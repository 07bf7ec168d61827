"""Checkpoints: weights, optimizer and state of one step in a folder of its own, written whole or
not at all.

Safetensors and JSON only, each file under a SHA-256 in MANIFEST.json. Knows torch and the model;
knows nothing of training.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save_file
from torch import Tensor

from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.files.plain import kind_of, plain_folder
from cpart_core.model.decoder import Decoder
from cpart_core.runs.atomic import clear_leftovers, read_small, remove_folder, writing_folder
from cpart_core.runs.checkpoint_files import (
    LARGEST_TOKENIZER,
    CheckpointConfig,
    check_fit,
    config_json,
    header_shapes,
    plain_tensors,
    read_config,
    read_state,
    read_tensors,
)
from cpart_core.runs.folder import Run
from cpart_core.runs.manifest import verify, write_manifest

STEP_FOLDER = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to go on as if it had never stopped."""

    config: CheckpointConfig
    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]
    numbers: dict[str, Any]
    tokenizer_json: str


class Damaged(NamedTuple):
    """A checkpoint that was found but cannot be trusted."""

    step: int
    reason: str


class Latest(NamedTuple):
    """The newest good checkpoint (None without one), and the newer ones that were passed over."""

    checkpoint: Checkpoint | None
    damaged: tuple[Damaged, ...]


class LoadedModel(NamedTuple):
    """A model to look into."""

    model: Decoder
    tokenizer: Tokenizer
    config: CheckpointConfig


def folder_of(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:08d}"


def steps_in(checkpoints: Path) -> list[int]:
    """Steps of the checkpoints there, ascending, none in a folder that is a link; leftovers of an
    interrupted write (`.tmp-*`) are not among them."""
    if kind_of(checkpoints) != "a folder":
        return []
    return sorted(
        int(match.group(1))
        for entry in checkpoints.iterdir()
        if (match := STEP_FOLDER.fullmatch(entry.name))
    )


def save_checkpoint(checkpoints: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write one, then remove all but the newest `keep`; a crash at any point leaves the older ones
    and at most a `.tmp-*` folder.

    NotPlain, before anything is written or removed, where `checkpoints` is a link.
    """
    plain_folder(checkpoints.parent, checkpoints.name, make=True)
    clear_leftovers(checkpoints)
    step = checkpoint.config.step
    target = folder_of(checkpoints, step)
    with writing_folder(target) as draft:
        save_file(
            plain_tensors(checkpoint.weights),
            draft / "model.safetensors",
            metadata={"format": "pt"},
        )
        save_file(
            plain_tensors(checkpoint.tensors),
            draft / "optimizer.safetensors",
            metadata={"format": "pt"},
        )
        (draft / "config.json").write_text(config_json(checkpoint.config), encoding="utf-8")
        (draft / "state.json").write_text(
            json.dumps(checkpoint.numbers, allow_nan=False), encoding="utf-8"
        )
        (draft / "tokenizer.json").write_text(checkpoint.tokenizer_json, encoding="utf-8")
        write_manifest(draft)
    # Later steps are damaged ones that were passed over: they stay until training comes by again,
    # and do not count as kept.
    for old in [entry for entry in steps_in(checkpoints) if entry <= step][:-keep]:
        remove_folder(folder_of(checkpoints, old))
    return target


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify one checkpoint folder; ValueError says what is wrong with it."""
    verify(folder)
    config = read_config(folder / "config.json")
    return Checkpoint(
        config,
        read_tensors(folder / "model.safetensors"),
        read_tensors(folder / "optimizer.safetensors"),
        read_state(folder / "state.json", config),
        read_small(folder / "tokenizer.json", LARGEST_TOKENIZER).decode(),
    )


def load_latest(checkpoints: Path, last_step: int | None = None, redo: int = sys.maxsize) -> Latest:
    """The newest checkpoint whose manifest holds; damaged ones are passed over and named, never
    deleted.

    last_step: of the records, which may have lost some (None = they have not). One at or before it,
    no more than `redo` steps older than the newest, is preferred, since the missing records are
    made again from there; otherwise the newest stands, with a gap.
    """
    damaged: list[Damaged] = []
    beyond: list[int] = []
    for step in reversed(steps_in(checkpoints)):
        if beyond and step < beyond[0] - redo:
            break
        folder = folder_of(checkpoints, step)
        try:
            if last_step is None or step <= last_step:
                passed = [
                    Damaged(later, f"the records end at step {last_step}, before it")
                    for later in beyond
                ]
                return Latest(
                    load_checkpoint(folder), tuple(sorted([*damaged, *passed], reverse=True))
                )
            if not beyond:
                verify(folder)
            beyond.append(step)
        except (ValueError, OSError) as error:
            damaged.append(Damaged(step, str(error)))
    return Latest(
        load_checkpoint(folder_of(checkpoints, beyond[0])) if beyond else None, tuple(damaged)
    )


def load_model(run: Run, step: int) -> LoadedModel:
    """The model of one checkpoint of a run, on the CPU, in evaluation mode. ValueError for a
    missing, damaged or unfitting checkpoint."""
    checkpoints = run.folder / "checkpoints"
    if step not in steps_in(checkpoints):
        there = ", ".join(map(str, steps_in(checkpoints))) or "none yet"
        raise ValueError(f"Run {run.id} has no checkpoint at step {step}; it has: {there}.")
    folder = folder_of(checkpoints, step)
    try:
        verify(folder)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"Run {run.id} cannot be read at step {step}: {error} {other_steps(checkpoints, step)}"
        ) from None
    config = read_config(folder / "config.json")
    check_fit(header_shapes(folder / "model.safetensors"), config)
    model = Decoder(config.model, config.vocabulary_size)
    model.load_state_dict(read_tensors(folder / "model.safetensors"))
    model.set_fused(config.fused)
    model.eval()
    return LoadedModel(
        model,
        Tokenizer.from_json(read_small(folder / "tokenizer.json", LARGEST_TOKENIZER).decode()),
        config,
    )


def is_sound(checkpoints: Path, step: int) -> bool:
    """Whether the manifest of a checkpoint holds."""
    try:
        verify(folder_of(checkpoints, step))
    except (ValueError, OSError):
        return False
    return True


def other_steps(checkpoints: Path, step: int) -> str:
    """Which checkpoints can be used instead of that of `step`, in a sentence."""
    sound = [
        other
        for other in reversed(steps_in(checkpoints))
        if other != step and is_sound(checkpoints, other)
    ]
    if not sound:
        return "It has no other checkpoint that can be used."
    return (
        f"Undamaged: step {', '.join(map(str, sound))}; ask for one of them (in the terminal:"
        f" --step {sound[0]})."
    )
