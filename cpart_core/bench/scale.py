"""`bench scale`: one process with all threads against several that share them, on the same batches.

The groups take turns, a block of steps each, while the others sleep, so that a busy machine slows
all of them alike. speed is the ratio of tokens per second to one process's, cpu that of the CPU
time of all processes together, which other programs disturb less: 1 = nothing lost.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from cpart_core.bench.harness.app_server import free_port
from cpart_core.bench.harness.turn_trainers import CHOOSING_STEPS
from cpart_core.bench.models.variants import PARTITIONED, SHAPES, UNWATCHED
from cpart_core.bench.report.save import in_turns, paired, save, spread
from cpart_core.files.paths import given_path
from cpart_core.runs.child import python_child
from cpart_core.settings.run import Settings

PARALLEL = ("ddp", "fsdp")


class WorkerGroup:
    """Processes that train together, and what their blocks took."""

    def __init__(self, settings: Settings, corpus: Path, size: int, folder: Path) -> None:
        self.size = size
        self.answers: list[dict[str, Any]] = []
        path = folder / f"{settings.training.parallel}-{size}.json"
        path.write_text(settings.to_json(), encoding="utf-8")
        where = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
        }
        children = [
            python_child(
                "cpart_core.bench.harness.worker_group",
                str(path),
                str(corpus),
                changes={**where, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank in range(size)
        ]
        self.processes = [
            subprocess.Popen(
                child.command,
                env=child.environment,
                cwd=child.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for child in children
        ]

    def take(self, steps: int, count: bool = True) -> None:
        """A block of steps. RuntimeError when a process died."""
        first = self.processes[0]
        assert first.stdin is not None and first.stdout is not None
        first.stdin.write(f"{steps}\n")
        first.stdin.flush()
        answer = first.stdout.readline()
        if not answer:
            raise RuntimeError("A process that was measured ended; what it said is above.")
        if count:
            self.answers.append(json.loads(answer))

    def of(self, name: str) -> list[float]:
        return [float(answer[name]) for answer in self.answers]


@contextmanager
def worker_groups(
    settings: Settings, corpus: Path, sizes: Sequence[int], parallel: Sequence[str], threads: int
) -> Iterator[dict[str, WorkerGroup]]:
    """One process, and every number of several in every way; all ended afterwards."""
    wanted = {"1": (1, "ddp")} | {
        f"{size} {way}": (size, way) for size in sizes for way in parallel
    }
    started: dict[str, WorkerGroup] = {}
    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as folder:
        try:
            for name, (size, way) in wanted.items():
                own = settings.with_values({"threads": max(1, threads // size), "parallel": way})
                started[name] = WorkerGroup(own, corpus, size, Path(folder))
            yield started
        finally:
            processes = [process for group in started.values() for process in group.processes]
            for process in processes:
                if process.stdin is not None:
                    process.stdin.close()
            for process in processes:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                if process.stdout is not None:
                    process.stdout.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        choices=list(SHAPES),
        nargs="+",
        default=list(SHAPES),
        help="only these shapes (default: all)",
    )
    parser.add_argument(
        "--processes",
        default="2",
        metavar="A,B",
        help="numbers of processes to compare with one (default 2)",
    )
    parser.add_argument(
        "--parallel",
        choices=PARALLEL,
        help="only copies of the weights (ddp) or parts (fsdp); default both",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        help="CPU threads of all processes together; 0 = all cores",
    )
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each group (default 7)")
    parser.add_argument("--steps", type=int, default=20, help="steps of a block (default 20)")
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench scale",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    given = parser.parse_args(argv)
    if given.blocks < 3 or given.steps < 1:
        raise ValueError(
            f"--blocks is {given.blocks} and --steps {given.steps}; give 3 or more and 1 or more, a"
            " median needs them."
        )
    if not all(word.isdigit() and int(word) > 1 for word in given.processes.split(",")):
        raise ValueError(
            f"--processes is {given.processes!r}; give whole numbers above 1, such as 2 or 2,4."
        )
    sizes = [int(word) for word in given.processes.split(",")]
    from cpart_core.training.device import cores

    threads = given.threads or cores()
    ways = [given.parallel] if given.parallel else PARALLEL
    results = {}
    for shape in given.shape:
        settings = SHAPES[shape].with_values({**PARTITIONED, **UNWATCHED})
        results[shape] = measure(shape, settings, sizes, ways, threads, given.blocks, given.steps)
    save("scale", results, given.out)
    return 0


def measure(
    shape: str,
    settings: Settings,
    sizes: Sequence[int],
    ways: Sequence[str],
    threads: int,
    blocks: int,
    steps: int,
) -> dict[str, Any]:
    """All groups of one shape in turns, forwards and backwards."""
    from cpart_core.corpus.build import build_corpus, gather
    from cpart_core.corpus.store import save_corpus

    with tempfile.TemporaryDirectory(prefix="cpart-bench-") as folder:
        corpus = Path(folder)
        save_corpus(
            build_corpus(gather(settings.corpus), settings.corpus, settings.training.seed), corpus
        )
        with worker_groups(settings, corpus, sizes, ways, threads) as all_groups:
            for group in all_groups.values():
                # the partition, and the caches warm
                group.take(max(steps, CHOOSING_STEPS), count=False)
            for name in in_turns(all_groups, blocks):
                all_groups[name].take(steps)
            return report(shape, settings, all_groups, steps)


def report(
    shape: str, settings: Settings, all_groups: dict[str, WorkerGroup], steps: int
) -> dict[str, Any]:
    """Tokens per second of each group, and ratios paired by block."""
    tokens = steps * settings.training.batch_size * settings.model.context_length
    alone = all_groups["1"]
    print(
        f"{shape}: {alone.answers[0]['precision']}, {steps} steps a block, {len(alone.answers)}"
        " blocks"
    )
    found = {}
    for name, group in all_groups.items():
        cpu = paired(alone.of("cpu_seconds"), group.of("cpu_seconds"))["median"]
        found[name] = {
            "processes": group.size,
            "threads_each": group.answers[0]["threads"],
            "tokens_per_second": spread([tokens / seconds for seconds in group.of("seconds")]),
            "cpu_seconds_per_block": median(group.of("cpu_seconds")),
            "speed": paired(alone.of("seconds"), group.of("seconds")),
            "cpu": cpu,
        }
        speed = found[name]["speed"]
        print(
            f"  {name:8} {group.answers[0]['threads']} threads each"
            f" {found[name]['tokens_per_second']['median']:9,.0f} tokens/s  speed"
            f" {speed['median']:.3f} ({speed['low_quartile']:.3f} to {speed['high_quartile']:.3f}) "
            f" cpu {cpu:.3f}",
            flush=True,
        )
    return {
        "crews": found,
        "steps_per_block": steps,
        "seed": settings.training.seed,
        "settings": settings.to_json(),
    }
