"""`bench train`: training speed at several shapes, beside other people's models, and what watching
costs.

What is compared takes turns in one process, a block of steps each, so that a busy machine slows all
of it alike; ratios are of the seconds of a step, block by block, of wall time and of the CPU time
of the process, which other programs disturb less. Each group of models (`_variants`) has a process
of its own: a run has one model in its process, and beside a dozen others each step takes longer,
some models' more than others'.

Shape `train` (6 layers, width 256, context 256): dense, soft and top-2 of ours, dense in fp32,
nanoGPT's architecture eager and compiled, and the Llama, Mixtral and OLMoE of `transformers`. All
have as many feed-forward weights: nanoGPT's hidden layer is 1.5 times our neurons. Shape
`batch-32`: dense, soft and top-2 with four times as many tokens a step.

Shapes `quick` and `large`: what watching costs, one thing after the other (`_variants` says what
each variant does). What telemetry and snapshots cost is below the noise of whole steps, so it is
also counted by itself: `live as counted` is a block of `validating` and that.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from cpart_core.bench.harness.turn_trainers import measure
from cpart_core.bench.models.variants import GROUPS, NANOGPT, PUBLIC, SHAPES
from cpart_core.bench.report.save import save
from cpart_core.files.paths import given_path
from cpart_core.settings.run import Settings

KEPT_PRODUCTS = "16384"
"""Compiled products that oneDNN keeps. A run has one model, here several take turns and would push
each other's out."""
NOT_ASKED = "not asked for"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        choices=list(SHAPES),
        nargs="+",
        default=list(SHAPES),
        help="only these shapes (default: all)",
    )
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each trainer (default 7)")
    parser.add_argument(
        "--steps", type=int, default=0, help="steps of a block; 0 = as often as the shape validates"
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads; 0 = all cores but one, as in training"
    )
    parser.add_argument("--no-peers", action="store_true", help="without other people's models")
    parser.add_argument(
        "--no-compile",
        action="store_true",
        help="without torch.compile, which takes a minute before its first step",
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench train",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.blocks < 3:
        raise ValueError(f"--blocks is {arguments.blocks}; give 3 or more, a median needs them.")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KEPT_PRODUCTS)
    results = {}
    every = (
        {"evaluate_every": arguments.steps, "snapshot_every": arguments.steps}
        if arguments.steps
        else {}
    )
    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as root:
        os.environ["CPART_RUNS"] = root
        for shape in arguments.shape:
            settings = SHAPES[shape].with_values({"threads": arguments.threads, **every}).check()
            results[shape] = in_groups(
                shape,
                settings,
                arguments.blocks,
                not_measured(shape, arguments.no_peers, arguments.no_compile),
            )
    save("train", results, arguments.out)
    return 0


def not_measured(shape: str, no_peers: bool, no_compile: bool) -> dict[str, str]:
    """Models of this shape's groups that are not even tried, and why."""
    from cpart_core.bench.peers.public import NOT_THERE, transformers_there
    from cpart_core.training.compile_layers import compiler_there
    from cpart_core.training.device import choose_device

    compiler, transformers = (
        compiler_there(choose_device(SHAPES[shape].training)),
        transformers_there(),
    )
    reasons = {}
    for name in (name for group in GROUPS[shape] for name in group):
        compiled, public = name.endswith("compiled"), name in PUBLIC
        if (compiled and no_compile) or ((public or name.startswith(NANOGPT)) and no_peers):
            reasons[name] = NOT_ASKED
        elif compiled and not compiler:
            reasons[name] = "no C++ compiler here"
        elif public and not transformers:
            reasons[name] = NOT_THERE
    return reasons


def in_groups(
    shape: str, settings: Settings, blocks: int, left_out: dict[str, str]
) -> dict[str, Any]:
    """The results of all groups of a shape; what two groups measured is the first one's."""
    whole: dict[str, Any] = {}
    met: set[str] = set()
    for group in GROUPS[shape]:
        names = [name for name in group if name not in left_out]
        if set(names) <= met:
            continue  # those that it is there for are left out
        met |= set(names)
        with ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=end_with_parent
        ) as process:
            found = process.submit(measure, shape, settings, names, blocks).result()
        whole = {key: joined(whole.get(key), found[key]) for key in found}
    return whole | {"left_out": left_out | whole["left_out"]}


def end_with_parent() -> None:
    """A measurement that nobody waits for any more would disturb the next one."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a process that another one started"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def joined(earlier: Any, later: Any) -> Any:
    """What two groups found under one name: the first one's values, in its order, and then the
    other's."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        return earlier | later | earlier
    return later if earlier is None else earlier
