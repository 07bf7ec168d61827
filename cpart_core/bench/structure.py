"""`bench structure`: how long after Train a person sees the first segment structure, with the quick
preset, no pages involved.

"Structure" is the first stored snapshot whose partition comes from the chosen method, not from
numbering; the pages draw exactly that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cpart_core.bench.report.save import save, spread
from cpart_core.files.paths import given_path
from cpart_core.runs.child import python_child
from cpart_core.settings.presets import PRESETS

if TYPE_CHECKING:
    from cpart_core.runs.folder import Run

RUN = "bench-structure"
LIMIT_SECONDS = 600


@dataclass(frozen=True)
class Milestones:
    """Seconds from the start of the command."""

    first_record: float
    first_snapshot: float
    first_structure: float
    structure_step: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=[entry.name for entry in PRESETS], default="quick")
    parser.add_argument(
        "--repeats", type=int, default=3, help="trainings from the very start (default 3)"
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench structure",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.repeats < 1:
        raise ValueError(f"--repeats is {arguments.repeats}; give 1 or more.")
    measured = []
    for number in range(arguments.repeats):
        milestones = measure(arguments.preset)
        measured.append(milestones)
        print(
            f"{number + 1}/{arguments.repeats}  first record {milestones.first_record:.1f} s  "
            f"first snapshot {milestones.first_snapshot:.1f} s  "
            f"first structure {milestones.first_structure:.1f} s (step"
            f" {milestones.structure_step})",
            flush=True,
        )
    summary: dict[str, Any] = {
        name: spread([getattr(item, name) for item in measured])
        for name in ("first_record", "first_snapshot", "first_structure")
    }
    print(
        f"first structure: {summary['first_structure']['median']:.1f} s after the command (median"
        f" of {len(measured)})"
    )
    save(
        "structure",
        {"preset": arguments.preset, "seconds": summary, "each": [vars(item) for item in measured]},
        arguments.out,
    )
    return 0


def measure(preset_name: str) -> Milestones:
    """Start a training, watch its folder as a page does, and end it when the structure is there."""
    with (
        tempfile.TemporaryDirectory(prefix="cpart-bench-") as root,
        tempfile.TemporaryFile() as log,
    ):
        os.environ["CPART_RUNS"] = root
        child = python_child("cpart_core", "train", "--preset", preset_name, "--id", RUN)
        began = time.perf_counter()
        trainer = subprocess.Popen(
            child.command,
            env=child.environment,
            cwd=child.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            return watch(trainer, began)
        except RuntimeError:
            log.seek(0)
            print(log.read().decode("utf-8", "replace")[-2000:], file=sys.stderr)
            raise
        finally:
            trainer.kill()
            trainer.wait()


def watch(trainer: subprocess.Popen[bytes], began: float) -> Milestones:
    from cpart_core.runs.folder import open_run

    seen: dict[str, float] = {}
    run: Run | None = None
    while time.perf_counter() - began < LIMIT_SECONDS:
        ended = trainer.poll() is not None
        try:
            run = run or open_run(RUN)
        except ValueError:
            time.sleep(0.05)  # not there yet
        else:
            now = time.perf_counter() - began
            if run.state().step > 0:
                seen.setdefault("first_record", now)
            for step in run.snapshot_steps():
                seen.setdefault("first_snapshot", now)
                if run.snapshot(step).partitioned:
                    return Milestones(
                        seen.get("first_record", now), seen["first_snapshot"], now, step
                    )
        if ended:
            raise RuntimeError(
                f"The training ended (exit code {trainer.returncode}) before any structure was"
                " seen."
            )
        time.sleep(0.1)
    raise RuntimeError(f"No structure within {LIMIT_SECONDS} s.")
