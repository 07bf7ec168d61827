"""Studies made of numbers, and a plan so small that it trains in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cpart_core.settings.run import Settings
from cpart_core.study.outcome import Outcome
from cpart_core.study.result import Study
from tests.runs.tiny import TINY, gathered

SMALL = {
    item.name: list(value) if isinstance(value, tuple) else value
    for (_, item, value), (_, _, default) in zip(TINY.items(), Settings().items(), strict=True)
    if value != default
}


def text_folder(root: Path) -> Path:
    """Two contexts as a folder of files."""
    for document in gathered().documents:
        (root / document.context).mkdir(parents=True, exist_ok=True)
        (root / document.context / f"{document.title}.txt").write_text(document.text)
    return root


def plan_file(path: Path, **changes: Any) -> Path:
    data = {
        "name": "tiny",
        "title": "A tiny study",
        "settings": {**SMALL, "steps": 24, "fusion_step": 12},
        "arms": {"gradient": {}, "dense": "dense"},
        "reference": "gradient",
        "seeds": [0, 1],
    }
    path.write_text(json.dumps({**data, **changes}))
    return path


IDENTITY = {"steps": 100, "finished": "2026-01-02T03:04:05+00:00"}
NUMBERS = {
    "loss": 2.0, "perplexity": 7.389, "accuracy": 0.5, "bits_per_byte": 1.5, "tokens": 10_000, "seconds": 60.0, "parameters": 1_000_000,
    "active_parameters": 1_000_000, "optimizer_bytes": 8_000_000, "activation_bytes": 20_000_000, "peak_memory_bytes": 600_000_000,
    "information_mass": 0.5, "information_choice": 0.7, "keep_quarter": 0.01, "keep_quarter_random": 0.2,
    "weight_bytes": 4_000_000.0, "carved_bytes": 2_500_000.0,
}  # fmt: skip
BY_CONTEXT = {"loss_by_context": (1.9, 2.1), "accuracy_by_context": (0.5, 0.5)}


def made_outcome(arm: str, seed: int, **changes: Any) -> Outcome:
    """changes: numbers, rows and words by their names."""
    bare = Outcome(arm, seed, f"{arm}-{seed}", fingerprint=f"{seed}" * 8, **IDENTITY)
    return bare.with_values({**NUMBERS, **BY_CONTEXT, **changes})


def made_study(differences: dict[str, tuple[float, ...]] | None = None, **changes: Any) -> Study:
    """Three seeds of gradient, dense and random. differences: measure -> what gradient has more
    than the others, by seed."""
    outcomes = []
    for seed in range(3):
        outcomes += [made_outcome(arm, seed) for arm in ("dense", "random")]
        base = made_outcome("gradient", seed)
        more = {name: base[name] + by_seed[seed] for name, by_seed in (differences or {}).items()}
        outcomes.append(made_outcome("gradient", seed, **more))
    values: dict[str, Any] = {
        "name": "made", "title": "Made of numbers", "command": "python -m cpart_core study made", "date": "2026-01-02T03:04:05+00:00",
        "machine": {"processor": "none", "cores": 2}, "jobs": 1, "reference": "gradient",
        "arms": {"gradient": Settings(), "dense": Settings().with_values({"execution": "dense"}), "random": Settings().with_values({"method": "random"})},
        "seeds": (0, 1, 2), "contexts": ("days", "sums"), "outcomes": tuple(outcomes),
    }  # fmt: skip
    return Study(**{**values, **changes})
