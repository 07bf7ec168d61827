"""What a page reads of every run, in a process of its own that says what each reading cost: `python
-m tests.abuse.probe RUN`.

A line for each reading, before it begins and after: {"run", "what"} and then {"run", "what",
"seconds", "megabytes", "said"}.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cpart_core.corpus.store import load_corpus
from cpart_core.runs.folder import Run, list_runs, open_run, sample_root
from cpart_core.service.answering import stored
from tests.abuse.case import Look
from tests.source_files import ROOT

MOST_SECONDS = 1.0
MOST_WAITED = 3.0
"""Until a reading is over, on a busy machine."""
MOST_MEGABYTES = 50.0
HANGS_SECONDS = 8.0
START_SECONDS = 12.0
"""For the process to import all, on a busy machine."""


@dataclass(frozen=True)
class Cost:
    """Of one reading."""

    run: str
    what: str
    seconds: float
    """Of CPU."""
    waited: float
    """Seconds until it was there."""
    megabytes: float
    said: str
    """Nothing, the sentence of a ValueError, or the name of another exception, which would break
    the page."""

    @property
    def bearable(self) -> bool:
        return (
            self.seconds <= MOST_SECONDS
            and self.waited <= MOST_WAITED
            and self.megabytes <= MOST_MEGABYTES
            and not self.said.startswith("!")
        )

    def __str__(self) -> str:
        return (
            f"{self.what} of {self.run}: {self.seconds:.2f} s, {self.megabytes:.0f}"
            f" MB{', ' + self.said if self.said.startswith('!') else ''}"
        )


def readings(run_id: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """(name, reading) of all that pages read of a run."""
    if run_id != sound_id():
        yield "list", list_runs
    yield "open", lambda: open_run(run_id)
    opened: list[Run] = []
    yield "state", lambda: opened.append(open_run(run_id)) or opened[0].state()
    if not opened:
        return
    run = opened[0]
    yield "records", run.records
    yield "evaluations", run.evaluations
    yield "changes", run.changes
    yield "events", run.events
    yield "snapshots", lambda: [run.snapshot(step) for step in run.snapshot_steps()]
    yield "checkpoints", run.checkpoint_steps
    yield "corpus", lambda: load_corpus(run.folder / "corpus")
    for step in run.checkpoint_steps()[-1:]:
        for name in ("losses", "profiles"):
            yield (
                name,
                lambda name=name, step=step: stored(run, name, {"run": run.id, "step": step}),
            )


def main(strange: str) -> None:
    """The sample first, so that code is loaded and what is counted is the other run's alone: of it,
    then, the list too."""
    for run_id in (sound_id(), strange):
        for what, read in readings(run_id):
            print(json.dumps({"run": run_id, "what": what}), flush=True)
            before, began, used = most_memory(), time.perf_counter(), time.process_time()
            said = ""
            try:
                read()
            except ValueError as error:
                said = str(error)[:300]
            except BaseException as error:  # noqa: BLE001  any other would reach the page
                said = f"! {type(error).__name__}: {str(error)[:200]}"
            waited, seconds = time.perf_counter() - began, time.process_time() - used
            cost = Cost(run_id, what, seconds, waited, (most_memory() - before) / 1024, said)
            print(json.dumps(cost.__dict__), flush=True)


def sound_id() -> str:
    return next(entry.name for entry in sorted(sample_root().iterdir()))


def most_memory() -> int:
    """Kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def costs(root: Path, run_id: str, sound: str) -> list[Cost]:
    """What a page pays for a run below `root`, read after a sound one in `sound` (so that code is
    loaded); what hangs is the last."""
    environment = {**os.environ, "CPART_RUNS": str(root), "CPART_SAMPLES": sound}
    command = [sys.executable, "-m", "tests.abuse.probe", run_id]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    try:
        said, _ = process.communicate(timeout=START_SECONDS + HANGS_SECONDS)
    except subprocess.TimeoutExpired as late:
        process.kill()
        process.wait()
        said = (
            (late.stdout or b"").decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        )
    lines = [json.loads(line) for line in said.splitlines() if line.endswith("}")]
    found = [Cost(**line) for line in lines if "seconds" in line]
    if lines and "seconds" not in lines[-1]:
        how = (
            "it hung"
            if process.returncode == -9
            else f"its process ended with {process.returncode}"
        )
        found.append(Cost(lines[-1]["run"], lines[-1]["what"], 0.0, HANGS_SECONDS, 0.0, f"! {how}"))
    return [cost for cost in found if cost.run == run_id]


def bearable(look: Look, made: dict[str, Path], sound: str) -> None:
    """Each of the made runs, below a root and in a process of its own, costs a page no more than it
    may.

    made: what was done -> folder of the run. sound: id of a run beside them that nothing was done
    to.
    """
    for number, (name, folder) in enumerate(made.items()):
        root = folder.parent.parent / f"probed-{number}"
        root.mkdir()
        folder.rename(root / folder.name)
        if not (samples := folder.parent.parent / "sound").is_dir():
            samples.mkdir()
            (folder.parent / sound).rename(samples / sound)
        found = costs(root, folder.name, str(samples))
        bad = [str(cost) for cost in found if not cost.bearable]
        most = max((cost.megabytes for cost in found), default=0.0)
        slowest = max((cost.seconds for cost in found), default=0.0)
        look(
            not bad and bool(found),
            f"{name}: "
            + ("; ".join(bad)[:300] if bad else f"at most {slowest:.2f} s and {most:.0f} MB"),
        )


if __name__ == "__main__":
    main(sys.argv[1])
