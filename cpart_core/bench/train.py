"""`bench train`: training speed at several shapes, beside other people's models, and what watching costs.

All trainers of one shape take turns, a block of steps each, so that a busy machine slows all of them alike; ratios are of the seconds of a
step, block by block, of wall time and of the CPU time of the process, which other programs disturb less.

Shape `train` (6 layers, width 256, context 256): dense, soft and top-2 of ours, dense in fp32, nanoGPT's architecture eager and compiled,
and the Llama, Mixtral and OLMoE of `transformers`. All have as many feed-forward weights: nanoGPT's hidden layer is 1.5 times our neurons.

Shapes `quick` and `large`: what watching costs, one thing after the other (`_variants` says what each variant does). What telemetry and snapshots
cost is below the noise of whole steps, so it is also counted by itself: `live as counted` is a block of `validating` and that.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpart_core.bench._report import in_turns, paired, save, spread
from cpart_core.bench._variants import PARTITIONED, RATIOS, SHAPES, VARIANTS, WRITES_RECORDS
from cpart_core.config import Settings

if TYPE_CHECKING:
    from cpart_core.bench._against import PeerTrainer
    from cpart_core.corpus.document import Corpus
    from cpart_core.runs.records import RecordWriter
    from cpart_core.training.loop import Trainer

WARM_STEPS, CHOOSING_STEPS = 20, 60
"""Before anything counts; the latter for models that choose. They meet new numbers of rows at first, and oneDNN compiles a bf16 product for each,
which in a run of hundreds of steps is soon over."""
KEPT_PRODUCTS = "16384"
"""Compiled products that oneDNN keeps. A run has one model, here a dozen take turns and would push each other's out."""
COUNTED = "live as counted"
COUNTED_AGAINST, COUNTED_FIGURE = "validating", 1.01


@dataclass
class Turn:
    """One variant: its trainer, where it writes, and what its blocks took."""

    trainer: Trainer | PeerTrainer
    writer: RecordWriter | None = None
    passes: bool = True
    """Whether compiled passes may be used; torch's operations otherwise."""
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def take(self, steps: int, count: bool = True) -> None:
        """A block of steps."""
        from cpart_core.bench._telemetry import take_down
        from cpart_core.model.passes.which import passes_from
        from cpart_core.training.records import Record

        with nullcontext() if self.passes else passes_from(sys.maxsize):
            began, cpu_began = time.perf_counter(), time.process_time()
            for _ in range(steps):
                record = self.trainer.train_step()
                if self.writer is not None and isinstance(record, Record):
                    take_down(self.writer, record)
        if count:
            self.seconds.append(time.perf_counter() - began)
            self.cpu_seconds.append(time.process_time() - cpu_began)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shape", choices=list(SHAPES), nargs="+", default=list(SHAPES), help="only these shapes (default: all)")
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each trainer (default 7)")
    parser.add_argument("--steps", type=int, default=0, help="steps of a block; 0 = as often as the shape validates")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = all cores but one, as in training")
    parser.add_argument("--no-peers", action="store_true", help="without other people's models")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, which takes a minute before its first step")
    parser.add_argument("--out", type=Path, help="folder of the JSON file (default bench-results)")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cpart_core bench train", description=__doc__.splitlines()[0] if __doc__ else None)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.blocks < 3:
        raise ValueError(f"--blocks is {arguments.blocks}; give 3 or more, a median needs them.")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KEPT_PRODUCTS)
    results = {}
    every = {"evaluate_every": arguments.steps, "snapshot_every": arguments.steps} if arguments.steps else {}
    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as root:
        os.environ["CPART_RUNS"] = root
        for shape in arguments.shape:
            settings = SHAPES[shape].with_values({"threads": arguments.threads, **every}).check()
            peers = shape == "train" and not arguments.no_peers
            results[shape] = measure(shape, settings, arguments.blocks, peers, compiled=not arguments.no_compile)
    save("train", results, arguments.out)
    return 0


def measure(shape: str, settings: Settings, blocks: int, peers: bool, compiled: bool) -> dict[str, Any]:
    """All trainers of one shape in turns, forwards and backwards."""
    from cpart_core.bench.peers.public import FAMILIES
    from cpart_core.corpus.build import build_corpus, gather
    from cpart_core.training.compiled import compiler_there
    from cpart_core.training.device import choose_device, keep_freed_memory

    keep_freed_memory()  # as runs do; so do then those of other people
    corpus = build_corpus(gather(settings.corpus), settings.corpus, settings.training.seed)
    period = settings.training.evaluate_every
    compiled = compiled and compiler_there(choose_device(settings.training))
    variants = {name: changes for name, changes in VARIANTS[shape].items() if compiled or "compile" not in changes}
    turns = {name: start(settings, changes, corpus, name in WRITES_RECORDS) for name, changes in variants.items()}
    more: dict[str, Any] = {}
    if shape == "train":
        if precision_of(turns["dense"]) == precision_of(turns["dense fp32"]):
            del turns["dense fp32"]  # this machine has no fast bf16: both would be the same
        more = beside(turns, settings, peers, compiled)
    for name, turn in turns.items():
        chooses = name.startswith(("top-2", *FAMILIES))
        turn.take(max(period, CHOOSING_STEPS if chooses else WARM_STEPS), count=False)  # the partition, and the caches warm
    for name in in_turns(turns, blocks):
        turns[name].take(period)
    counted = count_telemetry(turns, period)
    for turn in turns.values():
        if turn.writer is not None:
            turn.writer.close()
    return report(shape, settings, turns, period, counted) | more


