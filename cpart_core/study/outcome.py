"""What was measured of one finished run of a study: its numbers by the names of measures.py, and
the flat JSON object they are stored as. Plain data; pages read it without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cpart_core.files.typed_json import exactly, number
from cpart_core.study.measures import MEASURE, MEASURES, ROWS, WORDS

NAN = math.nan
ROUNDING = 1e-6
"""A stored number may lie so far outside its scale."""
LARGEST = 1e300
"""Of a stored number."""
Value = float | str | tuple[float, ...]
ROW_NAMES = tuple(row.name for row in ROWS)


@dataclass(frozen=True)
class Outcome:
    """One finished run of a study. What is not there was not measured for this run."""

    arm: str
    seed: int
    run: str
    steps: int
    fingerprint: str
    """Of the corpus; equal for all arms of a seed."""
    finished: str
    """ISO time."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Name of a measure -> its value, NaN where it could not be."""
    rows: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Name -> a value for each context."""
    words: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """The number of a measure; NaN where it was not measured. KeyError for what is none."""
        if of := MEASURE[name].greatest_of:
            return max((value for value in self.row(of) if math.isfinite(value)), default=NAN)
        return self.numbers.get(name, NAN)

    def row(self, name: str) -> tuple[float, ...]:
        """Values by context; empty where not measured."""
        assert name in ROW_NAMES, name
        return self.rows.get(name, ())

    def word(self, name: str) -> str:
        """Empty where there is none."""
        assert name in WORDS, name
        return self.words.get(name, "")

    def with_values(self, values: Mapping[str, Value]) -> Outcome:
        """Numbers, rows and words set by their names."""
        numbers, rows, words = dict(self.numbers), dict(self.rows), dict(self.words)
        for name, value in values.items():
            if name in WORDS:
                assert isinstance(value, str), name
                words[name] = value
            elif name in ROW_NAMES:
                assert isinstance(value, tuple), name
                rows[name] = value
            else:
                assert name in STORED and isinstance(value, (int, float)), name
                numbers[name] = value
        return replace(self, numbers=numbers, rows=rows, words=words)

    def to_data(self) -> dict[str, Any]:
        """The flat JSON object, all names in it."""
        return {
            **{name: getattr(self, name) for name in IDENTITY},
            **{name: self[name] for name in STORED},
            **{name: self.row(name) for name in ROW_NAMES},
            **{name: self.word(name) for name in WORDS},
        }


IDENTITY: dict[str, type] = {
    "arm": str,
    "seed": int,
    "run": str,
    "steps": int,
    "fingerprint": str,
    "finished": str,
}
STORED = tuple(item.name for item in MEASURES if not item.greatest_of)
"""Numbers in the JSON object."""
NAMES = frozenset((*IDENTITY, *STORED, *ROW_NAMES, *WORDS))
"""All that an outcome's JSON object may have."""
FIRST = frozenset(
    (
        *IDENTITY,
        *(item.name for item in MEASURES if item.first),
        *(row.name for row in ROWS if row.first),
    )
)
"""What it must have; a study from before the others is still read."""
COHERENCE = tuple(sorted(name for name in NAMES if name.startswith("coherence_")))
"""Names that are filled later, when other runs of the study are finished."""


def check_ranges(outcome: Outcome) -> None:
    """ValueError for a number that cannot be: no interval could be drawn around it."""
    for item in MEASURES:
        value = float(outcome[item.name])
        if math.isfinite(value) and abs(value - item.scale.clamped(value)) > ROUNDING:
            raise ValueError(
                f"{item.name} of an outcome is {value:g}; it can be {item.scale.low:g} to"
                f" {item.scale.high:g}."
            )


def without_nan(value: Any) -> Any:
    """JSON data with null for what is not finite."""
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def outcome_from(data: Any) -> Outcome:
    """An outcome from its JSON object, later names left out or not; ValueError when it does not
    fit."""
    if not isinstance(data, dict) or not FIRST <= set(data) <= NAMES:
        raise ValueError("An outcome of the study lacks fields or has others than it should.")
    identity = {name: exactly(data[name], (kind,), name) for name, kind in IDENTITY.items()}
    given = {name: decoder_of(name)(data[name]) for name in data if name not in IDENTITY}
    outcome = Outcome(**identity).with_values(given)
    check_ranges(outcome)
    return outcome


def decoder_of(name: str) -> Callable[[Any], Value]:
    """How the JSON value of that name is read."""
    where = f"{name} of an outcome"
    if name in WORDS:
        return lambda data: str(exactly(data, (str,), where))
    if name in ROW_NAMES:
        return lambda data: tuple(
            [number(entry, LARGEST, where) for entry in exactly(data, (list,), where)]
        )
    if MEASURE[name].whole:
        return lambda data: int(exactly(data, (int,), where))
    return lambda data: number(data, LARGEST, where)


def is_complete(data: Any) -> bool:
    """Whether the JSON object of an outcome has every name there is today, coherence aside."""
    return isinstance(data, dict) and NAMES - set(COHERENCE) <= set(data) <= NAMES
