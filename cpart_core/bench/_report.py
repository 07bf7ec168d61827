"""What every measurement ends with: the machine it ran on, medians, paired intervals, and one JSON file."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import cpart_core

PROJECT = Path(cpart_core.__file__).resolve().parent.parent
PACKAGES = ("torch", "numpy", "streamlit", "plotly", "pandas", "scikit-learn", "umap-learn", "safetensors", "tokenizers")


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval (Student's t)."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}] (n = {self.n})"


def paired_interval(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The mean of ours - theirs and its 95 % interval; at least two pairs, else the interval is NaN to NaN."""
    from scipy.stats import t

    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    if len(differences) < 2:
        return Interval(differences[0], float("nan"), float("nan"), len(differences))
    half = float(t.ppf(0.975, len(differences) - 1)) * stdev(differences) / len(differences) ** 0.5
    return Interval(mean(differences), mean(differences) - half, mean(differences) + half, len(differences))


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Median with the quartiles, so that noise can be seen."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return {"median": median(ordered), "low_quartile": ordered[quarter], "high_quartile": ordered[-1 - quarter], "n": len(ordered)}


def machine() -> dict[str, Any]:
    """Enough to know which figures may be compared; no host name, no paths."""
    return {
        "system": platform.system(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "cpart": cpart_core.__version__,
    }


def processor() -> str:
    """The processor's name where the system says it, and the wide instructions that decide speed."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    lines = info.read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    wide = [flag for flag in ("avx2", "avx512f", "amx_bf16") if flag in flags]
    return f"{names[0] if names else platform.machine()} ({', '.join(wide) or 'no wide instructions'})"


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def save(name: str, results: dict[str, Any], folder: Path | None) -> Path:
    """Write the results with date, machine and command; return the file."""
    now = datetime.now(UTC)
    folder = folder or PROJECT / "bench-results"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{now:%Y%m%d-%H%M%S}.json"
    document = {"bench": name, "date": now.isoformat(timespec="seconds"), "flags": sys.argv[1:], "machine": machine(), "results": results}
    plain = json.loads(json.dumps(document), parse_constant=lambda _: None)  # JSON has no NaN: it becomes null
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    print(f"saved: {path}")
    return path
