"""The files of a checkpoint, each checked before it is believed: configuration, state, safetensors.

What is read stays within caps, and shapes are compared before a byte of payload is allocated."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.plain import open_plain
from cpart_core.model.decoder import Decoder
from cpart_core.runs.atomic import read_small
from cpart_core.settings.fields.method import values_of
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.run import settings_from_dict

FORMAT = 1
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
