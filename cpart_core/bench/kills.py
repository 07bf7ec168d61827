"""`bench kills`: a training killed (SIGKILL) at random times and resumed each time ends as one that was never touched.

Compared bit for bit: final weights and optimizer state, every record but its wall time and memory, every validation, repartition and
snapshot. The times of the kills cover start-up, building the corpus, training and the writing of checkpoints.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from cpart_core.bench._report import save
from cpart_core.config import Settings
from cpart_core.runs.create import create_run, project_root
from cpart_core.runs.folder import Run, open_run, runs_root

SMALL = Settings().with_values(
    {
        "kilobytes_per_context": 20,
        "vocabulary_size": 300,
        "num_layers": 2,
        "width": 32,
        "num_heads": 2,
        "num_kv_heads": 2,
        "num_neurons": 64,
        "num_segments": 4,
        "context_length": 32,
        "steps": 1500,
        "batch_size": 4,
        "first_step": 60,
        "every": 60,
        "freeze_step": 300,
        "fusion_step": 120,
        "evaluate_every": 50,
        "evaluation_rows": 1,
        "snapshot_every": 50,
        "checkpoint_every": 20,
        "device": "cpu",
        "threads": 1,
    }
)
"""Seconds of training, a checkpoint about every quarter of a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=100, help="kills, over as many runs as it takes (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times of the kills (default: 0)")
    parser.add_argument("--steps", type=int, default=SMALL.training.steps, help=f"steps of each run (default: {SMALL.training.steps})")
    parser.add_argument("--out", type=Path, help="folder of the JSON file (default: bench-results)")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cpart_core bench kills", description=(__doc__ or "").splitlines()[0])
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.kills < 1:
        raise ValueError(f"--kills is {arguments.kills}; give 1 or more.")
    settings = SMALL.with_values({"steps": arguments.steps}).check()
    before = os.environ.get("CPART_RUNS")
    with tempfile.TemporaryDirectory(prefix="cpart-kills-") as root:
        os.environ["CPART_RUNS"] = root
        try:
            results = measure(settings, arguments.kills, random.Random(arguments.seed))
        finally:
            os.environ.pop("CPART_RUNS")
            if before is not None:
                os.environ["CPART_RUNS"] = before
    save("kills", results, arguments.out)
    return 0 if results["equal_runs"] == results["runs"] else 1


def measure(settings: Settings, kills: int, chance: random.Random) -> dict[str, Any]:
    """One untouched run, then killed ones until there were enough kills."""
    untouched = create_run(settings, None, "untouched", run_id="untouched")
    began = time.monotonic()
    finish(untouched)
    seconds = time.monotonic() - began
    wanted = fingerprints(open_run(untouched.id))
    print(f"untouched run: {seconds:.1f} s", flush=True)
    when: Counter[str] = Counter()
    runs: list[dict[str, str]] = []
    while when.total() < kills:
        run = create_run(settings, None, "killed", run_id=f"killed-{len(runs) + 1}")
        while when.total() < kills and (phase := kill_once(run, chance.uniform(0.0, 0.6 * seconds))) is not None:
            when[phase] += 1
        finish(run)
        runs.append(differences(wanted, fingerprints(open_run(run.id))))
        print(f"{when.total()} kills, run {len(runs)}: {'equal' if not runs[-1] else runs[-1]}", flush=True)
    equal = sum(not entry for entry in runs)
    print(f"{when.total()} kills in {len(runs)} runs; {equal} runs equal to the untouched one. By phase: {dict(when)}")
    return {
        "kills": when.total(),
        "runs": len(runs),
        "equal_runs": equal,
        "differences": [entry for entry in runs if entry],
        "kills_by_phase": dict(when),
        "untouched_seconds": seconds,
        "steps": settings.training.steps,
        "checkpoint_every": settings.training.checkpoint_every,
        "model_sha256": wanted["model.safetensors"],
    }


def start(run: Run) -> subprocess.Popen[bytes]:
    """The trainer, as the page starts it."""
    environment = {**os.environ, "CPART_RUNS": str(runs_root()), "PYTHONPATH": str(project_root()), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "cpart_core", "resume", run.id],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_once(run: Run, after_seconds: float) -> str | None:
    """Start, wait, SIGKILL. The phase the trainer was in, or None when it ended before."""
    process = start(run)
    try:
        process.wait(after_seconds)
    except subprocess.TimeoutExpired:
        state = run.state()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return state.phase if state.alive else "before the lock"
    _, words = process.communicate()
    assert process.returncode == 0, words.decode(errors="replace")
    return None


def finish(run: Run) -> None:
    """Train to the end, untouched."""
    process = start(run)
    _, words = process.communicate()
    assert process.returncode == 0, words.decode(errors="replace")


def fingerprints(run: Run) -> dict[str, str]:
    """SHA-256 of all that must be the same: last checkpoint, records, validations, partitions, snapshots; no wall times, no memory."""
    checkpoint = run.checkpoint_folder(max(run.checkpoint_steps()))
    found = {name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() for name in ("model.safetensors", "state.json")}
    found["optimizer"] = hash_of_tensors(checkpoint / "optimizer.safetensors")
    for name, table in (("records", run.records(10**9)), ("evaluations", run.evaluations()), ("changes", run.changes())):
        columns = [getattr(table, item.name) for item in fields(table) if item.name not in ("seconds", "memory_bytes", "stride", "total")]
        found[name] = hash_of_arrays(columns)
    snapshots = [run.snapshot(step) for step in run.snapshot_steps()]
    found["snapshots"] = hash_of_arrays([np.asarray(getattr(entry, item.name)) for entry in snapshots for item in fields(entry)])
    return found


def hash_of_tensors(path: Path) -> str:
    """The tensors by name: the order in the file may differ after a resume."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    return hash_of_arrays([tensors[name] for name in sorted(tensors)])


def hash_of_arrays(arrays: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def differences(wanted: dict[str, str], found: dict[str, str]) -> dict[str, str]:
    return {name: found[name] for name in wanted if wanted[name] != found[name]}
