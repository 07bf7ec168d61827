"""Trainers that take turns in one process, a block of steps each: what `bench train` starts once
for every group of models."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cpart_core.bench.models.variants import (
    MIXTURES,
    PARTITIONED,
    VARIANTS,
    WRITES_RECORDS,
    wanted_ratios,
)
from cpart_core.bench.report.save import in_turns, paired, spread
from cpart_core.settings.run import Settings

if TYPE_CHECKING:
    from cpart_core.bench.models.peer_trainers import PeerTrainer
    from cpart_core.corpus.document import Corpus
    from cpart_core.runs.record_writer import RecordWriter
    from cpart_core.training.loop import Trainer

WARM_STEPS, CHOOSING_STEPS = 20, 60
"""Before anything counts; the latter for models that choose. They meet new numbers of rows at
first, and oneDNN compiles a bf16 product for each, which in a run of hundreds of steps is soon
over."""
COUNTED = "live as counted"
COUNTED_AGAINST, COUNTED_FIGURE = "validating", 1.01


@dataclass
class Turn:
    """One variant: its trainer, where it writes, and what its blocks took."""

    trainer: Trainer | PeerTrainer
    writer: RecordWriter | None = None
    passes: bool = True
    """Whether compiled CPU kernels may be used; torch's operations otherwise."""
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def take(self, steps: int, count: bool = True) -> None:
        """A block of steps."""
        from cpart_core.bench.harness.telemetry import take_down
        from cpart_core.model.kernels.cpu.use import cpu_kernels_from
        from cpart_core.records.training import Record

        with nullcontext() if self.passes else cpu_kernels_from(sys.maxsize):
            began, cpu_began = time.perf_counter(), time.process_time()
            for _ in range(steps):
                record = self.trainer.train_step()
                if self.writer is not None and isinstance(record, Record):
                    take_down(self.writer, record)
        if count:
            self.seconds.append(time.perf_counter() - began)
            self.cpu_seconds.append(time.process_time() - cpu_began)


def measure(shape: str, settings: Settings, names: Sequence[str], blocks: int) -> dict[str, Any]:
    """These models in turns, forwards and backwards."""
    from cpart_core.corpus.build import build_corpus, gather
    from cpart_core.training.device import keep_freed_memory

    keep_freed_memory()  # as runs do; so do then those of other people
    corpus = build_corpus(gather(settings.corpus), settings.corpus, settings.training.seed)
    period = settings.training.evaluate_every
    turns = {
        name: start(settings, VARIANTS[shape][name], corpus, name in WRITES_RECORDS)
        for name in names
        if name in VARIANTS[shape]
    }
    if "dense fp32" in turns and precision_of(turns["dense"]) == precision_of(turns["dense fp32"]):
        del turns["dense fp32"]  # this machine has no fast bf16: both would be the same
    more: dict[str, Any] = beside(turns, settings, names) if shape == "train" else {"left_out": {}}
    for name, turn in turns.items():
        chooses = name.startswith(("top-2", *MIXTURES))
        # the partition, and the caches warm
        turn.take(max(period, CHOOSING_STEPS if chooses else WARM_STEPS), count=False)
    for name in in_turns(turns, blocks):
        turns[name].take(period)
    counted = count_telemetry(turns, period)
    for turn in turns.values():
        if turn.writer is not None:
            turn.writer.close()
    return report(shape, settings, turns, period, counted) | more


def start(settings: Settings, changes: dict[str, Any], corpus: Corpus, writes: bool) -> Turn:
    from cpart_core.runs.create import create_run
    from cpart_core.runs.record_writer import RecordWriter
    from cpart_core.training.loop import Trainer

    own = settings.with_values(
        {name: value for name, value in changes.items() if value is not None and name != "passes"}
    ).check()
    writer = RecordWriter(create_run(own, None).folder) if writes else None
    return Turn(Trainer(own, corpus), writer, changes.get("passes", True))


def precision_of(turn: Turn) -> str:
    from cpart_core.training.loop import Trainer

    trainer = turn.trainer
    return str(trainer.state.precision if isinstance(trainer, Trainer) else trainer.precision)


