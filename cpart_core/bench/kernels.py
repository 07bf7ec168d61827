"""`bench kernels`: the feed-forward layer forward and backward against its ideal, the dense layer,
the usual loop and `transformers`.

Everything of one shape and precision takes turns. ideal: a dense layer as large as the active part,
and our router. Ours, ideal, dense and loop keep fp32 weights under autocast, as in training; other
people's blocks have weights in the precision itself, which is quicker. The machine's own limits at
that shape take turns with them, and how much of these dense, ideal and top-2 reach is told.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from cpart_core.bench.harness.roofline import ROOF, roof_runs, under_roof
from cpart_core.bench.harness.sweep import sweep
from cpart_core.bench.harness.turns import Times, ratio, take_turns, told
from cpart_core.bench.models.layers import Bench, Shape, bench_of, kept_bytes
from cpart_core.bench.models.variants import MIXTURES
from cpart_core.bench.report.save import save
from cpart_core.files.paths import given_path
from cpart_core.model.kernels.dispatch import write
from cpart_core.settings.training import TrainingSettings
from cpart_core.study.machine import machine, version
from cpart_core.training.device import choose_device, cpu_has_amx, keep_freed_memory

SHAPES = {"256": Shape(256, 1024, 4096), "512": Shape(512, 2048, 4096)}
GPU_SHAPES = {"1024": Shape(1024, 4096, 16_384), "2048": Shape(2048, 8192, 16_384)}
RATIOS = (
    ("top-2", "ideal", 1.25),
    ("top-2", "dense", 0.45),
    ("top-2", "loop", 1 / 3),
    ("soft", "dense", 1.05),
    ("before fusion", "dense", 1.05),
)
"""(ours, theirs, the figure to reach at most)"""
PEER_FIGURE = 1 / 1.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        choices=[*SHAPES, *GPU_SHAPES],
        help="only this width (default: 256 and 512; on a GPU 1024 and 2048)",
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        help="only this one (default: both, bf16 where the hardware has it)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="default auto: the GPU where there is one",
    )
    parser.add_argument("--repeats", type=int, default=9, help="repetitions of each (default 9)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--no-peers", action="store_true", help="without the blocks of transformers"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="measure all executions at many shapes and refresh the table they are chosen by",
    )
    parser.add_argument(
        "--quick", action="store_true", help="width 256, 512 tokens, 3 repetitions: does it run?"
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench kernels",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.repeats < 3:
        raise ValueError(f"--repeats is {arguments.repeats}; give 3 or more, a median needs them.")
    device = choose_device(TrainingSettings(device=arguments.device))
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    keep_freed_memory()  # as runs do; so do then those of other people
    repeats = 3 if arguments.quick else arguments.repeats
    precisions = [
        dtype
        for name, dtype in precisions_of(device).items()
        if arguments.precision in (None, name)
    ]
    if arguments.write:
        measured = sweep(device, precisions, repeats, arguments.quick)
        if arguments.quick:
            print("--quick measures too little to write a table; nothing was written.")
        else:
            write(measured, machine())
            print(f"{len(measured)} shapes written into the table of executions")
    results: dict[str, Any] = {
        "threads": arguments.threads,
        "device": str(device),
        "transformers": version("transformers"),
    }
    for name, shape in shapes_of(arguments, device).items():
        memory = kept_bytes(shape, device)
        for precision in precisions:
            found = measure(shape, precision, device, repeats, not arguments.no_peers)
            results[f"{name} {str(precision).removeprefix('torch.')}"] = {
                **found,
                "kept_bytes": memory,
            }
        print(
            "  kept for backward in fp32, MB: "
            + ", ".join(f"{which} {size / 1e6:.1f}" for which, size in memory.items()),
            flush=True,
        )
    save("kernels", results, arguments.out)
    return 0


def precisions_of(device: torch.device) -> dict[str, torch.dtype]:
    both = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return both if device.type == "cuda" or cpu_has_amx() else {"fp32": torch.float32}


def shapes_of(arguments: argparse.Namespace, device: torch.device) -> dict[str, Shape]:
    if arguments.quick:
        return {"256": Shape(256, 1024, 512)}
    known = SHAPES | GPU_SHAPES
    if arguments.shape:
        return {arguments.shape: known[arguments.shape]}
    return GPU_SHAPES if device.type == "cuda" else SHAPES


def measure(
    shape: Shape, precision: torch.dtype, device: torch.device, repeats: int, with_peers: bool
) -> dict[str, Any]:
    """All of one shape and precision in turns; lines on the screen, numbers returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other people's blocks announce their futures
        bench = bench_of(shape, precision, device, with_peers)
        times = take_turns(bench.runs | roof_runs(shape, precision, device), repeats)
    print(
        f"\nwidth {shape.width}, {shape.neurons} neurons, {shape.tokens} tokens, {precision}:"
        " forward and backward, milliseconds"
    )
    for name, item in times.items():
        if name.startswith(ROOF):
            continue  # told as rates
        summary = item.summary()
        print(
            f"  {name:22} {summary['wall']['median']:9.2f}  CPU {summary['cpu']['median']:9.2f},"
            f" least {summary['cpu']['least']:9.2f}"
        )
    for name, why in bench.left_out.items():
        print(f"  {name:22} left out: {why}")
    return {
        **compare(times, bench),
        "roof": under_roof(times, shape, precision, device),
        "shape": vars(shape),
        "milliseconds": {name: item.summary() for name, item in times.items()},
    }


def compare(times: dict[str, Times], bench: Bench) -> dict[str, Any]:
    """Ratios with the figure to reach, and against the quickest block of other people."""
    ratios: dict[str, Any] = {}
    wanted = {f"{ours} / {theirs}": (ours, theirs, figure) for ours, theirs, figure in RATIOS}
    others = [name for name in times if name.startswith(MIXTURES)]
    if others:
        quickest = min(others, key=lambda name: min(times[name].cpu))
        wanted[f"top-2 / {quickest}"] = ("top-2", quickest, PEER_FIGURE)
    for name, (ours, theirs, figure) in wanted.items():
        ratios[name] = {**ratio(times[ours], times[theirs]), "figure": figure}
        print(f"  {name:32} {told(ratios[name])}  at most {figure:.2f}", flush=True)
    return {"ratios": ratios, "left_out": bench.left_out}
