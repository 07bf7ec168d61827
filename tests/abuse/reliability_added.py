"""Ends without last words, memory that is short, leftovers: entries 32 to 34 and 38."""

from __future__ import annotations

import os
import signal
import time

from cpart_core.bench.kills import differences, fingerprints
from cpart_core.runs import session_phases as session
from cpart_core.runs import status as state
from cpart_core.runs.control import end_process
from cpart_core.runs.folder import open_run
from tests.abuse.case import Look, case
from tests.abuse.place import Place, Trainer, until
from tests.abuse.reliability_disk import fill
from tests.abuse.reliability_ends import LONG
from tests.abuse.reliability_limits import DAY, limit_memory, with_settings


@case(
    "C33.1", "a disk that stays full to the end", "ends soon, failed, with words that name the disk"
)
def full_to_the_end(place: Place) -> str:
    look = Look()
    for left in (0, 200_000):
        disk = place.small_disk(8)
        run = place.new_run(steps=400_000, checkpoint_every=200)
        trainer = place.fork_trainer(
            run,
            on_record=lambda record, disk=disk, left=left: record.step == 50 and fill(disk, left),
        )
        began = time.monotonic()
        over = ended(trainer, 45)
        look(
            over,
            f"{left} bytes left: "
            + (
                f"ended after {time.monotonic() - began:.0f} s with {trainer.code}"
                if over
                else "trains on for 45 s"
            ),
        )
        trainer.kill()
        now = run.state()
        look(
            now.state == "failed" and any(word in now.last_words for word in ("disk", "space")),
            f"{left} bytes left: {now.state}, {now.last_words[-160:]!r}",
        )
    return look.said()


@case(
    "C33.2",
    "so little memory that torch cannot be imported",
    "failed, with words that name memory",
    limit=240,
)
def no_memory_for_torch(place: Place) -> str:
    look = Look()
    for megabytes in (350, 500, 800, 1200):
        run = place.new_run()
        jobs_environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        code, said = place.cli(
            "resume",
            run.id,
            preexec_fn=lambda size=megabytes: limit_memory(size << 20),
            env=jobs_environment,
        )
        now = run.state()
        if now.state == "finished":
            continue
        if now.state == "new":
            look(
                "Traceback" not in said and "emory" in said,
                f"{megabytes} MB: before its first word, {said.strip().splitlines()[-1:]}",
            )
        else:
            look(
                now.state == "failed" and "emory" in now.last_words,
                f"{megabytes} MB: exit code {code}, {now.state}, {now.last_words[-140:]!r}",
            )
    return look.said()


@case("C33.3", "SIGTERM while the corpus is built", "ends within 5 s with exit code 0", quick=True)
def told_to_end_while_building(place: Place) -> str:
    run = place.new_run()
    real = session.build_corpus

    def slow(*arguments: object) -> object:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            sum(range(10_000))
        return real(*arguments)

    trainer = place.fork_trainer(run, lambda: setattr(session, "build_corpus", slow))
    until(lambda: "corpus" in run.state().phase, "the corpus should be in work")
    trainer.signal(signal.SIGTERM)
    began = time.monotonic()
    over = ended(trainer, 8)
    trainer.kill()
    look = Look()
    look(over, f"ended after {time.monotonic() - began:.1f} s" if over else "builds on for 8 s")
    look(
        trainer.code == 0 and run.state().state == "stopped",
        f"exit code {trainer.code}, {run.state().state}",
    )
    return look.said()


@case(
    "C33.4",
    "SIGINT twice",
    "a checkpoint is there, and it is said to be stopped, not to have crashed",
    quick=True,
)
def interrupted_twice(place: Place) -> str:
    look = Look()
    for pause in (0.0, 0.03):
        run = place.new_run(**LONG)
        trainer = place.fork_trainer(run)
        until(lambda run=run: run.state().step > 20, "training should begin")
        trainer.signal(signal.SIGINT)
        time.sleep(pause)
        if trainer.ended() is None:
            trainer.signal(signal.SIGINT)
        trainer.wait(20)
        now = run.state()
        look(now.state == "stopped", f"{now.state} at step {now.step} (exit code {trainer.code})")
        look(bool(run.checkpoint_steps()), f"checkpoints of steps {run.checkpoint_steps()}")
    return look.said()


