"""`bench kills`: a training killed (SIGKILL) at random times and resumed each time ends as one that
was never touched.

Compared bit for bit: final weights and optimizer state, every record but its wall time and memory,
every validation, repartition and snapshot. The times of the kills cover start-up, building the
corpus, training, the writing of checkpoints, the moment between a new checkpoint's rename and the
removal of the old one, and resuming. What a killed trainer leaves behind has to be gone at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from cpart_core.bench.harness.fork_server import ForkServer
from cpart_core.bench.report.save import save
from cpart_core.files.paths import given_path
from cpart_core.files.plain import TEMPORARY
from cpart_core.runs.create import create_run
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.snapshots import steps_in
from cpart_core.settings.run import Settings

SMALL = Settings().with_values(
    {
        "kilobytes_per_context": 20,
        "vocabulary_size": 300,
        "num_layers": 2,
        "width": 32,
        "num_heads": 2,
        "num_kv_heads": 2,
        "num_neurons": 64,
        "shared_neurons": 16,
        "num_segments": 4,
        "context_length": 32,
        "steps": 600,
        "batch_size": 4,
        "first_step": 60,
        "every": 60,
        "freeze_step": 300,
        "fusion_step": 120,
        "evaluate_every": 100,
        "evaluation_rows": 1,
        "snapshot_every": 100,
        "checkpoint_every": 20,
        "device": "cpu",
        "threads": 1,
    }
)
"""Some seconds of training, thirty checkpoints."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kills", type=int, default=100, help="kills, over as many runs as it takes (default: 100)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the times of the kills (default: 0)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=SMALL.training.steps,
        help=f"steps of each run (default: {SMALL.training.steps})",
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default: bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench kills", description=(__doc__ or "").splitlines()[0]
    )
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
    when: Counter[str] = Counter()
    runs: list[dict[str, str]] = []
    with ForkServer() as server:
        began = time.monotonic()
        finish(server, untouched)
        seconds = time.monotonic() - began
        wanted = fingerprints(open_run(untouched.id))
        print(f"untouched run: {seconds:.1f} s", flush=True)
        while when.total() < kills:
            run = create_run(settings, None, "killed", run_id=f"killed-{len(runs) + 1}")
            while (
                when.total() < kills
                and (phase := kill_once(server, run, seconds, chance)) is not None
            ):
                when[phase] += 1
            finish(server, run)
            runs.append(differences(wanted, fingerprints(open_run(run.id))))
            print(
                f"{when.total()} kills, run {len(runs)}: {'equal' if not runs[-1] else runs[-1]}",
                flush=True,
            )
    equal = sum(not entry for entry in runs)
    print(
        f"{when.total()} kills in {len(runs)} runs; {equal} runs equal to the untouched one. By"
        f" phase: {dict(when)}"
    )
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


def kill_once(server: ForkServer, run: Run, seconds: float, chance: random.Random) -> str | None:
    """Start, wait for a moment drawn by chance, SIGKILL. The phase the trainer was in, or None when
    it ended before.

    The moment is one of: a time after the start (every sixth time of a cold process, which imports
    torch first), a number of steps from where the run is, or the sight of an unfinished checkpoint,
    or of one checkpoint more than are kept.
    """
    kind = chance.choice(("time", "cold", "steps", "steps", "writing", "pruning"))
    trainer = server.start(run, cold=kind == "cold")
    deadline = time.monotonic() + chance.uniform(
        0.0, 0.1 * seconds + (3.0 if kind == "cold" else 0.0)
    )
    target = run.state().step + chance.randint(1, max(2, run.settings.training.steps // 8))
    writing = run.folder / "checkpoints"
    resumed = bool(steps_in(writing))
    while (status := trainer.ended()) is None:
        if kind in ("time", "cold") and time.monotonic() >= deadline:
            break
        if kind == "steps" and run.state().step >= target:
            break
        if kind == "writing" and unfinished(writing):
            break
        if kind == "pruning" and unpruned(run):
            break
        time.sleep(0.0 if kind == "pruning" else 0.0005)  # that moment is short
    if status is not None:
        assert status == 0, f"the trainer ended with status {status}"
        return None
    state = run.state()
    phase = state.phase if state.alive else "before the lock"
    trainer.kill()
    # What it was at is seen best by what it has left: it went on between the sight of the moment
    # and its death.
    if unpruned(run):
        return "between rename and prune"
    if unfinished(writing):
        return "writing a checkpoint"
    return "resuming" if resumed and phase == "starting" else phase


def unfinished(checkpoints: Path) -> bool:
    """Is a checkpoint being written?"""
    return checkpoints.is_dir() and any(
        entry.name.startswith(TEMPORARY) for entry in checkpoints.iterdir()
    )


def unpruned(run: Run) -> bool:
    """Is there a checkpoint more than are kept, or one that is being removed?"""
    checkpoints = run.folder / "checkpoints"
    if not checkpoints.is_dir():
        return False
    removed = any(
        entry.name.startswith(TEMPORARY) and "-gone-" in entry.name
        for entry in checkpoints.iterdir()
    )
    return removed or len(steps_in(checkpoints)) > run.settings.training.keep_checkpoints


def finish(server: ForkServer, run: Run) -> None:
    """Train to the end, untouched."""
    trainer = server.start(run, cold=False)
    while (status := trainer.ended()) is None:
        time.sleep(0.05)
    assert status == 0, f"the trainer ended with status {status}"


def fingerprints(run: Run) -> dict[str, str]:
    """SHA-256 of all that must be the same: last checkpoint, records, validations, partitions,
    snapshots; no wall times, no memory."""
    checkpoint = run.checkpoint_folder(max(run.checkpoint_steps()))
    found = {
        name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "state.json")
    }
    found["optimizer"] = hash_of_tensors(checkpoint / "optimizer.safetensors")
    for name, table in (
        ("records", run.records(10**9)),
        ("evaluations", run.evaluations()),
        ("changes", run.changes()),
    ):
        columns = [
            getattr(table, item.name)
            for item in fields(table)
            if item.name not in ("seconds", "memory_bytes", "stride", "total")
        ]
        found[name] = hash_of_arrays(columns)
    snapshots = [run.snapshot(step) for step in run.snapshot_steps()]
    found["snapshots"] = hash_of_arrays(
        [np.asarray(getattr(entry, item.name)) for entry in snapshots for item in fields(entry)]
    )
    found["left over"] = ", ".join(sorted(path.name for path in run.folder.rglob(f"{TEMPORARY}*")))
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
