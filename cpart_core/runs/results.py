"""Result dataclass (analysis/results.py) <-> one .npz file, exactly: the arrays as arrays, everything else as one JSON text.

Knows the dataclasses, not how they were made. A file that does not fit the types is refused with ValueError.
"""

from __future__ import annotations

import hashlib
import json
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import numpy as np

from cpart_core.analysis.results import DocumentMap, Flow, LossReport, NeuronMap, SegmentProfiles, Trace
from cpart_core.config import types_of
from cpart_core.runs.arrays import load_arrays, save_arrays

RESULT_TYPES: dict[str, type] = {
    "profiles": SegmentProfiles,
    "losses": LossReport,
    "trace": Trace,
    "continuation": Trace,
    "neuron_map": NeuronMap,
    "document_map": DocumentMap,
    "flow": Flow,
}
"""What each request is answered with. A new result: its dataclass in analysis/results.py and one line here."""

TEXT = "json"
"""The member that holds the JSON text, as UTF-8 bytes."""


def request_key(request: dict[str, Any]) -> str:
    """16 hex digits that stand for a request; 1 and 1.0, and the order of the names, make no difference. ValueError when it is not JSON."""
    try:
        text = json.dumps(plain(request), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"This request cannot be written as JSON: {error}.") from None
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """A request with whole floats as ints, so that equal requests have equal text."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def result_file(name: str, request: dict[str, Any]) -> str:
    """File name of the result of a request. ValueError for an unknown kind of result."""
    if name not in RESULT_TYPES:
        raise ValueError(f"Unknown result {name!r}; known: {', '.join(RESULT_TYPES)}.")
    return f"{name}-{request_key(request)}.npz"


def save_result(path: Path, name: str, result: Any) -> None:
    """Write a result atomically. Assertion when it is not of its dataclass's types; OSError when the disk refuses."""
    wanted = RESULT_TYPES[name]
    assert type(result) is wanted, f"{name} wants {wanted.__name__}, got {type(result).__name__}"
    piles = Piles()
    text = json.dumps({"name": name, "result": encode(result, wanted, piles)})
    save_arrays(path, {TEXT: np.frombuffer(text.encode(), dtype=np.uint8), **piles.arrays()})


def load_result(path: Path, name: str) -> Any:
    """Read a result of kind `name`. ValueError when the file is damaged, hostile, or of another kind."""
    arrays = load_arrays(path)
    try:
        data = json.loads(arrays.pop(TEXT).tobytes().decode())
        if data["name"] != name:
            raise ValueError(f"it holds {str(data['name'])[:40]!r}, not {name!r}")
        return decode(data["result"], RESULT_TYPES[name], arrays, name)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path.name} is not a sound result: {error}.") from None


class Piles:
    """Arrays laid end to end, one flat pile for each type of number.

    Instead of one member of the file per array: profiles hold hundreds of small arrays, and opening a member costs more than reading it.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, list[np.ndarray]] = {}
        self._lengths: dict[str, int] = {}

    def add(self, array: np.ndarray) -> list[Any]:
        """Lay it on its pile; where it lies: [type, offset, shape]."""
        flat = array.astype(array.dtype.newbyteorder("<"), copy=False).ravel()
        kind = flat.dtype.str[1:]
        offset = self._lengths.get(kind, 0)
        self._lengths[kind] = offset + flat.size
        self._pieces.setdefault(kind, []).append(flat)
        return [kind, offset, list(array.shape)]

    def arrays(self) -> dict[str, np.ndarray]:
        return {kind: np.concatenate(pieces) for kind, pieces in self._pieces.items()}


def encode(value: Any, wanted: Any, piles: Piles) -> Any:
    """A value as JSON; its arrays go to the piles and leave their places behind."""
    if is_dataclass(wanted):
        hints = types_of(wanted)
        return {item.name: encode(getattr(value, item.name), hints[item.name], piles) for item in fields(wanted)}
    if wanted is np.ndarray:
        return piles.add(np.asarray(value))
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        return [encode(entry, parts[0], piles) for entry in value]
    if origin is dict:
        return {str(name): encode(entry, parts[1], piles) for name, entry in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if origin is types.UnionType:
        assert type(value) in parts, f"{value!r} is none of {parts}"
        return value
    if wanted is float and type(value) is int:
        value = float(value)
    assert type(value) is wanted, f"{value!r} is not a {wanted.__name__}"
    return value


def decode(data: Any, wanted: Any, arrays: dict[str, np.ndarray], where: str) -> Any:
    """The inverse of `encode`; ValueError names the place that does not fit."""
    if isinstance(wanted, type) and is_dataclass(wanted):
        hints = types_of(wanted)
        if not isinstance(data, dict) or set(data) != set(hints):
            raise ValueError(f"{where} is not a {wanted.__name__}")
        return wanted(**{name: decode(data[name], hint, arrays, f"{where}.{name}") for name, hint in hints.items()})
    if wanted is np.ndarray:
        return decode_array(data, arrays, where)
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is tuple and isinstance(data, list):
        return tuple(decode(entry, parts[0], arrays, where) for entry in data)
    if origin is dict and isinstance(data, dict):
        return {name: decode(entry, parts[1], arrays, where) for name, entry in data.items()}
    allowed = parts if origin is types.UnionType else (wanted,)
    if type(data) not in allowed:
        raise ValueError(f"{where} holds {str(data)[:40]!r}, not {wanted}")
    return data


def decode_array(data: Any, arrays: dict[str, np.ndarray], where: str) -> np.ndarray:
    """One array cut out of its pile."""
    if not (isinstance(data, list) and len(data) == 3 and type(data[1]) is int and isinstance(data[2], list)):
        raise ValueError(f"{where} is not an array")
    kind, offset, shape = data
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"{where} has the impossible shape {shape}")
    pile, size = arrays[kind], int(np.prod(shape, dtype=object)) if shape else 1
    if pile.ndim != 1 or pile.dtype.str[1:] != kind:
        raise ValueError(f"{where} is not stored as {kind}")
    if offset < 0 or offset + size > pile.size:
        raise ValueError(f"{where} is longer than what is stored")
    return pile[offset : offset + size].reshape(shape).copy()
