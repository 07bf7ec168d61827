"""`bench curves`: what a feed-forward layer of width 256 costs, forward and backward, against each
of its sizes, beside the ideal lines.

One size changes at a time: tokens, neurons, segments, width (top-2 and dense side by side), and the
contexts whose signatures are measured. Everything of one picture takes turns. The ideal of top-2 is
dense's time times the share of the neurons that is computed, without any router. Processes are
measured by `bench scale`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from cpart_core.bench.harness.turns import Times, take_turns
from cpart_core.bench.kernels import precisions_of
from cpart_core.bench.models.layers import ROWS, both_ways, layer
from cpart_core.bench.models.peer_layers import PlainSwiGLU
from cpart_core.bench.report.save import save, spread
from cpart_core.bench.speed import Curve, Line
from cpart_core.files.paths import given_path
from cpart_core.model.decoder import Decoder
from cpart_core.model.signatures import SignatureSums
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.training import TrainingSettings
from cpart_core.training.device import choose_device

BASE = ModelSettings(
    width=256, num_neurons=1024, shared_neurons=0, num_segments=8, top_k=2, context_length=8192
)
TOKENS = 2048
SIZES = {
    "tokens": (256, 512, 1024, 2048, 4096),
    "neurons": (256, 512, 1024, 2048, 4096),
    "segments": (2, 4, 8, 16, 32),
    "width": (64, 128, 256, 512),
}
CONTEXTS = (2, 8, 32, 128)
SMALL = replace(
    BASE, num_layers=2, width=128, num_heads=4, num_kv_heads=4, num_neurons=512, context_length=128
)
"""The model whose signatures are measured."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repeats", type=int, default=7, help="repetitions of each point (default 7)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="default auto: the GPU where there is one",
    )
    parser.add_argument(
        "--quick", action="store_true", help="two points a curve, 3 repetitions: does it run?"
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench curves",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.repeats < 3:
        raise ValueError(f"--repeats is {arguments.repeats}; give 3 or more, a median needs them.")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = choose_device(TrainingSettings(device=arguments.device))
    precision = list(precisions_of(device).values())[-1]
    repeats: int = arguments.repeats
    sizes: dict[str, Sequence[int]] = dict(SIZES)
    contexts: Sequence[int] = CONTEXTS
    if arguments.quick:
        repeats, sizes, contexts = (
            3,
            {name: values[:2] for name, values in SIZES.items()},
            CONTEXTS[:2],
        )
    curves = [
        layer_curve(name, values, repeats, device, precision) for name, values in sizes.items()
    ]
    curves.append(context_curve(contexts, repeats, device))
    for curve in curves:
        print(f"\n{curve.title}: {curve.y_title}")
        for line in curve.lines:
            points = ", ".join(f"{x:,.0f}: {y:.3g}" for x, y in zip(line.x, line.y, strict=True))
            print(f"  {line.name:32} {points}", flush=True)
    results: dict[str, Any] = {
        "threads": arguments.threads,
        "device": str(device),
        "precision": str(precision),
    }
    save("curves", results | {"curves": [asdict(curve) for curve in curves]}, arguments.out)
    return 0


def layer_curve(
    what: str, sizes: Sequence[int], repeats: int, device: torch.device, precision: torch.dtype
) -> Curve:
    """Milliseconds of top-2 and of dense at each size, and dense's time times k/S."""
    runs: dict[str, Callable[[], object]] = {}
    shares = []
    for size in sizes:
        settings, tokens = changed(what, size)
        shares.append(settings.top_k / settings.num_segments)
        x = torch.randn(
            ROWS, tokens // ROWS, settings.width, dtype=precision, device=device, requires_grad=True
        )
        made, dense = (
            layer(settings, None, device),
            PlainSwiGLU(settings.width, settings.num_neurons).to(device),
        )
        runs[f"top-2 {size}"] = both_ways(made, made, x, precision, True)
        runs[f"dense {size}"] = both_ways(dense, dense, x, precision, True)
    times = take_turns(runs, repeats)
    lines = [
        timed_line(name, sizes, [times[f"{name} {size}"] for size in sizes])
        for name in ("top-2", "dense")
    ]
    ideal = tuple(share * y for share, y in zip(shares, lines[1].y, strict=True))
    lines.append(Line("ideal: dense times k / S", True, lines[1].x, ideal, (), ()))
    fixed = "" if what == "tokens" else f", {TOKENS:,} tokens"
    title = f"Feed-forward layer against {what} ({str(precision).removeprefix('torch.')}{fixed})"
    return Curve("curves", title, what, "ms, forward and backward", tuple(lines))


def changed(what: str, size: int) -> tuple[ModelSettings, int]:
    """(settings, tokens) with one size changed; a wider layer has 4 times as many neurons as it is
    wide."""
    changes = {
        "tokens": BASE,
        "neurons": replace(BASE, num_neurons=size),
        "segments": replace(BASE, num_segments=size),
        "width": replace(BASE, width=size, num_neurons=4 * size),
    }
    return changes[what], size if what == "tokens" else TOKENS


def context_curve(contexts: Sequence[int], repeats: int, device: torch.device) -> Curve:
    """A step's forward and backward with signatures of so many contexts, beside the same without
    signatures."""
    model = Decoder(SMALL, 1024, seed=0).to(device)
    model.set_fused(True)
    ids = torch.randint(0, 1024, (ROWS, SMALL.context_length), device=device)
    runs: dict[str, Callable[[], object]] = {"off": lambda: step(model, ids)}
    for number in contexts:
        sums = SignatureSums(SMALL.num_layers, SMALL.num_neurons, number, 0.9, device)
        group = torch.randint(0, number, tuple(ids.shape), device=device)

        def measured(sums: SignatureSums = sums, group: torch.Tensor = group) -> None:
            with sums.measure(model, group):
                step(model, ids)

        runs[str(number)] = measured
    times = take_turns(runs, repeats)
    line = timed_line("with signatures", contexts, [times[str(number)] for number in contexts])
    off = timed_line("off", (1,), [times["off"]]).y[0]
    ideal = Line("ideal: signatures for nothing", True, line.x, (off,) * len(line.x), (), ())
    return Curve(
        "curves",
        "A step that measures signatures, against contexts",
        "contexts",
        "ms, forward and backward",
        (line, ideal),
    )


def step(model: Decoder, ids: torch.Tensor) -> None:
    model.zero_grad(set_to_none=True)
    logits = model(ids)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()


def timed_line(name: str, sizes: Sequence[int], times: list[Times]) -> Line:
    """Milliseconds by the wall clock."""
    spreads = [spread([1e3 * value for value in item.wall]) for item in times]
    y, low, high = (
        tuple(float(item[key]) for item in spreads)
        for key in ("median", "low_quartile", "high_quartile")
    )
    return Line(name, False, tuple(float(size) for size in sizes), y, low, high)
