"""A result's dataclass <-> one .npz file, exactly: the arrays as arrays, everything else as one
JSON text.

Whoever reads names the dataclass (service/registry.py knows which). A file that does not fit its
types is refused with ValueError.
"""

from __future__ import annotations

import hashlib
import json
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import numpy as np

from cpart_core.files.arrays import PAGE_BYTES, load_arrays
from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.typed_json import LEAVES, Reader, hints_of
from cpart_core.runs.array_files import save_arrays

Result = TypeVar("Result")

TEXT = "json"
"""The member that holds the JSON text, as UTF-8 bytes."""
MOST_BYTES_OF_TEXT = 8 << 20
"""Of memory for what the text stands for, beside what the arrays leave of theirs."""


def request_key(request: dict[str, Any]) -> str:
    """16 hex digits that stand for a request; 1 and 1.0, and the order of the names, make no
    difference. ValueError when it is not JSON."""
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
    """File name of the result of a request to the analysis `name`."""
    return f"{name}-{request_key(request)}.npz"


def save_result(path: Path, name: str, result: Any) -> None:
    """Write what the analysis `name` gave, atomically. Assertion when it is not of its dataclass's
    types; OSError when the disk refuses."""
    packed = PackedArrays()
    text = json.dumps({"name": name, "result": encode(result, type(result), packed)})
    save_arrays(path, {TEXT: np.frombuffer(text.encode(), dtype=np.uint8), **packed.arrays()})


def load_result(path: Path, name: str, wanted: type[Result]) -> Result:
    """Read what the analysis `name` gave, which is a `wanted`. ValueError when the file is damaged,
    hostile, or of another analysis."""
    arrays = load_arrays(path)
    try:
        text = arrays.pop(TEXT).tobytes()
        data = load_bounded(
            text, PAGE_BYTES + MOST_BYTES_OF_TEXT - sum(array.nbytes for array in arrays.values())
        )
        if data["name"] != name:
            raise ValueError(f"it holds {str(data['name'])[:40]!r}, not {name!r}")
        reader = Reader(own={np.ndarray: lambda where: lambda data: array_of(data, arrays, where)})
        return reader.read(wanted, data["result"], name)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path.name} is not a sound result: {error}.") from None


class PackedArrays:
    """Arrays laid end to end, one flat row for each type of number.

    Instead of one member of the file per array: profiles hold hundreds of small arrays, and opening
    a member costs more than reading it.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, list[np.ndarray]] = {}
        self._lengths: dict[str, int] = {}

    def add(self, array: np.ndarray) -> list[Any]:
        """Put it at the end of its row; where it lies: [type, offset, shape]."""
        flat = array.astype(array.dtype.newbyteorder("<"), copy=False).ravel()
        kind = flat.dtype.str[1:]
        offset = self._lengths.get(kind, 0)
        self._lengths[kind] = offset + flat.size
        self._pieces.setdefault(kind, []).append(flat)
        return [kind, offset, list(array.shape)]

    def arrays(self) -> dict[str, np.ndarray]:
        return {kind: np.concatenate(pieces) for kind, pieces in self._pieces.items()}


def encode(value: Any, wanted: Any, packed: PackedArrays) -> Any:
    """A value as JSON; its arrays are packed and leave their places behind."""
    if isinstance(wanted, type) and is_dataclass(wanted):
        hints = hints_of(wanted)
        return {
            item.name: encode(getattr(value, item.name), hints[item.name], packed)
            for item in fields(wanted)
        }
    if wanted is np.ndarray:
        return packed.add(np.asarray(value))
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        # most of all values: the tokens of each neuron
        if parts[0] in LEAVES and all(type(entry) is parts[0] for entry in value):
            return list(value)
        return [encode(entry, parts[0], packed) for entry in value]
    if origin is dict:
        return {str(name): encode(entry, parts[1], packed) for name, entry in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if origin is types.UnionType:
        assert type(value) in parts, f"{value!r} is none of {parts}"
        return value
    if wanted is float and type(value) is int:
        value = float(value)
    assert type(value) is wanted, f"{value!r} is not a {wanted.__name__}"
    return value


def array_of(data: Any, arrays: dict[str, np.ndarray], where: str) -> np.ndarray:
    """One array cut out of its row."""
    if not (
        isinstance(data, list)
        and len(data) == 3
        and type(data[1]) is int
        and isinstance(data[2], list)
    ):
        raise ValueError(f"{where} is not an array")
    kind, offset, shape = data
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"{where} has the impossible shape {shape}")
    row, size = arrays[kind], int(np.prod(shape, dtype=object)) if shape else 1
    if row.ndim != 1 or row.dtype.str[1:] != kind:
        raise ValueError(f"{where} is not stored as {kind}")
    if offset < 0 or offset + size > row.size:
        raise ValueError(f"{where} is longer than what is stored")
    return row[offset : offset + size].reshape(shape)
