"""What a checkpoint costs, measured and not computed: each time in a fresh process that does
nothing else, one thread.

    python -m cpart_core.analysis.keep.footprint RUN STEP      prints one JSON object

The weights of a small model weigh less than Python with torch, so the resident memory just before
the weights are read is said beside the peak. Speeds are per second of CPU time on one thread: other
programs on the machine disturb that much less than the clock on the wall.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cpart_core.analysis.progress import Progress, silent
from cpart_core.records.keep import Footprint
from cpart_core.runs.child import python_child
from cpart_core.runs.folder import Run, open_run
from cpart_core.settings.model import ModelSettings

if TYPE_CHECKING:
    from cpart_core.model.decoder import Decoder

REPEATS = 3
"""Processes for each model; the median is said."""
SECONDS = 1.0
"""Of CPU time, for each speed."""
PATIENCE_SECONDS = 300.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def measure_footprints(
    checkpoints: list[tuple[Run, int]], repeats: int = REPEATS, progress: Progress = silent
) -> list[Footprint]:
    """The footprint of each (run, step). They take turns, so that a busy machine disturbs all
    alike. ValueError when a process fails."""
    measured: list[list[dict[str, Any]]] = [[] for _ in checkpoints]
    for turn in range(repeats):
        for number, (run, step) in enumerate(checkpoints):
            done = (turn * len(checkpoints) + number) / (repeats * len(checkpoints))
            progress(
                done,
                f"Measuring memory and speed, process {turn * len(checkpoints) + number + 1} of"
                f" {repeats * len(checkpoints)}",
            )
            measured[number].append(in_fresh_process(run, step))
    return [middle_of(each) for each in measured]


def in_fresh_process(run: Run, step: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    child = python_child(
        "cpart_core.analysis.keep.footprint", run.id, str(step), changes=dict.fromkeys(THREADS, "1")
    )
    try:
        done = subprocess.run(
            child.command,
            env=child.environment,
            cwd=child.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"Measuring run {run.id} took longer than {PATIENCE_SECONDS:.0f} s and was stopped; is"
            " the machine overloaded?"
        ) from None
    if done.returncode:
        raise ValueError(
            f"Run {run.id} could not be measured:"
            f" {' '.join(done.stderr.split())[-300:] or 'no reason given'}"
        )
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def middle_of(measured: list[dict[str, Any]]) -> Footprint:
    """The median of every number."""
    middle: dict[str, Any] = {}
    for item in fields(Footprint):
        if item.name != "repeats":
            value = median(entry[item.name] for entry in measured)
            middle[item.name] = float(value) if item.name.endswith("_second") else int(value)
    return Footprint(repeats=len(measured), **middle)


def measure_here(run_id: str, step: int) -> dict[str, Any]:
    """In the fresh process: load, read, write, and say what it took."""
    import psutil
    import torch

    from cpart_core.runs.checkpoint import load_model

    torch.set_num_threads(1)
    run = open_run(run_id)
    folder = run.checkpoint_folder(step)
    warm_up(smallest(run.settings.model))
    process = psutil.Process()
    idle = process.memory_info().rss
    model = load_model(run, step).model.requires_grad_(False)
    read_one_row(model)
    loaded = process.memory_info().rss
    read, write = reading_speed(model), writing_speed(model)
    return {
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "neurons": model.settings.num_neurons,
        "file_bytes": (folder / "model.safetensors").stat().st_size,
        "checkpoint_bytes": sum(
            (folder / name).stat().st_size
            for name in ("model.safetensors", "config.json", "tokenizer.json")
        ),
        "loaded_bytes": loaded - idle,
        "peak_bytes": peak_bytes(),
        "idle_bytes": idle,
        "read_tokens_per_second": read,
        "write_tokens_per_second": write,
    }


def smallest(settings: ModelSettings) -> ModelSettings:
    """A model of the same kind that weighs almost nothing."""
    return replace(
        settings,
        num_layers=1,
        width=16,
        num_heads=1,
        num_kv_heads=1,
        num_neurons=16,
        shared_neurons=8,
        num_segments=2,
        top_k=1,
        weight_scale=0,
    )


def warm_up(settings: ModelSettings) -> None:
    """Whatever torch sets up at the first products, and imports at the first model of shapes alone,
    is not the model's memory."""
    import torch

    from cpart_core.model.decoder import Decoder

    read_one_row(Decoder(settings, 300).eval())
    with torch.device("meta"):
        Decoder(settings, 300)


def read_one_row(model: Decoder) -> None:
    """A forward of context_length tokens."""
    import torch

    row = torch.zeros(1, model.settings.context_length, dtype=torch.int64)
    with torch.no_grad():
        model(row, context_BT=row)


def reading_speed(model: Decoder) -> float:
    """Tokens a second, rows of context_length tokens by chance (what they say makes no difference
    to the work), after one row to warm up."""
    import torch

    random = torch.Generator().manual_seed(0)
    shape = (1, model.settings.context_length)
    unknown = torch.full(shape, -1)
    rows = [torch.randint(0, model.vocabulary_size, shape, generator=random) for _ in range(8)]
    read, began = 0, time.process_time()
    with torch.no_grad():
        while (passed := time.process_time() - began) < SECONDS:
            model(rows[read % len(rows)], context_BT=unknown)
            read += 1
    return read * model.settings.context_length / passed


def writing_speed(model: Decoder) -> float:
    """Generated tokens a second, one text at a time; NaN for a model that must
    be told the context, which cannot write."""
    from cpart_core.model.generate import generate

    if model.settings.fusion.needs_context:
        return float("nan")
    written, began = 0, time.process_time()
    while (passed := time.process_time() - began) < SECONDS:
        written += sum(
            1 for _ in generate(model, [0], max_tokens=model.settings.context_length, seed=written)
        )
    return written / passed


def peak_bytes() -> int:
    """Greatest resident memory of this process so far, as the system counted it."""
    with suppress(OSError, StopIteration):
        # Linux: getrusage would count the memory of the process that started this one, from before
        # this one was loaded.
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


if __name__ == "__main__":
    print(json.dumps(measure_here(sys.argv[1], int(sys.argv[2]))))
