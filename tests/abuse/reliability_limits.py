"""Memory that ends, GPUs that are not there, numbers that are none, clocks that jump, and whether a
resumed run is the same."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cpart_core.bench.kills import fingerprints
from cpart_core.runs import train_loop as drive
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import read_info, write_info
from tests.abuse.case import Look, case
from tests.abuse.not_possible import NotPossible
from tests.abuse.place import HALF, Place, until
from tests.abuse.reliability_ends import LONG, after
from tests.source_files import ROOT

NO_GPU = "no GPU in this machine"
BIG = {
    "width": 512,
    "num_layers": 6,
    "num_neurons": 4096,
    "num_heads": 8,
    "num_kv_heads": 8,
    "context_length": 256,
    "batch_size": 64,
}
DAY = 86_400.0


@case(
    "13",
    "memory ends (RLIMIT_AS)",
    "said, with what to make smaller; an exit code that is not 0; earlier checkpoints kept",
    quick=True,
)
def out_of_memory(place: Place) -> str:
    look = Look()
    for name, run in {
        "a run too large": place.new_run(**BIG),
        "a stopped run": place.stopped(),
    }.items():
        spare = (300 if name == "a run too large" else 2) << 20
        trainer = place.fork_trainer(run, lambda spare=spare: limit_memory(vm_bytes() + spare))
        code = trainer.wait()
        now = run.state()
        if name == "a stopped run" and code == 0:
            look(True, "a stopped run had enough")
            continue
        look(
            code not in (0, None) and now.state == "failed" and "batch_size" in now.last_words,
            f"{name}: exit code {code}, {now.state}, {now.last_words[:160]!r}",
        )
        look(
            name == "a run too large" or run.checkpoint_steps()[-1] == HALF,
            f"{name}: checkpoints {run.checkpoint_steps()}",
        )
    return look.said()


@case("14", "CUDA memory ends in a step", "said, with batch_size; the checkpoint is kept")
def out_of_cuda_memory(place: Place) -> str:
    if not torch.cuda.is_available():
        raise NotPossible(NO_GPU)
    run = place.new_run(**BIG, device="cuda")
    code, _ = place.cli(
        "resume",
        run.id,
        env={**os.environ, "PYTORCH_CUDA_ALLOC_CONF": "per_process_memory_fraction:0.005"},
    )
    now = run.state()
    assert code == 3 and "batch_size" in now.last_words, f"exit code {code}: {now.last_words[:300]}"
    return f"exit code {code}: {now.last_words[:200]}"


@case(
    "15",
    "the GPU vanishes (CUDA_VISIBLE_DEVICES is empty)",
    "auto goes on with the CPU; cuda is refused with a sentence that says what to do",
)
def gpu_vanishes(place: Place) -> str:
    look = Look()
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    run = with_settings(place.stopped(), device="auto")
    code, said = place.cli("resume", run.id, env=hidden)
    look(
        code == 0 and run.state().state == "finished",
        f"auto: exit code {code}, {run.state().state}",
    )
    run = with_settings(place.stopped(), device="cuda")
    code, said = place.cli("resume", run.id, env=hidden)
    words = said.strip().splitlines()[-1]
    look(code == 2 and "GPU" in words and "cpu" in words, f"cuda: exit code {code}, {words!r}")
    look(
        run.state().state == "failed" and "GPU" in run.state().last_words,
        f"the page says {run.state().last_words[:160]!r}",
    )
    return look.said()


@case(
    "16",
    "the loss becomes NaN or infinite",
    "stops with the step and what to change; the last good checkpoint stays the last",
    quick=True,
)
def no_number(place: Place) -> str:
    look = Look()
    for name in ("nan", "inf"):
        run = place.new_run()
        made = keep_drives()

        def poison(record: Any, name: str = name, made: list[drive.Drive] = made) -> None:
            if record.step == 14:
                with torch.no_grad():
                    made[0].trainer.model.embedding.fill_(float(name))

        code = place.fork_trainer(run, on_record=poison).wait()
        now = run.state()
        look(
            code == 3 and "step 15" in now.last_words and "learning_rate" in now.last_words,
            f"{name}: exit code {code}, {now.last_words[:120]!r}",
        )
        look(run.checkpoint_steps() == [10], f"{name}: checkpoints {run.checkpoint_steps()}")
    return look.said()


@case(
    "17",
    "the clock jumps a day back and a day ahead in training",
    "time left, heartbeat, commands and the end are as ever",
    quick=True,
)
def clock_jumps(place: Place) -> str:
    look = Look()
    real = time.time
    for name, jump in (("back", -DAY), ("ahead", DAY)):
        run = place.new_run(**LONG)

        def shift(record: Any, jump: float = jump) -> None:
            if record.step == 60:
                time.time = lambda: real() + jump

        trainer = place.fork_trainer(run, on_record=shift)
        until(lambda run=run: run.state().step > 60, "training should go on")
        until(lambda run=run: run.state().step > 90, "training should go on")
        now = run.state()
        look(
            now.alive and now.responding,
            f"{name}: {now.state}, {'' if now.responding else 'not '}responding",
        )
        look(0 < now.eta_seconds < DAY, f"{name}: {now.eta_seconds:.0f} s left")
        run.send("stop")
        seconds = until(lambda trainer=trainer: trainer.ended() is not None, "it should obey", 20)
        look(
            trainer.code == 0 and run.state().state == "stopped",
            f"{name}: obeyed after {seconds:.1f} s, {run.state().state}",
        )
    return look.said()


@case(
    "19",
    "stopped and resumed; one and two processes",
    "on the CPU to the bit; across numbers of processes to rounding",
    limit=400,
)
def resumed_is_the_same(place: Place) -> str:
    look = Look()
    untouched = fingerprints(place.finished())
    run = place.new_run()
    for stop in (7, 8, 25):
        place.fork_trainer(
            run, on_record=lambda record, stop=stop: record.step == stop and run.send("stop")
        ).wait()
    after(run, place, look, untouched)
    command = [sys.executable, "-m", "pytest", "-q", "tests/training/test_parallel.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=360)
    look(
        done.returncode == 0,
        f"tests/training/test_parallel.py: {done.stdout.strip().splitlines()[-1]}",
    )
    look(True, f"on a GPU: {'not tried' if torch.cuda.is_available() else NO_GPU}")
    return look.said()


def with_settings(run: Run, **changes: Any) -> Run:
    """The run as if it had been made with these settings."""
    write_info(
        run.folder, replace(read_info(run.folder), settings=run.settings.with_values(changes))
    )
    return open_run(run.id)


def keep_drives() -> list[drive.Drive]:
    """The drives that are made from now on, in a forked trainer too."""
    made: list[drive.Drive] = []
    real = drive.Drive.__init__

    def keep(self: drive.Drive, *arguments: Any) -> None:
        made.append(self)
        real(self, *arguments)

    drive.Drive.__init__ = keep
    return made


def vm_bytes() -> int:
    """Address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limit_memory(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


CASES = (
    out_of_memory,
    out_of_cuda_memory,
    gpu_vanishes,
    no_number,
    clock_jumps,
    resumed_is_the_same,
)
