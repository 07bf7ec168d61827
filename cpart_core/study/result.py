"""What a study found, and the JSON file it is stored in. Plain data; pages read it without torch.
Its runs' numbers: outcome.py.

A file from elsewhere is checked as it is read: what does not fit the types is refused with
ValueError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.typed_json import Reader
from cpart_core.runs.atomic import read_small, write_file
from cpart_core.runs.folder import runs_root
from cpart_core.settings.run import Settings, settings_from_dict
from cpart_core.study.interval import Interval, interval
from cpart_core.study.measures import ROWS, scale_of
from cpart_core.study.outcome import Outcome, outcome_from, without_nan

FORMAT = 1
MOST_BYTES = 64 << 20
"""Of memory for what a file says; ours takes a hundredth."""
RESULTS = Path(__file__).resolve().parent / "results"
"""Studies that come with CPart: really measured, each with its machine and command."""


@dataclass(frozen=True)
class Study:
    """A whole study, also while some of its runs are still missing."""

    name: str
    title: str
    command: str
    date: str
    machine: dict[str, Any]
    jobs: int
    """Runs trained at once; with more than one, times are not those of a free machine."""
    reference: str
    arms: dict[str, Settings]
    """Of seed 0."""
    seeds: tuple[int, ...]
    contexts: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    def values(self, arm: str, measure: str) -> dict[int, float]:
        """Seed -> value, where it was measured."""
        found = {
            outcome.seed: float(outcome[measure]) for outcome in self.outcomes if outcome.arm == arm
        }
        return {seed: value for seed, value in sorted(found.items()) if math.isfinite(value)}

    def mean(self, arm: str, measure: str) -> float:
        """Over seeds; NaN where nothing was measured."""
        values = self.values(arm, measure)
        return sum(values.values()) / len(values) if values else math.nan

    def difference(
        self, arm: str, other: str, measure: str, relative: bool = False
    ) -> Interval | None:
        """arm - other, paired by seed; relative: as a share of the other's value. None where no
        seed has both."""
        mine, theirs = self.values(arm, measure), self.values(other, measure)
        both = [seed for seed in mine if seed in theirs and (theirs[seed] or not relative)]
        if not both:
            return None
        scale = scale_of(measure)
        differences = [
            (mine[seed] - theirs[seed]) / (abs(theirs[seed]) if relative else 1.0) for seed in both
        ]
        return interval(
            differences, scale.of_relative_difference() if relative else scale.of_difference()
        )

    def by_context(self, arm: str, what: str = "loss_by_context") -> list[float]:
        """[C] mean over seeds of a value by context; NaN where there is none."""
        rows: list[Sequence[float]] = [
            outcome.row(what)
            for outcome in self.outcomes
            if outcome.arm == arm and outcome.row(what)
        ]
        return (
            [sum(column) / len(column) for column in zip(*rows, strict=True)]
            if rows
            else [math.nan] * len(self.contexts)
        )

    @property
    def complete(self) -> bool:
        return len(self.outcomes) == len(self.arms) * len(self.seeds)

    def to_json(self) -> str:
        """NaN is written as null, so that any reader can read it."""
        arms = {arm: settings.to_dict() for arm, settings in self.arms.items()}
        outcomes = [outcome.to_data() for outcome in self.outcomes]
        bare = asdict(replace(self, arms={}, outcomes=()))
        data = {"format": FORMAT, **bare, "arms": arms, "outcomes": outcomes}
        return json.dumps(without_nan(data), indent=1) + "\n"


READER = Reader(
    own={
        Outcome: lambda where: outcome_from,
        Settings: lambda where: lambda data: settings_from_dict(data).check(),
    }
)


def study_from_json(text: str) -> Study:
    """ValueError with a sentence when it is not a study of this format."""
    try:
        data = load_bounded(text.encode(), MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"This study is not valid JSON: {error}") from None
    names = {item.name for item in fields(Study)}
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT or set(data) != names:
        raise ValueError(f"This is not a study of format {FORMAT}.")
    study = READER.read(Study, data, "this study")
    lengths = {
        len(outcome.row(row.name))
        for outcome in study.outcomes
        for row in ROWS
        if row.first or outcome.row(row.name)
    }
    if study.outcomes and lengths != {len(study.contexts)}:
        raise ValueError("An outcome of this study has not one value for each context.")
    if study.reference not in study.arms:
        raise ValueError(f"The reference {study.reference!r} of this study is none of its arms.")
    return study


def save_study(study: Study, path: Path) -> None:
    """Write or replace the file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, study.to_json().encode())


def read_study(path: Path) -> Study:
    """ValueError when the file is damaged or no study; OSError when it cannot be read."""
    return study_from_json(read_small(path).decode("utf-8", "replace"))


def studies_root() -> Path:
    """Where one's own studies are, beside one's runs and hidden from their list."""
    return runs_root() / ".studies"


def study_files() -> list[Path]:
    """Stored studies: those that come with CPart, then one's own, each by name."""
    return [*sorted(RESULTS.glob("*.json")), *sorted(studies_root().glob("*/*.json"))]
