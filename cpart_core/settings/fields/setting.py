"""One setting: its field with range, choices, help, unit and when it takes effect; and the check of
a value against it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from typing import Any, get_args, get_origin


@dataclass(frozen=True)
class Those:
    """In a case, instead of names: the methods of a family that say yes to this of themselves, as
    `Those("learns")` for fusions."""

    flag: str


Case = Mapping[str, tuple[str, ...] | str]
When = tuple[Case, ...]
"""When a setting takes effect: in any of these cases; a case is the settings it asks for, each with
its values, or '> 0', '> first_step'."""
AskedCase = Mapping[str, tuple[str, ...] | str | Those]
Asked = tuple[AskedCase, ...]
"""The same as it is written at a setting."""


@dataclass(frozen=True)
class Setting:
    """One setting as the flag, the widget and the check of it need it."""

    name: str
    """Unique among all settings: it is the flag, too."""
    kind: Any
    """Its type."""
    default: Any
    help: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    unit: str
    advanced: bool
    when: When


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    advanced: bool = True,
    when: Asked = (),
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


def as_setting(item: Field[Any], kind: Any) -> Setting:
    """What `setting` noted in a dataclass field of this type."""
    said = item.metadata
    return Setting(
        item.name,
        kind,
        item.default,
        said["help"],
        said["low"],
        said["high"],
        said["choices"],
        said["unit"],
        said["advanced"],
        said["when"],
    )


def coerce(name: str, value: Any, wanted: Any) -> Any:
    """JSON value -> the field's type; a whole number passes for a float, nothing else is bent."""
    if type(value) is wanted:
        return value
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


def check_setting(where: str, item: Setting, value: Any) -> None:
    """A value against the setting's own choices and range; ValueError says what is allowed in this
    group."""
    if item.choices and value not in item.choices:
        allowed = ", ".join(item.choices)
        raise ValueError(f"{where}.{item.name} is {value!r}; allowed: {allowed}.")
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and not (item.low is None or item.high is None or item.low <= value <= item.high)
    ):
        raise ValueError(f"{where}.{item.name} is {value}; allowed: {item.low:g} to {item.high:g}.")