def beside(turns: dict[str, Turn], settings: Settings, names: Sequence[str]) -> dict[str, Any]:
    """Adds the peers among these names to the turns; returns who does not run and why, and the
    bytes that each keeps for its backward pass."""
    from cpart_core.bench.models.peer_memory import kept_by_peer
    from cpart_core.bench.models.peer_trainers import TOO_SLOW, peers_of
    from cpart_core.study.measure import kept_for_backward
    from cpart_core.training.loop import Trainer

    for turn in turns.values():
        turn.take(3, count=False)  # the partition
    dense = turns["dense"].trainer
    assert isinstance(dense, Trainer)
    began = time.perf_counter()
    dense.train_step()
    most = TOO_SLOW * (time.perf_counter() - began)
    own = settings.with_values(PARTITIONED)
    peers = peers_of(
        own,
        dense.corpus.vocabulary_size,
        dense.state.text.batches,
        dense.device,
        dense.state.precision,
        names,
        most,
    )
    turns |= {name: Turn(trainer) for name, trainer in peers.trainers.items()}
    for name, why in peers.left_out.items():
        print(f"  {name} left out: {why}", flush=True)
    kept = {
        name: (
            kept_for_backward(turn.trainer)
            if isinstance(turn.trainer, Trainer)
            else kept_by_peer(turn.trainer)
        )
        for name, turn in turns.items()
        if not name.endswith(("compiled", "without passes"))
    }
    return {
        "left_out": peers.left_out,
        "compile_seconds": peers.compile_seconds,
        "kept_bytes": kept,
    }


def count_telemetry(turns: dict[str, Turn], period: int) -> dict[str, Any]:
    """The ratio that telemetry and snapshots would make by what they cost alone; {} where nothing
    is watched."""
    from cpart_core.bench.harness.telemetry import seconds_of_telemetry
    from cpart_core.training.loop import Trainer

    live, plain = turns.get("live"), turns.get(COUNTED_AGAINST)
    if (
        live is None
        or plain is None
        or live.writer is None
        or not isinstance(live.trainer, Trainer)
    ):
        return {}
    more = seconds_of_telemetry(live.trainer, live.writer, period, len(plain.seconds))
    wall = paired(
        [block + own for block, (own, _) in zip(plain.seconds, more, strict=True)], plain.seconds
    )
    cpu = paired(
        [block + own for block, (_, own) in zip(plain.cpu_seconds, more, strict=True)],
        plain.cpu_seconds,
    )
    return {f"{COUNTED} / {COUNTED_AGAINST}": {"wall": wall, "cpu": cpu, "figure": COUNTED_FIGURE}}


def report(
    shape: str, settings: Settings, turns: dict[str, Turn], period: int, counted: dict[str, Any]
) -> dict[str, Any]:
    """Ratios of times paired by block, which are what to compare by; and tokens per second of each,
    in this process."""
    from cpart_core.training.loop import Trainer

    tokens = period * settings.training.batch_size * settings.model.context_length
    speeds = {
        name: spread([tokens / seconds for seconds in turn.seconds]) for name, turn in turns.items()
    }
    parameters = {
        name: sum(p.numel() for p in turn.trainer.model.parameters())
        for name, turn in turns.items()
    }
    ratios = {
        f"{a} / {b}": {**ratio(turns[a], turns[b]), "figure": figure}
        for a, b, figure in wanted_ratios(shape, turns)
    } | counted
    first = next(iter(turns.values()))
    threads = first.trainer.state.threads if isinstance(first.trainer, Trainer) else 0
    print(
        f"{shape}: {threads} threads, {precision_of(first)}, {period} steps a block,"
        f" {', '.join(turns)}"
    )
    for name, speed in speeds.items():
        quartiles = f"(quartiles {speed['low_quartile']:,.0f} to {speed['high_quartile']:,.0f})"
        print(
            f"  {name:30} {parameters[name]:11,} parameters {speed['median']:9,.0f} tokens/s "
            f" {quartiles}"
        )
    for name, found in ratios.items():
        figure = f"  at most {found['figure']:.2f}" if found["figure"] else ""
        print(
            f"  time {name:38} {found['wall']['median']:.3f}  (CPU time"
            f" {found['cpu']['median']:.3f}){figure}",
            flush=True,
        )
    return {
        "tokens_per_second": speeds,
        "parameters": parameters,
        "ratios": ratios,
        "steps_per_block": period,
        "threads": threads,
        "precision": precision_of(first),
        "seed": settings.training.seed,
        "settings": settings.to_json(),
    }


def ratio(ours: Turn, theirs: Turn) -> dict[str, Any]:
    return {
        "wall": paired(ours.seconds, theirs.seconds),
        "cpu": paired(ours.cpu_seconds, theirs.cpu_seconds),
    }
