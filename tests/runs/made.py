"""Made-up runs, records and results for the tests of the run folder."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from cpart_core.records.training import Evaluation, PartitionChange, Record, Snapshot
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import RunInfo, write_info
from cpart_core.settings.run import Settings

PROJECT = Path(__file__).resolve().parents[2]
CONTEXTS = ("code", "prose", "sums")
L, N, S, C = 4, 24, 8, len(CONTEXTS)
MADE = Settings().with_values(
    {"num_layers": L, "num_neurons": N, "shared_neurons": 0, "num_segments": S}
)


def make_run(root: Path, run_id: str = "20260102-030405-abcd", **values: Any) -> Run:
    """A new run folder with nothing in it but run.json."""
    info = RunInfo(
        id=run_id,
        name="a run",
        created="2026-01-02T03:04:05+00:00",
        settings=MADE,
        contexts=CONTEXTS,
    )
    folder = root / run_id
    folder.mkdir(parents=True)
    write_info(
        folder,
        RunInfo(**{**{item.name: getattr(info, item.name) for item in fields(info)}, **values}),
    )
    return open_run(run_id)


def make_record(step: int, **values: Any) -> Record:
    by_context = np.array([step, np.nan, -0.0], dtype=np.float32)
    numbers = {
        "loss": 1 / step,
        "affinity_loss": 0.0,
        "balance_loss": 0.0,
        "gradient_norm": 0.3,
        "learning_rate": 1e-3,
        "seconds": 0.01,
    }
    return Record(
        **{
            "step": step,
            "tokens": 7 * step,
            "loss_by_context": by_context,
            "memory_bytes": 1 << 33,
            **numbers,
            **values,
        }
    )


def make_evaluation(generator: np.random.Generator) -> Evaluation:
    losses = generator.random(C)
    losses[1] = np.nan
    return Evaluation(
        loss=float(np.nanmean(losses)),
        loss_by_context=losses,
        tokens_by_context=generator.integers(0, 1 << 40, C),
    )


def make_change(first: bool) -> PartitionChange:
    return PartitionChange(
        churn=np.full(L, np.nan) if first else np.linspace(0, 1, L), seconds=0.25, frozen=not first
    )


def make_snapshot(step: int, generator: np.random.Generator) -> Snapshot:
    return Snapshot(
        step=step,
        segment_of=generator.integers(-1, S, (L, N)).astype(np.int16),
        signature=generator.random((L, N, C)).astype(np.float16),
        signature_scale=generator.random(L).astype(np.float32),
        signature_tokens=generator.random(C),
        fusion_mass=generator.random((L, C, S)).astype(np.float32),
        chosen_share=generator.random((L, C, S)),
        fusion_tokens=generator.integers(0, 1000, C),
        partitioned=True,
        frozen=False,
    )


def make_value(wanted: Any, generator: np.random.Generator) -> Any:
    """Any value of a type, with all that is hard to store: NaN, infinities, lone surrogates, empty
    and numberless arrays."""
    if is_dataclass(wanted):
        return wanted(
            **{name: make_value(hint, generator) for name, hint in get_type_hints(wanted).items()}
        )
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        return tuple(make_value(parts[0], generator) for _ in range(generator.integers(0, 4)))
    if origin is dict:
        options = get_args(parts[1]) or (parts[1],) * 3
        return {
            name: make_value(options[number], generator)
            for number, name in enumerate(("metric", "größe", "n"))
        }
    if wanted is np.ndarray:
        shape = tuple(int(size) for size in generator.integers(0, 5, generator.integers(0, 4)))
        kind = generator.choice(["f2", "f4", "f8", "i2", "i4", "i8", "b1", "u1"])
        array = np.asarray(generator.integers(0, 2, shape).astype(kind))
        return np.where(array > 0, np.array(np.nan, kind), array) if kind.startswith("f") else array
    choices: dict[type, list[Any]] = {
        str: ["", "<0xC3>", "a\x00b", "\ud800", "שלום", "<script>"],
        int: [0, -1, 2**60],
        float: [float("nan"), float("inf"), -0.0, 0.1, 5e-324],
        bool: [True, False],
    }
    return choices[wanted][int(generator.integers(len(choices[wanted])))]


def same(left: Any, right: Any) -> bool:
    """Equal to the bit: types, shapes, NaN and the sign of zero too."""
    if type(left) is not type(right):
        return False
    if is_dataclass(left):
        return all(
            same(getattr(left, item.name), getattr(right, item.name)) for item in fields(left)
        )
    if isinstance(left, np.ndarray):
        return (
            left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        )
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return repr(left) == repr(right)


def start_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code` and can be talked to."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )
