"""What a study found: outcomes of its runs, and the JSON file they are stored in. Plain data; pages read it without torch.

A file from elsewhere is checked as it is read: what does not fit the types is refused with ValueError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cpart_core.config import Settings, coerce, settings_from_dict, types_of
from cpart_core.runs.atomic import read_small, write_file
from cpart_core.runs.folder import runs_root
from cpart_core.study.interval import Interval, interval

FORMAT = 1
RESULTS = Path(__file__).resolve().parent / "results"
"""Studies that come with CPart: really measured, each with its machine and command."""


@dataclass(frozen=True)
class Measure:
    """A number of an outcome, as it is shown."""

    name: str
    """Field of Outcome."""
    title: str
    unit: str
    lower_is_better: bool
    digits: int = 3


MEASURES: tuple[Measure, ...] = (
    Measure("loss", "validation loss", "nats per token, mean over contexts", True, 4),
    Measure("perplexity", "perplexity", "exp of the loss", True, 3),
    Measure("accuracy", "accuracy", "share of next tokens that are the first choice", False, 4),
    Measure("bits_per_byte", "bits per byte", "bits", True, 4),
    Measure("seconds", "training time", "s", True, 1),
    Measure("parameters", "parameters", "numbers", True, 0),
    Measure("active_parameters", "active parameters", "numbers used for one token", True, 0),
    Measure("optimizer_bytes", "optimizer", "bytes", True, 0),
    Measure("activation_bytes", "activations", "bytes kept for the backward pass of one step", True, 0),
    Measure("peak_memory_bytes", "peak memory", "bytes, of the process on a CPU, allocated on a GPU", True, 0),
    Measure("information_mass", "I(S;C) of the fusion mass", "bits, mean over layers", False, 3),
    Measure("information_choice", "I(S;C) of the choice", "bits, mean over layers", False, 3),
    Measure("keep_quarter", "cost of keeping 25 %", "share of the loss, mean over contexts", True, 4),
    Measure("keep_quarter_random", "cost of keeping 25 % by chance", "share of the loss, mean over contexts", True, 4),
    Measure("weight_bytes", "weights", "bytes in memory", True, 0),
    Measure("carved_bytes", "weights, carved to 25 %", "bytes in memory", True, 0),
)
"""The visible list of what is measured. Adding one: a field of Outcome, a line here, and where measure.py fills it."""


@dataclass(frozen=True)
class Outcome:
    """One finished run of a study. NaN: not measured for this run."""

    arm: str
    seed: int
    run: str
    steps: int
    loss: float
    perplexity: float
    accuracy: float
    bits_per_byte: float
    tokens: int
    """Validation tokens behind loss and accuracy: all there are."""
    loss_by_context: tuple[float, ...]
    accuracy_by_context: tuple[float, ...]
    seconds: float
    """Of training alone: validation, snapshots and checkpoints left out; partitioning counts where segments are used."""
    parameters: int
    active_parameters: int
    optimizer_bytes: int
    activation_bytes: int
    peak_memory_bytes: int
    information_mass: float
    information_choice: float
    keep_quarter: float
    keep_quarter_random: float
    weight_bytes: float
    """Of the whole model in memory."""
    carved_bytes: float
    """Of the model carved to a quarter of its segments."""
    fingerprint: str
    """Of the corpus; equal for all arms of a seed."""
    finished: str
    """ISO time."""


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
        found = {outcome.seed: float(getattr(outcome, measure)) for outcome in self.outcomes if outcome.arm == arm}
        return {seed: value for seed, value in sorted(found.items()) if math.isfinite(value)}

    def mean(self, arm: str, measure: str) -> float:
        """Over seeds; NaN where nothing was measured."""
        values = self.values(arm, measure)
        return sum(values.values()) / len(values) if values else math.nan

    def difference(self, arm: str, other: str, measure: str, relative: bool = False) -> Interval | None:
        """arm - other, paired by seed; relative: as a share of the other's value. None where no seed has both."""
        mine, theirs = self.values(arm, measure), self.values(other, measure)
        both = [seed for seed in mine if seed in theirs and (theirs[seed] or not relative)]
        if not both:
            return None
        return interval([(mine[seed] - theirs[seed]) / (abs(theirs[seed]) if relative else 1.0) for seed in both])

    def by_context(self, arm: str, what: str = "loss_by_context") -> list[float]:
        """[C] mean over seeds of a value by context; NaN where there is none."""
        rows: list[Sequence[float]] = [getattr(outcome, what) for outcome in self.outcomes if outcome.arm == arm]
        return [sum(column) / len(column) for column in zip(*rows, strict=True)] if rows else [math.nan] * len(self.contexts)

    @property
    def complete(self) -> bool:
        return len(self.outcomes) == len(self.arms) * len(self.seeds)

    def to_json(self) -> str:
        """NaN is written as null, so that any reader can read it."""
        data = {"format": FORMAT, **asdict(self)}
        return json.dumps(without_nan(data), indent=1) + "\n"


def without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def outcome_from(data: Any) -> Outcome:
    """An outcome from its JSON object; ValueError when it does not fit."""
    names = [item.name for item in fields(Outcome)]
    if not isinstance(data, dict) or set(data) != set(names):
        raise ValueError("An outcome of the study lacks fields or has others than it should.")
    hints = types_of(Outcome)
    values: dict[str, Any] = {}
    for name in names:
        value = data[name]
        if hints[name] is float and value is None:
            value = math.nan
        if hints[name] == tuple[float, ...] and isinstance(value, list):
            value = [math.nan if entry is None else float(entry) if isinstance(entry, int) else entry for entry in value]
        values[name] = coerce(name, value, tuple[float] if hints[name] == tuple[float, ...] else hints[name])
    return Outcome(**values)


def study_from_json(text: str) -> Study:
    """ValueError with a sentence when it is not a study of this format."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"This study is not valid JSON: {error}") from None
    names = {item.name for item in fields(Study)}
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT or set(data) != names:
        raise ValueError(f"This is not a study of format {FORMAT}.")
    wanted = {"name": str, "title": str, "command": str, "date": str, "machine": dict, "jobs": int, "reference": str, "arms": dict,
              "seeds": list, "contexts": list, "outcomes": list}  # fmt: skip
    for name, kind in wanted.items():
        if type(data[name]) is not kind:
            raise ValueError(f"{name} of this study is no {kind.__name__}.")
    if not all(type(seed) is int for seed in data["seeds"]) or not all(isinstance(name, str) for name in data["contexts"]):
        raise ValueError("seeds of a study are whole numbers, contexts are names.")
    outcomes = tuple(outcome_from(entry) for entry in data["outcomes"])
    lengths = {len(outcome.loss_by_context) for outcome in outcomes} | {len(outcome.accuracy_by_context) for outcome in outcomes}
    if outcomes and lengths != {len(data["contexts"])}:
        raise ValueError("An outcome of this study has not one value for each context.")
    if data["reference"] not in data["arms"]:
        raise ValueError(f"The reference {data['reference']!r} of this study is none of its arms.")
    more = {
        "arms": {str(arm): settings_from_dict(settings).check() for arm, settings in data["arms"].items()},
        "seeds": tuple(data["seeds"]),
        "contexts": tuple(data["contexts"]),
        "outcomes": outcomes,
    }
    return Study(**{**data, **more})


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
