"""JSON values as what type hints say: the one decoder of what somebody else may have written.

Exact: nothing is bent (True is no number, 1.0 no int), and what does not fit is refused with a
ValueError that names the place. The leniencies are stated by the Reader. Bound the text first
(bounded_json.py).
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
Decode = Callable[[Any], Any]
Own = Callable[[str], Decode]
"""A place -> the decoder of a type that only the caller knows."""
LEAVES = (str, int, float)
"""Types that JSON gives back as they are."""
LONGEST_SHOWN = 80
"""Characters of a value that does not fit."""


def hints_of(kind: Any) -> Mapping[str, Any]:
    """Field name -> type of a dataclass. Kept: working it out costs more than the rest of reading,
    and a list of runs reads many."""
    return kept_hints(kind)


@cache
def kept_hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return types.MappingProxyType({item.name: hints[item.name] for item in fields(kind)})


@dataclass(frozen=True)
class Reader:
    """How JSON is read into types."""

    numbers: float | None = None
    """None: a float is a float. Else null is NaN and a whole number passes for a float, and all are
    nearer to 0 than this."""
    others: bool = False
    """Whether an object may have names that its dataclass lacks; they are passed over."""
    own: Mapping[Any, Own] = field(default_factory=dict)
    """Type -> its decoder, for types that are no JSON (arrays, settings)."""

    def read(self, wanted: type[T], data: Any, where: str) -> T:
        """`data` as a dataclass. ValueError names the place that does not fit, from `where` on."""
        found: T = self.decoder(wanted, where)(data)
        return found

    def decoder(self, wanted: Any, where: str) -> Decode:
        """The function for one type and place, worked out once: a large result has a tuple of
        tokens for each of 40,000 neurons."""
        if wanted in self.own:
            return self.own[wanted](where)
        if isinstance(wanted, type) and is_dataclass(wanted):
            return self.dataclass_decoder(wanted, where)
        origin, parts = get_origin(wanted), get_args(wanted)
        if origin is tuple:
            return self.tuple_decoder(parts, where)
        if origin is dict:
            return self.dict_decoder(parts[1], where)
        if origin is types.UnionType:
            return self.union_decoder(parts, where)
        if wanted is Any:
            return lambda data: data
        if wanted is float and (largest := self.numbers) is not None:
            return lambda data: number(data, largest, where)
        return lambda data: exactly(data, (wanted,), where)

    def dataclass_decoder(self, wanted: type, where: str) -> Decode:
        """JSON object -> dataclass. A field that came later, and has a value for files from before,
        may be missing."""
        parts = {
            name: self.decoder(hint, f"{where}.{name}") for name, hint in hints_of(wanted).items()
        }
        needed = {
            item.name
            for item in fields(wanted)
            if item.default is MISSING and item.default_factory is MISSING
        }

        def decode(data: Any) -> Any:
            given = exactly(data, (dict,), where).keys()
            if not needed <= given:
                raise ValueError(f"{where} lacks {', '.join(sorted(needed - given))}")
            if not self.others and not given <= parts.keys():
                unknown = ", ".join(str(name)[:40] for name in sorted(given - parts.keys())[:9])
                raise ValueError(f"{where} has {unknown}, which is not known")
            return wanted(
                **{name: part(data[name]) for name, part in parts.items() if name in data}
            )

        return decode

    def tuple_decoder(self, parts: tuple[Any, ...], where: str) -> Decode:
        """JSON list -> tuple of one type, however long."""
        assert parts[1:] == (...,), f"{where}: tuples are of one type"
        element = parts[0]
        entry_of = self.decoder(element, where)
        if element in LEAVES and not (element is float and self.numbers is not None):
            return lambda data: tuple(
                [
                    entry if type(entry) is element else entry_of(entry)
                    for entry in exactly(data, (list,), where)
                ]
            )
        return lambda data: tuple([entry_of(entry) for entry in exactly(data, (list,), where)])

    def dict_decoder(self, element: Any, where: str) -> Decode:
        """JSON object -> dict of one type."""
        entry_of = self.decoder(element, where)
        return lambda data: {
            name: entry_of(entry) for name, entry in exactly(data, (dict,), where).items()
        }

    def union_decoder(self, parts: tuple[Any, ...], where: str) -> Decode:
        """One of some leaves; or null, or what the other part says."""
        rest = [part for part in parts if part is not types.NoneType]
        if len(rest) == 1 and len(parts) == 2 and rest[0] not in (*LEAVES, bool):
            decode = self.decoder(rest[0], where)
            return lambda data: None if data is None else decode(data)
        return lambda data: exactly(data, parts, where)


NAMES = {dict: "a JSON object", list: "a list", float: "a number", types.NoneType: "null"}
"""Types in words, where their name is not the word."""


def exactly(data: Any, allowed: tuple[Any, ...], where: str) -> Any:
    """`data` when it is of an allowed type, exactly (True is no number)."""
    if type(data) not in allowed:
        words = " or ".join(NAMES.get(kind, kind.__name__) for kind in allowed)
        raise ValueError(f"{where} must be {words}, not {str(data)[:LONGEST_SHOWN]!r}")
    return data


def number(data: Any, largest: float, where: str) -> float:
    """A finite number, or NaN for null."""
    if data is None:
        return math.nan
    if type(data) in (int, float) and abs(data) < largest:
        return float(data)
    raise ValueError(f"{where} must be a number of sensible size, not {str(data)[:40]!r}")
