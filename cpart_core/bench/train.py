"""`bench train`: training speed at two shapes, and what watching costs.

Five trainers of one shape take turns, a block of steps each, so that a busy machine slows all of them alike; ratios are medians over
blocks, of wall time and of the CPU time of the process, which other programs disturb less.

dense: the same model with ordinary feed-forward layers, unwatched. bare: partitioned, unwatched. signatures: also measures gradient
signatures as often as before the segments freeze. live: also validates, makes snapshots and writes every record to disk, as a run does.
frozen: as live, after the segments are frozen (signatures a quarter as often).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cpart_core.bench._report import save, spread
from cpart_core.config import Settings
from cpart_core.presets import preset

if TYPE_CHECKING:
    from cpart_core.corpus.document import Corpus
    from cpart_core.runs.records import RecordWriter
    from cpart_core.training.loop import Trainer

LARGE = {
    "num_layers": 6,
    "width": 256,
    "num_heads": 8,
    "num_kv_heads": 8,
    "num_neurons": 1024,
    "shared_neurons": 256,
    "context_length": 128,
    "batch_size": 16,
    "evaluate_every": 20,
    "snapshot_every": 20,
}
SHAPES: dict[str, Settings] = {"quick": preset("quick"), "large": Settings().with_values(LARGE)}

NEVER = 1_000_000
PARTITIONED = {"steps": NEVER, "first_step": 2, "fusion_step": 2, "every": 2_000_000, "freeze_step": 5_000_000, "warmup_steps": 0}
"""Partitioned from the third step on and never again within the measurement, but not frozen."""
UNWATCHED = {"signature_every": 10_000, "evaluate_every": NEVER, "snapshot_every": NEVER}
VARIANTS: dict[str, dict[str, Any]] = {
    "dense": {**PARTITIONED, **UNWATCHED, "execution": "dense"},
    "bare": {**PARTITIONED, **UNWATCHED},
    "signatures": {**PARTITIONED, **UNWATCHED, "signature_every": None},
    "live": PARTITIONED,
    "frozen": {**PARTITIONED, "every": 0, "freeze_step": 2},
}
WRITES_RECORDS = ("live", "frozen")
RATIOS = (("bare", "dense"), ("signatures", "bare"), ("live", "bare"), ("frozen", "bare"))


@dataclass
class Turn:
    """One variant: its trainer, where it writes, and what its blocks took."""

    trainer: Trainer
    writer: RecordWriter | None
    seconds: list[float]
    cpu_seconds: list[float]

    def take(self, steps: int, count: bool = True) -> None:
        """A block of steps."""
        from cpart_core.runs.records import Heartbeat

        began, cpu_began = time.perf_counter(), time.process_time()
        for _ in range(steps):
            record = self.trainer.train_step()
            if self.writer is not None:
                self.writer.append(record)
                self.writer.heartbeat(Heartbeat(step=record.step, phase="training"))
        if count:
            self.seconds.append(time.perf_counter() - began)
            self.cpu_seconds.append(time.process_time() - cpu_began)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shape", choices=list(SHAPES), help="only this shape (default: all)")
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each trainer (default 7)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = all cores but one, as in training")
    parser.add_argument("--out", type=Path, help="folder of the JSON file (default bench-results)")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cpart_core bench train", description=__doc__.splitlines()[0] if __doc__ else None)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.blocks < 3:
        raise ValueError(f"--blocks is {arguments.blocks}; give 3 or more, a median needs them.")
    results = {}
    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as root:
        os.environ["CPART_RUNS"] = root
        for shape in [arguments.shape] if arguments.shape else SHAPES:
            settings = SHAPES[shape]
            results[shape] = measure(shape, settings.with_values({"threads": arguments.threads}), arguments.blocks)
    save("train", results, arguments.out)
    return 0


def measure(shape: str, settings: Settings, blocks: int) -> dict[str, Any]:
    """All variants of one shape in turns, forwards and backwards."""
    from cpart_core.corpus.build import build_corpus, gather

    corpus = build_corpus(gather(settings.corpus), settings.corpus, settings.training.seed)
    period = settings.training.evaluate_every
    turns = {name: start(settings, changes, corpus, name in WRITES_RECORDS) for name, changes in VARIANTS.items()}
    for turn in turns.values():
        turn.take(period, count=False)  # the partition, and the caches warm
    order = list(turns)
    for block in range(blocks):
        for name in order if block % 2 == 0 else reversed(order):
            turns[name].take(period)
    for turn in turns.values():
        if turn.writer is not None:
            turn.writer.close()
    return report(shape, settings, turns, period)


def start(settings: Settings, changes: dict[str, Any], corpus: Corpus, writes: bool) -> Turn:
    from cpart_core.runs.create import create_run
    from cpart_core.runs.records import RecordWriter
    from cpart_core.training.loop import Trainer

    own = settings.with_values({name: value for name, value in changes.items() if value is not None}).check()
    writer = RecordWriter(create_run(own, None).folder) if writes else None
    return Turn(Trainer(own, corpus), writer, [], [])


def report(shape: str, settings: Settings, turns: dict[str, Turn], period: int) -> dict[str, Any]:
    """Tokens per second of each, and ratios of times paired by block."""
    tokens = period * settings.training.batch_size * settings.model.context_length
    speeds = {name: spread([tokens / seconds for seconds in turn.seconds]) for name, turn in turns.items()}
    ratios = {f"{a} / {b}": median_ratio(turns[a].seconds, turns[b].seconds) for a, b in RATIOS}
    cpu_ratios = {f"{a} / {b}": median_ratio(turns[a].cpu_seconds, turns[b].cpu_seconds) for a, b in RATIOS}
    any_trainer = next(iter(turns.values())).trainer
    print(f"{shape}: {sum(p.numel() for p in any_trainer.model.parameters()):,} parameters, {any_trainer.threads} threads")
    for name, speed in speeds.items():
        print(f"  {name:11} {speed['median']:9,.0f} tokens/s  (quartiles {speed['low_quartile']:,.0f} to {speed['high_quartile']:,.0f})")
    for name, ratio in ratios.items():
        print(f"  time {name:18} {ratio:.3f}  (CPU time {cpu_ratios[name]:.3f})", flush=True)
    return {
        "tokens_per_second": speeds,
        "time_ratios": ratios,
        "cpu_time_ratios": cpu_ratios,
        "steps_per_block": period,
        "threads": any_trainer.threads,
        "precision": str(any_trainer.precision),
        "seed": settings.training.seed,
        "settings": settings.to_json(),
    }


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return median(x / y for x, y in zip(ours, theirs, strict=True))