@case(
    "C33.5",
    "one of two processes hangs; then Kill",
    "said soon; Kill leaves none of them",
    limit=240,
)
def one_of_two_hangs(place: Place) -> str:
    from tests.training.pair import start_pair

    run = place.new_run(**LONG)
    pair = start_pair(["-m", "cpart_core", "resume", run.id])
    for process in pair:
        place.stack.callback(process.kill)
    until(lambda: run.state().step > 10, "training should begin", 90)
    pair[1].send_signal(signal.SIGSTOP)
    state.SILENT_SECONDS = 2.0
    look = Look()
    until(
        lambda: not run.state().responding or not run.state().alive,
        "it should be said not to respond",
        60,
    )
    look(True, f"{run.state().state}, {'' if run.state().responding else 'not '}responding")
    end_process(run.folder, 1.0)
    deadline = time.monotonic() + 15
    while any(process.poll() is None for process in pair) and time.monotonic() < deadline:
        time.sleep(0.1)
    codes = [process.poll() for process in pair]
    look(None not in codes, f"after Kill they ended with {codes}")
    return look.said()


@case(
    "C34.1",
    "the first training on a machine, with nothing compiled yet, and the second",
    "the same records to the bit",
    limit=400,
)
def first_and_second(place: Place) -> str:
    settings = {
        "width": 64,
        "num_neurons": 256,
        "context_length": 64,
        "batch_size": 32,
        "steps": 120,
        "checkpoint_every": 60,
    }
    cache = {**os.environ, "NUMBA_CACHE_DIR": str(place.root / "numba")}
    found = []
    for _ in range(2):
        run = place.new_run(**settings)
        code, said = place.cli("resume", run.id, env=cache, seconds=180)
        assert code == 0, said[-400:]
        found.append(fingerprints(open_run(run.id)))
    differing = differences(*found)
    assert not differing, f"differing: {', '.join(differing)}"
    return f"{settings['steps']} steps, with the CPU kernels compiled in the first: nothing differs"


@case(
    "C34.2",
    "a run made with device=cuda is resumed where there is no GPU",
    "resumed with a setting that says so",
)
def cuda_run_elsewhere(place: Place) -> str:
    run = with_settings(place.stopped(), device="cuda")
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    code, said = place.cli("resume", run.id, "--device", "cpu", env=hidden)
    assert code == 0 and run.state().state == "finished", (
        f"exit code {code}: {said.strip().splitlines()[-1:]}"
    )
    return f"resume --device cpu: {run.state().state}"


@case(
    "C38",
    "leftovers (.tmp-*) in snapshots and in the root",
    "cleared by the next session and the next run",
    quick=True,
)
def leftovers_are_cleared(place: Place) -> str:
    run = place.stopped()
    old = time.time() - 3 * DAY
    left = [
        run.folder / "snapshots" / ".tmp-0a-step-00000020.npz",
        place.runs / ".tmp-0b-gone-run" / "file",
        place.runs / ".tmp-0c-run" / "run.json",
    ]
    # in analysis/ they go with the next result
    left.append(run.folder / "corpus" / ".tmp-0d-corpus.npz")
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 1000)
        os.utime(path, (old, old))
        os.utime(path.parent, (old, old)) if path.parent.name.startswith(".tmp") else None
    place.fork_trainer(run).wait()
    another = place.new_run()
    place.fork_trainer(another).wait()
    look = Look()
    for path in left:
        look(
            not path.exists(),
            f"{path.relative_to(place.runs)} is"
            f" {'cleared' if not path.exists() else 'still there'}",
        )
    return look.said()


def ended(trainer: Trainer, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while trainer.ended() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return trainer.ended() is not None


CASES = (
    *(
        full_to_the_end,
        no_memory_for_torch,
        told_to_end_while_building,
        interrupted_twice,
        one_of_two_hangs,
        first_and_second,
    ),
    *(cuda_run_elsewhere, leftovers_are_cleared),
)
