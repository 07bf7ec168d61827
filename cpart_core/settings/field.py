"""One setting: its field with range, choices, help, unit and when it takes effect; and the check of
a value against it."""

from __future__ import annotations

import types
from dataclasses import Field, field
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

Case = dict[str, tuple[str, ...] | str]
When = tuple[Case, ...]
"""When a setting takes effect: in any of these cases; a case is the settings it asks for, each with
its values, or '> 0', '> first_step'."""
WEIGHED: Case = {"execution": ("soft", "topk")}
LEARNED: Case = {**WEIGHED, "fusion": ("attention",)}
NAMED: When = ({"source": ("file", "folder", "dataset")},)
RECLUSTERED: Case = {"method": ("gradient", "cocluster", "coactivation", "weights")}


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    advanced: bool = True,
    when: When = (),
) -> Any:
    """A dataclass field with its checked range, what the form and `--help` say of it, and when it
    takes effect (always, without `when`)."""
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "choices": choices,
        "unit": unit,
        "advanced": advanced,
        "when": when,
    }
    return field(default=default, metadata=metadata)


def types_of(kind: Any) -> dict[str, Any]:
    """Field name -> type of a dataclass. Kept: working it out costs more than the rest of reading
    settings, and a list of runs reads many."""
    return kept_types(kind)


@cache
def kept_types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def coerce(name: str, value: Any, wanted: Any) -> Any:
    """JSON value -> the field's type; a whole number passes for a float, nothing else is bent."""
    if get_origin(wanted) is tuple:
        element = get_args(wanted)[0]
        if isinstance(value, (list, tuple)) and all(isinstance(entry, element) for entry in value):
            return tuple(value)
        raise ValueError(f"{name} must be a list of {element.__name__}; got {value!r}.")
    assert not isinstance(wanted, types.UnionType), "settings have one type each"
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ValueError(f"{name} must be {wanted.__name__}; got {value!r}.")
    return value


def check_field(name: str, item: Field[Any], value: Any) -> None:
    """One setting against its own choices and range."""
    low, high, choices = item.metadata["low"], item.metadata["high"], item.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(choices)}.")
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and not (low is None or low <= value <= high)
    ):
        raise ValueError(f"{name} is {value}; allowed: {low:g} to {high:g}.")
