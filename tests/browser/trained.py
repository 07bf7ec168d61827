"""Small finished runs for the browser to look at, trained by the project's own command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.source_files import ROOT

TINY = {
    "--num-layers": 2,
    "--width": 32,
    "--num-heads": 2,
    "--num-kv-heads": 2,
    "--num-neurons": 72,
    "--shared-neurons": 8,
    "--num-segments": 4,
    "--context-length": 48,
    "--kilobytes-per-context": 20,
    "--vocabulary-size": 300,
    "--steps": 40,
    "--batch-size": 6,
    "--warmup-steps": 5,
    "--first-step": 10,
    "--every": 10,
    "--freeze-step": 30,
    "--signature-every": 2,
    "--evaluate-every": 10,
    "--evaluation-rows": 2,
    "--snapshot-every": 10,
    "--checkpoint-every": 20,
    "--device": "cpu",
}
"""A model that trains in seconds and has everything a page shows: several partitions, snapshots,
two checkpoints."""


def train(root: Path, run_id: str, name: str, changes: dict[str, str | int] | None = None) -> str:
    """Train a run to its end; returns its id."""
    flags = [str(word) for pair in {**TINY, **(changes or {})}.items() for word in pair]
    command = [
        sys.executable,
        "-m",
        "cpart_core",
        "train",
        "--id",
        run_id,
        f"--name={name}",
        "--out",
        str(root),
        *flags,
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return run_id
