"""What `bench all` measured, as plain data, and the JSON file it is stored in: the Speed page and
the table of docs/results.md are made from it.

Pages read it without torch. A file from elsewhere is checked as it is read: what does not fit the
types is refused with ValueError.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.typed_json import Reader
from cpart_core.runs.atomic import read_small, write_file

FORMAT = 1
RESULTS = Path(__file__).resolve().parent / "results"
"""Measurements that come with CPart: really made, one file for each class of machine."""
REACHED, NOT_REACHED, AT_THE_EDGE, NO_FIGURE = (
    "reached",
    "not reached",
    "at the edge",
    "no figure set",
)
RATE, BANDWIDTH, OF_ROOF = "GFLOP/s", "GB/s", "share of the roof"
"""Units of numbers for which no figure was set and which are told all the same."""
MOST_OWN = 8
"""Of a person's own measurements, so many of the newest are offered."""
MOST_BYTES = 64 << 20
"""Of memory for what a file says; ours takes a tenth."""
LARGEST = 1e30
"""Numbers of a file beyond this are no measurements."""
READER = Reader(LARGEST, others=True)


@dataclass(frozen=True)
class Measured:
    """One number with its spread, and the figure that it was to reach."""

    part: str
    """kernels, train, ..."""
    where: str
    """Shape and precision."""
    what: str
    """ours / theirs."""
    unit: str
    """What is compared: time, bytes kept, speed; or s for seconds by themselves."""
    median: float
    low: float
    high: float
    """Quartiles."""
    n: int
    cpu: float
    """The same by CPU time, which other programs disturb less; NaN where it was not counted."""
    figure: float
    """NaN: none was set."""
    at_most: bool
    """Whether the figure is an upper bound; else a lower one."""

    @property
    def verdict(self) -> str:
        """From median and quartiles alone: reached or not with all three, else at the edge."""
        if math.isnan(self.figure):
            return NO_FIGURE
        good = [
            value <= self.figure if self.at_most else value >= self.figure
            for value in (self.median, self.low, self.high)
        ]
        return REACHED if all(good) else AT_THE_EDGE if any(good) else NOT_REACHED

    @property
    def told(self) -> bool:
        """Whether it is among what a person sees first: it has a figure, or is the machine's own
        limit or how near that things come, or is what a person waits for."""
        return (
            self.verdict != NO_FIGURE
            or self.unit in (RATE, BANDWIDTH, OF_ROOF)
            or self.part == "app"
        )


@dataclass(frozen=True)
class Line:
    """x and y of equal length; low and high are y's quartiles, empty for an ideal line."""

    name: str
    ideal: bool
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """Cost against one size, each line beside its ideal."""

    part: str
    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class LeftOut:
    """What could not be measured here."""

    part: str
    name: str
    why: str


@dataclass(frozen=True)
class Speed:
    """One run of `bench all`."""

    format: int
    date: str
    command: str
    machine: dict[str, Any]
    quick: bool
    """Too few repetitions and too small shapes for figures to count."""
    seconds: dict[str, float]
    """Of each part."""
    measured: tuple[Measured, ...]
    curves: tuple[Curve, ...]
    left_out: tuple[LeftOut, ...]
    raw: dict[str, Any]
    """Each part's own results, as its JSON has them."""

    def to_json(self) -> str:
        """NaN is written as null, so that any reader can read it."""
        plain = json.loads(json.dumps(asdict(self)), parse_constant=lambda _: None)
        return json.dumps(plain, indent=1) + "\n"


def speed_from_json(text: str) -> Speed:
    """ValueError with a sentence when it is not a measurement of this format."""
    try:
        data = load_bounded(text.encode(), MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"it is not valid JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(
            f"it is not a measurement of format {FORMAT}; `python -m cpart_core bench all`"
            " makes one"
        )
    speed = READER.read(Speed, data, "the file")
    for curve in speed.curves:
        for line in curve.lines:
            lengths = {len(line.x), len(line.y)} | (
                {len(line.low), len(line.high)} if not line.ideal else set()
            )
            if len(lengths) != 1:
                raise ValueError(f"the line {line.name!r} has columns of different lengths")
    return speed


def read_speed(path: Path) -> Speed:
    """ValueError or OSError when it cannot be read."""
    return speed_from_json(read_small(path).decode("utf-8"))


def save_speed(speed: Speed, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, speed.to_json().encode("utf-8"))


def speed_files() -> list[Path]:
    """Those that come with CPart, then a person's own, newest first."""
    own = sorted((RESULTS.parents[2] / "bench-results").glob("all-*.json"), reverse=True)
    return sorted(RESULTS.glob("*.json")) + own[:MOST_OWN]