def start(settings: Settings, changes: dict[str, Any], corpus: Corpus, writes: bool) -> Turn:
    from cpart_core.runs.create import create_run
    from cpart_core.runs.records import RecordWriter
    from cpart_core.training.loop import Trainer

    own = settings.with_values({name: value for name, value in changes.items() if value is not None and name != "passes"}).check()
    writer = RecordWriter(create_run(own, None).folder) if writes else None
    return Turn(Trainer(own, corpus), writer, changes.get("passes", True))


def precision_of(turn: Turn) -> str:
    return str(turn.trainer.precision)


def beside(turns: dict[str, Turn], settings: Settings, wanted: bool, compiled: bool) -> dict[str, Any]:
    """Adds the peers to the turns; returns who is left out and why, and the bytes that each keeps for its backward pass."""
    from cpart_core.bench._against import TOO_SLOW, peers_of
    from cpart_core.bench._memory import kept_by_peer
    from cpart_core.study.measure import kept_for_backward
    from cpart_core.training.loop import Trainer

    found: dict[str, Any] = {"left_out": {}}
    for turn in turns.values():
        turn.take(3, count=False)  # the partition
    dense = turns["dense"].trainer
    assert isinstance(dense, Trainer)
    if wanted:
        began = time.perf_counter()
        dense.train_step()
        most = TOO_SLOW * (time.perf_counter() - began)
        own = settings.with_values(PARTITIONED)
        peers = peers_of(own, dense.corpus.vocabulary_size, dense.batches, dense.device, dense.precision, compiled, most)
        turns |= {name: Turn(trainer) for name, trainer in peers.trainers.items()}
        found = {"left_out": peers.left_out, "compile_seconds": peers.compile_seconds}
        for name, why in peers.left_out.items():
            print(f"  {name} left out: {why}", flush=True)
    kept = {
        name: kept_for_backward(turn.trainer) if isinstance(turn.trainer, Trainer) else kept_by_peer(turn.trainer)
        for name, turn in turns.items()
        if not name.endswith(("compiled", "without passes"))
    }
    return found | {"kept_bytes": kept}


def count_telemetry(turns: dict[str, Turn], period: int) -> dict[str, Any]:
    """The ratio that telemetry and snapshots would make by what they cost alone; {} where nothing is watched."""
    from cpart_core.bench._telemetry import seconds_of_telemetry
    from cpart_core.training.loop import Trainer

    live, plain = turns.get("live"), turns.get(COUNTED_AGAINST)
    if live is None or plain is None or live.writer is None or not isinstance(live.trainer, Trainer):
        return {}
    more = seconds_of_telemetry(live.trainer, live.writer, period, len(plain.seconds))
    wall = paired([block + own for block, (own, _) in zip(plain.seconds, more, strict=True)], plain.seconds)
    cpu = paired([block + own for block, (_, own) in zip(plain.cpu_seconds, more, strict=True)], plain.cpu_seconds)
    return {f"{COUNTED} / {COUNTED_AGAINST}": {"wall": wall, "cpu": cpu, "figure": COUNTED_FIGURE}}


def report(shape: str, settings: Settings, turns: dict[str, Turn], period: int, counted: dict[str, Any]) -> dict[str, Any]:
    """Tokens per second of each, and ratios of times paired by block."""
    tokens = period * settings.training.batch_size * settings.model.context_length
    speeds = {name: spread([tokens / seconds for seconds in turn.seconds]) for name, turn in turns.items()}
    parameters = {name: sum(p.numel() for p in turn.trainer.model.parameters()) for name, turn in turns.items()}
    ratios = {f"{a} / {b}": {**ratio(turns[a], turns[b]), "figure": figure} for a, b, figure in wanted_ratios(shape, turns)} | counted
    threads = int(getattr(turns["dense"].trainer, "threads", 0))
    print(f"{shape}: {threads} threads, {precision_of(turns['dense'])}, {period} steps a block")
    for name, speed in speeds.items():
        quartiles = f"(quartiles {speed['low_quartile']:,.0f} to {speed['high_quartile']:,.0f})"
        print(f"  {name:30} {parameters[name]:11,} parameters {speed['median']:9,.0f} tokens/s  {quartiles}")
    for name, found in ratios.items():
        figure = f"  at most {found['figure']:.2f}" if found["figure"] else ""
        print(f"  time {name:38} {found['wall']['median']:.3f}  (CPU time {found['cpu']['median']:.3f}){figure}", flush=True)
    return {
        "tokens_per_second": speeds,
        "parameters": parameters,
        "ratios": ratios,
        "steps_per_block": period,
        "threads": threads,
        "precision": precision_of(turns["dense"]),
        "seed": settings.training.seed,
        "settings": settings.to_json(),
    }


def wanted_ratios(shape: str, turns: dict[str, Turn]) -> list[tuple[str, str, float | None]]:
    """Those whose two sides were measured; top-2 also against every mixture of other people, the quickest of which has to be beaten."""
    from cpart_core.bench.peers.public import FAMILIES

    named = [pair for pair in RATIOS[shape if shape in RATIOS else "watching"] if pair[0] in turns and pair[1] in turns]
    mixtures = [name for name in turns if name.startswith(FAMILIES)]
    return named + [("top-2", name, None) for name in mixtures]


def ratio(ours: Turn, theirs: Turn) -> dict[str, Any]:
    return {"wall": paired(ours.seconds, theirs.seconds), "cpu": paired(ours.cpu_seconds, theirs.cpu_seconds)}
