"""A result's dataclass <-> one .npz file, exactly: the arrays as arrays, everything else as one
JSON text.

Whoever reads names the dataclass (service/registry.py knows which). A file that does not fit its
types is refused with ValueError.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import numpy as np

from cpart_core.files.arrays import PAGE_BYTES, load_arrays
from cpart_core.files.bounded_json import load_bounded
from cpart_core.runs.array_files import save_arrays
from cpart_core.settings.field import types_of

Result = TypeVar("Result")

LEAVES = (str, int, float)
"""Types that JSON gives back as they are."""

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
    piles = Piles()
    text = json.dumps({"name": name, "result": encode(result, type(result), piles)})
    save_arrays(path, {TEXT: np.frombuffer(text.encode(), dtype=np.uint8), **piles.arrays()})


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
        result: Result = decoder(wanted, arrays, name)(data["result"])
        return result
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path.name} is not a sound result: {error}.") from None


class Piles:
    """Arrays laid end to end, one flat pile for each type of number.

    Instead of one member of the file per array: profiles hold hundreds of small arrays, and opening
    a member costs more than reading it.
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
        return {
            item.name: encode(getattr(value, item.name), hints[item.name], piles)
            for item in fields(wanted)
        }
    if wanted is np.ndarray:
        return piles.add(np.asarray(value))
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        # most of all values: the tokens of each neuron
        if parts[0] in LEAVES and all(type(entry) is parts[0] for entry in value):
            return list(value)
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


def decoder(wanted: Any, arrays: dict[str, np.ndarray], where: str) -> Callable[[Any], Any]:
    """The inverse of `encode` for one type, worked out once: a large model has a tuple of tokens
    for each of 40,000 neurons.

    The function raises ValueError that names the place that does not fit.
    """
    if isinstance(wanted, type) and is_dataclass(wanted):
        return dataclass_decoder(wanted, arrays, where)
    if wanted is np.ndarray:
        return lambda data: decode_array(data, arrays, where)
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        return tuple_decoder(parts[0], arrays, where)
    if origin is dict:
        entry_of = decoder(parts[1], arrays, where)
        return lambda data: {
            name: entry_of(entry) for name, entry in checked(data, (dict,), where).items()
        }
    allowed = parts if origin is types.UnionType else (wanted,)
    return lambda data: checked(data, allowed, where)


def dataclass_decoder(
    wanted: type[Any], arrays: dict[str, np.ndarray], where: str
) -> Callable[[Any], Any]:
    """JSON object -> dataclass; its fields and no others. One that came later, and has a value for
    files from before, may be missing."""
    parts = {
        name: decoder(hint, arrays, f"{where}.{name}") for name, hint in types_of(wanted).items()
    }
    needed = {
        item.name
        for item in fields(wanted)
        if item.default is MISSING and item.default_factory is MISSING
    }

    def decode(data: Any) -> Any:
        if not needed <= checked(data, (dict,), where).keys() <= parts.keys():
            raise ValueError(f"{where} is not a {wanted.__name__}")
        return wanted(**{name: part(data[name]) for name, part in parts.items() if name in data})

    return decode


def tuple_decoder(element: Any, arrays: dict[str, np.ndarray], where: str) -> Callable[[Any], Any]:
    """JSON list -> tuple."""
    if element in LEAVES:
        return lambda data: tuple(
            [
                entry if type(entry) is element else checked(entry, (element,), where)
                for entry in checked(data, (list,), where)
            ]
        )
    entry_of = decoder(element, arrays, where)
    return lambda data: tuple([entry_of(entry) for entry in checked(data, (list,), where)])


def checked(data: Any, allowed: tuple[type, ...], where: str) -> Any:
    """`data` when it is of an allowed type, exactly (True is no number)."""
    if type(data) not in allowed:
        raise ValueError(
            f"{where} holds {str(data)[:40]!r}, not"
            f" {' or '.join(kind.__name__ for kind in allowed)}"
        )
    return data


def decode_array(data: Any, arrays: dict[str, np.ndarray], where: str) -> np.ndarray:
    """One array cut out of its pile."""
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
    pile, size = arrays[kind], int(np.prod(shape, dtype=object)) if shape else 1
    if pile.ndim != 1 or pile.dtype.str[1:] != kind:
        raise ValueError(f"{where} is not stored as {kind}")
    if offset < 0 or offset + size > pile.size:
        raise ValueError(f"{where} is longer than what is stored")
    return pile[offset : offset + size].reshape(shape)
