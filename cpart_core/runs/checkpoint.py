"""Checkpoints: weights, optimizer and state of one step in a folder of its own, written whole or
not at all.

Safetensors and JSON only, each file under a SHA-256 in MANIFEST.json. Knows torch and the model;
knows nothing of training.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.plain import kind_of, open_plain, plain_folder
from cpart_core.model.decoder import Decoder
from cpart_core.runs.atomic import clear_leftovers, read_small, remove_folder, writing_folder
from cpart_core.runs.folder import Run
from cpart_core.runs.manifest import verify, write_manifest
from cpart_core.settings.fields.method import values_of
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.run import settings_from_dict

FORMAT = 1
STEP_FOLDER = re.compile(r"step-(\d{8,})")
LARGEST_HEADER = 4 << 20
"""Bytes. A hostile header of 90 MB costs half a gigabyte before anything else is looked at."""
LARGEST_TENSOR_COUNT = 20_000
LARGEST_CONFIG = 100_000
LARGEST_STATE, LARGEST_TOKENIZER = 4 << 20, 16 << 20
STATE_TYPES = {"step": int, "tokens": int, "fused": bool, "device": str, "passes": bool}
MEMORY_OF_JSON = 30
"""Bytes of memory that a byte of our JSON may become."""
LARGEST_VOCABULARY = 65_536
"""Token ids are stored in 16 bits."""


@dataclass(frozen=True)
class CheckpointConfig:
    """What config.json says: enough to build the model without the run."""

    model: ModelSettings
    vocabulary_size: int
    step: int
    fused: bool
    """False while the model is still computed dense: before its first partition, or always when its
    execution is dense."""


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


def config_json(config: CheckpointConfig) -> str:
    """The text of config.json: the model's settings, flat, with what else is needed to build it."""
    extra = {
        "format": FORMAT,
        "step": config.step,
        "vocabulary_size": config.vocabulary_size,
        "fused": config.fused,
    }
    return json.dumps({**extra, **values_of(config.model)}, indent=2)


def read_config(path: Path) -> CheckpointConfig:
    """config.json, checked against the ranges of the settings."""
    data = read_object(path, LARGEST_CONFIG)
    if data.pop("format", None) != FORMAT:
        raise ValueError(f"{path.name} is not of format {FORMAT}, the only one this version reads.")
    step, vocabulary_size, fused = (
        data.pop("step", None),
        data.pop("vocabulary_size", None),
        data.pop("fused", None),
    )
    if (
        type(step) is not int
        or type(vocabulary_size) is not int
        or step < 0
        or not 1 <= vocabulary_size <= LARGEST_VOCABULARY
    ):
        raise ValueError(
            f"{path.name} has step {step!r} and vocabulary_size {vocabulary_size!r}; "
            f"whole numbers are wanted, the latter up to {LARGEST_VOCABULARY}."
        )
    if type(fused) is not bool:
        raise ValueError(f"{path.name} has fused {fused!r}; true or false is wanted.")
    return CheckpointConfig(
        settings_from_dict({"model": data}).check().model, vocabulary_size, step, fused
    )


def read_state(path: Path, config: CheckpointConfig) -> dict[str, Any]:
    """state.json; ValueError where what training goes on from is of another type, or of another
    step than config.json."""
    numbers = read_object(path, LARGEST_STATE)
    for name, kind in STATE_TYPES.items():
        if name in numbers and type(numbers[name]) is not kind:
            raise ValueError(
                f"{path.name} has {name} {str(numbers[name])[:40]!r}, which is no {kind.__name__}."
            )
    if numbers.get("step", config.step) != config.step:
        raise ValueError(
            f"{path.name} is of step {numbers['step']}, but config.json of step {config.step}."
        )
    return numbers


def read_object(path: Path, limit_bytes: int) -> dict[str, Any]:
    """A JSON object out of a file of bounded size; ValueError for anything else."""
    try:
        data = load_bounded(read_small(path, limit_bytes), limit_bytes * MEMORY_OF_JSON)
        if not isinstance(data, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from None
    return data


def header_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor, from the header alone and within caps, before a byte of
    payload is allocated."""
    with os.fdopen(open_plain(path.parent, path.name), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > min(LARGEST_HEADER, size):
            raise ValueError(
                f"{path.name} has a header of {length} bytes; allowed: {min(LARGEST_HEADER, size)}."
            )
        try:
            header = load_bounded(file.read(length), LARGEST_HEADER * MEMORY_OF_JSON)
        except ValueError as error:
            raise ValueError(f"{path.name} has no readable header: {error}") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path.name} has a header that is not safetensors'.")
    if len(header) > LARGEST_TENSOR_COUNT:
        raise ValueError(
            f"{path.name} names {len(header)} tensors; allowed: {LARGEST_TENSOR_COUNT}."
        )
    try:
        return {
            name: tuple(int(n) for n in entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (TypeError, KeyError, ValueError, OverflowError):
        raise ValueError(f"{path.name} has a header that is not safetensors'.") from None


def check_fit(shapes: Mapping[str, tuple[int, ...]], config: CheckpointConfig) -> None:
    """ValueError unless the stored shapes are those of the configured model; built on the meta
    device, which allocates nothing."""
    with torch.device("meta"):
        wanted = {
            name: tuple(tensor.shape)
            for name, tensor in Decoder(config.model, config.vocabulary_size).state_dict().items()
        }
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            raise ValueError(
                f"The weights do not fit config.json: {name} is {shapes.get(name, 'missing')},"
                f" wanted {wanted.get(name, 'no such tensor')}."
            )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file whose header is within the caps."""
    header_shapes(path)
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a readable safetensors file: {error}") from None


def plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU copies, as safetensors wants them."""
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
