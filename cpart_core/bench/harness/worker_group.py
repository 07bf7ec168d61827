"""One of the processes that `bench scale` times: trains as many steps as a line on standard input
says, and answers with the time.

`python -m cpart_core.bench.harness.worker_group SETTINGS.json CORPUS_FOLDER`, in the environment
that torchrun would set.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from cpart_core.corpus.store import load_corpus
from cpart_core.settings.run import Settings
from cpart_core.training.process_group import group_of_environment, joined, leave


def work(settings: Settings, corpus: Path) -> None:
    """The first process reads and answers; the others learn the number of steps from it. 0, or the
    end of the input, ends all."""
    import torch

    from cpart_core.training.loop import Trainer

    with joined(group_of_environment()) as group:
        trainer = Trainer(settings, load_corpus(corpus), group)
        while steps := group.broadcast_number(int(sys.stdin.readline() or 0) if group.first else 0):
            began, cpu_began = time.perf_counter(), time.process_time()
            for _ in range(steps):
                trainer.train_step()
            spent = torch.tensor([time.process_time() - cpu_began], dtype=torch.float64)
            seconds = time.perf_counter() - began
            cpu_seconds = float(group.sum(spent))
            if group.first:
                answer = {
                    "seconds": seconds,
                    "cpu_seconds": cpu_seconds,
                    "threads": trainer.state.threads,
                    "precision": str(trainer.state.precision),
                }
                print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    work(Settings.from_json(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
    leave(0)
