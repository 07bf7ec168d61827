"""What every measurement ends with: the machine it ran on, medians, and one JSON file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import cpart_core
from cpart_core.study.machine import machine

PROJECT = Path(cpart_core.__file__).resolve().parent.parent


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Median with the quartiles, so that noise can be seen."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return {
        "median": median(ordered),
        "low_quartile": ordered[quarter],
        "high_quartile": ordered[-1 - quarter],
        "n": len(ordered),
    }


def in_turns(names: Iterable[str], repeats: int) -> Iterator[str]:
    """Every name `repeats` times: one after the other, then backwards, and so on, so that a busy
    machine slows all of them alike."""
    order = list(names)
    for repeat in range(repeats):
        yield from order if repeat % 2 == 0 else reversed(order)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float | int]:
    """Ours / theirs, repetition by repetition, with its spread; without those where a coarse clock
    saw nothing of theirs."""
    return spread([x / y for x, y in zip(ours, theirs, strict=True) if y > 0])


def save(name: str, results: dict[str, Any], folder: Path | None) -> Path:
    """Write the results with date, machine and command; return the file."""
    now = datetime.now(UTC)
    folder = folder or PROJECT / "bench-results"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{now:%Y%m%d-%H%M%S}.json"
    document = {
        "bench": name,
        "date": now.isoformat(timespec="seconds"),
        "flags": sys.argv[1:],
        "machine": machine(),
        "results": results,
    }
    # JSON has no NaN: it becomes null
    plain = json.loads(json.dumps(document), parse_constant=lambda _: None)
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    print(f"saved: {path}")
    return path
