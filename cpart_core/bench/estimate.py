"""`bench estimate`: what the Train page forecasts of a training, beside what it then takes.

A few steps each of models of several sizes and kinds, each in a process of its own on this
machine's CPU; the greatest resident memory and the median step. Prints the line through the
measured memories too, from which PROCESS_BYTES and the rest of training/estimate.py are set.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from cpart_core.bench.report.save import save
from cpart_core.files.paths import given_path
from cpart_core.runs.child import python_child
from cpart_core.settings.presets import preset
from cpart_core.settings.run import Settings
from cpart_core.training.estimate import PROCESS_BYTES, estimate, step_bytes, weight_bytes

TINY = {
    "num_layers": 2,
    "width": 32,
    "num_heads": 2,
    "num_kv_heads": 2,
    "num_neurons": 64,
    "shared_neurons": 0,
    "num_segments": 4,
    "context_length": 64,
    "batch_size": 8,
    "vocabulary_size": 512,
}
KINDS: dict[str, Mapping[str, Any]] = {
    "tiny": TINY,
    "quick, dense": {"execution": "dense"},
    "quick, top-k": {"execution": "topk"},
    "quick, twice the batch": {"batch_size": 32},
    "quick, twice the width": {"width": 256},
    "quick, twice the neurons": {"num_neurons": 1024},
}
"""Name -> what differs from the preset quick."""
SOON = {
    "warmup_steps": 2,
    "first_step": 4,
    "every": 4,
    "freeze_step": 12,
    "evaluate_every": 8,
    "snapshot_every": 8,
    "checkpoint_every": 8,
}
"""Everything that a training does happens within the few steps."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=20, help="steps of each training (default 20)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(KINDS),
        default=list(KINDS),
        metavar="KIND",
        help="only these models",
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench estimate",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.steps < 16:
        raise ValueError(
            f"--steps is {arguments.steps}; give 16 or more, so that a checkpoint and a partition"
            " are among them."
        )
    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as root:
        os.environ["CPART_RUNS"] = root
        rows = [measured(name, arguments.steps) for name in arguments.only]
    results: dict[str, Any] = {"steps": arguments.steps, "models": rows}
    if len(rows) >= 4:
        results["line"] = line_through(rows)
        print(
            "measured = {process_mb:.0f} MB + {of_weights:.2f} x weights + {of_step:.2f} x step".format(
                **results["line"]
            )
        )
    save("estimate", results, arguments.out)
    return 0


def settings_of(name: str, steps: int) -> Settings:
    return (
        preset("quick")
        .with_values(
            {**KINDS[name], **SOON, "steps": steps, "kilobytes_per_context": 30, "device": "cpu"}
        )
        .check()
    )


def measured(name: str, steps: int) -> dict[str, Any]:
    """Train it, and read from its run what it took. RuntimeError with its last words when it
    fails."""
    from cpart_core.runs.create import create_run
    from cpart_core.runs.folder import open_run

    settings = settings_of(name, steps)
    run = create_run(settings, None, name)
    child = python_child("cpart_core", "resume", run.id)
    done = subprocess.run(
        child.command,
        env=child.environment,
        cwd=child.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"The training of {name} failed:\n{done.stderr[-2000:]}")
    records = open_run(run.id).records()
    needed = estimate(settings)
    most = float(records.memory_bytes.max())
    row = {
        "model": name,
        "forecast_mb": needed.memory_bytes / 1e6,
        "measured_mb": most / 1e6,
        "measured_by_forecast": most / needed.memory_bytes,
        "weights_mb": weight_bytes(settings) / 1e6,
        "step_mb": step_bytes(settings) / 1e6,
        "step_seconds": median(records.seconds.tolist()),
        "gflops": needed.flops_per_step / median(records.seconds.tolist()) / 1e9,
    }
    print(
        f"{name:24} {most / 1e6:5.0f} MB measured, {needed.memory_bytes / 1e6:5.0f} MB forecast,"
        f" {row['step_seconds']:.3f} s a step",
        flush=True,
    )
    return row


def line_through(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Least squares: measured memory = process + a x what follows from the weights + b x what
    follows from a step. Today's process beside it."""
    known = np.array([[1.0, row["weights_mb"], row["step_mb"]] for row in rows])
    process, weights, step = np.linalg.lstsq(
        known, np.array([row["measured_mb"] for row in rows]), rcond=None
    )[0]
    return {
        "process_mb": float(process),
        "of_weights": float(weights),
        "of_step": float(step),
        "process_mb_in_use": PROCESS_BYTES / 1e6,
    }
