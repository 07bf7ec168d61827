"""`bench all`: kernels, train, generate, maps, scale, app and curves, one after the other in fresh
processes, into one JSON file.

The machine should do nothing else. `--publish` stores the file where the Speed page and `bench
table` of this copy find it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cpart_core.bench.harness.chromium import why_no_browser
from cpart_core.bench.report.collect import curves_of, left_out_of, measured_of
from cpart_core.bench.report.save import PROJECT
from cpart_core.bench.speed import FORMAT, RESULTS, Speed, save_speed
from cpart_core.bench.table import as_markdown
from cpart_core.files.paths import given_path
from cpart_core.runs.child import python_child
from cpart_core.study.machine import machine, version

PARTS: dict[str, list[str]] = {
    "kernels": ["--repeats", "7"],
    "train": ["--shape", "train", "batch-32", "quick", "--blocks", "7"],
    "generate": ["--repeats", "5"],
    "maps": ["--repeats", "3"],
    "scale": ["--shape", "train", "batch-32", "--blocks", "7", "--steps", "5"],
    "app": ["--repeats", "7"],
    "curves": [],
}
"""Name -> flags; about half an hour on two cores that do nothing else."""
QUICK: dict[str, list[str]] = {
    "kernels": ["--quick"],
    "train": ["--shape", "train", "--blocks", "3", "--steps", "2", "--no-compile"],
    "generate": ["--quick"],
    "maps": ["--repeats", "1", "--neurons", "2000", "--most", "4096"],
    "scale": ["--shape", "quick", "--blocks", "3", "--steps", "5"],
    "app": ["--repeats", "2", "--records", "2000", "--runs", "50", "--steps", "5000"],
    "curves": ["--quick"],
}
LONGEST = 3600
"""Seconds after which a part is given up."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(PARTS),
        default=list(PARTS),
        help="only these parts (default: all)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few minutes instead of half an hour; its numbers decide nothing",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="also store it where the Speed page of this copy finds it",
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench all",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    parts: dict[str, Any] = {}
    failed: dict[str, str] = {}
    absent: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in arguments.only:
        if why := why_not(name):
            absent[name] = why
            print(f"\n== {name} left out: {why}", flush=True)
            continue
        began = time.perf_counter()
        try:
            parts[name] = measure(name, (QUICK if arguments.quick else PARTS)[name])
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failed[name] = str(error)
            print(f"{name}: {error}", file=sys.stderr, flush=True)
        seconds[name] = round(time.perf_counter() - began, 1)
    speed = joined(parts, failed | absent, seconds, arguments.quick, command_of(arguments))
    now = datetime.now(UTC)
    paths = [(arguments.out or PROJECT / "bench-results") / f"all-{now:%Y%m%d-%H%M%S}.json"]
    paths += [RESULTS / f"{machine_class(speed.machine)}.json"] if arguments.publish else []
    print("\n" + as_markdown(speed))
    for path in paths:
        save_speed(speed, path)
        print(f"saved: {path}")
    print(
        f"{sum(seconds.values()) / 60:.1f} minutes: "
        + ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    )
    return 1 if failed else 0


def why_not(name: str) -> str | None:
    """Why a part cannot be measured on this machine; None: it can."""
    return why_no_browser() if name == "app" else None


def measure(name: str, flags: list[str]) -> Any:
    """A part's results, made in a process of its own. RuntimeError when it ends without any."""
    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as folder:
        child = python_child("cpart_core", "bench", name, *flags, "--out", folder)
        print(f"\n== bench {name} {' '.join(flags)}", flush=True)
        status = subprocess.run(
            child.command,
            env=child.environment,
            cwd=child.folder,
            stdin=subprocess.DEVNULL,
            timeout=LONGEST,
            check=False,
        ).returncode
        files = sorted(Path(folder).glob("*.json"))
        if status or not files:
            raise RuntimeError(
                f"this part ended with exit code {status} and without results; what it said is"
                " above"
            )
        return json.loads(files[-1].read_text(encoding="utf-8"))["results"]


def joined(
    parts: dict[str, Any],
    missing: dict[str, str],
    seconds: dict[str, float],
    quick: bool,
    command: str,
) -> Speed:
    """One document of all parts; missing: those that failed or cannot be measured here, and why."""
    return Speed(
        format=FORMAT,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        machine=machine() | {"gpu": gpu(), "transformers": version("transformers")},
        quick=quick,
        seconds=seconds,
        measured=measured_of(parts),
        curves=curves_of(parts),
        left_out=left_out_of(parts, missing),
        raw=parts,
    )


def gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def machine_class(found: dict[str, Any]) -> str:
    """A file's name: cores and processor, or the GPU. Machines of one class replace each other's
    file."""
    name = (
        str(found["gpu"])
        if found["gpu"] != "none"
        else f"{found['cores']} cores {found['processor']}"
    )
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80]


def command_of(arguments: argparse.Namespace) -> str:
    """The command again, without where it was stored."""
    only = f" --only {' '.join(arguments.only)}" if arguments.only != list(PARTS) else ""
    return f"python -m cpart_core bench all{only}{' --quick' if arguments.quick else ''}"
