"""Runs a study: each arm and seed in a process of its own, several at once if asked for, with
progress, time left, and what was found so far.

A study can be stopped and started again at any moment: finished runs are skipped, interrupted ones
go on from their checkpoint. When all are finished, a second pass measures coherence, for which
another run judges.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from cpart_core.runs.child import python_child
from cpart_core.runs.folder import open_run
from cpart_core.settings.run import Settings
from cpart_core.study.cell import LOGS, cell_id, prepare_corpus, read_outcome
from cpart_core.study.coherence_scores import lacks_coherence
from cpart_core.study.machine import machine
from cpart_core.study.outcome import Outcome
from cpart_core.study.plan import Plan
from cpart_core.study.result import Study, save_study

PATIENCE_SECONDS = 30.0
"""For a run that was told to stop, to write its checkpoint."""
QUIET_SECONDS = 30.0
"""Between two lines of progress where the output is no terminal."""

Cell = tuple[str, int]
"""(arm, seed)"""


@dataclass
class StudyRunner:
    """One study and one folder. `go` trains what is missing; the root of runs must be the
    folder."""

    plan: Plan
    plan_flags: list[str]
    """How a child is told of the plan: the file, and what changes it."""
    folder: Path
    jobs: int
    stream: TextIO
    command: str
    children: dict[Cell, subprocess.Popen[bytes]] = field(default_factory=dict)
    failed: list[Cell] = field(default_factory=list)
    trained_steps: int = 0
    """Of runs that this session has finished."""
    began: float = field(default_factory=time.monotonic)
    shown: float = 0.0
    begun_steps: dict[Cell, int] = field(default_factory=dict)
    """Steps that each missing run had made before this session."""
    second_pass: bool = False

    def go(self) -> Study:
        """Train and measure all that is missing; returns the study, complete unless runs failed."""
        waiting = [cell for cell in self.plan.cells() if read_outcome(self.folder, *cell) is None]
        done = len(self.plan.cells()) - len(waiting)
        self.say(
            f"study {self.plan.name}: {len(self.plan.cells())} runs ({len(self.plan.arms)} arms x"
            f" {len(self.plan.seeds)} seeds), {done} done"
        )
        self.begun_steps = {cell: self.steps_of(cell) for cell in waiting}
        try:
            self.work(waiting)
            self.second_pass = True
            judged = [
                cell for cell in self.plan.cells() if lacks_coherence(self.plan, self.folder, *cell)
            ]
            if judged:
                self.say(f"measuring the coherence of {len(judged)} runs")
                self.work(judged)
        finally:
            self.stop()
        return self.study()

    def work(self, waiting: list[Cell]) -> None:
        """A process for each run, `jobs` at once."""
        while waiting or self.children:
            while waiting and len(self.children) < self.jobs:
                self.start(waiting.pop(0))
            time.sleep(0.2)
            for cell in [cell for cell, child in self.children.items() if child.poll() is not None]:
                self.finish(cell)
            self.show(len(waiting))

    def start(self, cell: Cell) -> None:
        """Start the process of one run; its text is built first, once for all arms of the seed."""
        arm, seed = cell
        if not (self.folder / ".corpora" / str(seed)).is_dir():
            self.say(f"building the text of seed {seed}")
            prepare_corpus(self.plan, self.folder, seed, self.say)
        logs = self.folder / LOGS
        logs.mkdir(parents=True, exist_ok=True)
        child = python_child(
            "cpart_core",
            "study",
            *self.plan_flags,
            "--out",
            str(self.folder),
            "--only",
            cell_id(arm, seed),
        )
        with open(logs / f"{cell_id(arm, seed)}.txt", "ab") as log:
            self.children[cell] = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child.environment,
                cwd=child.folder,
                start_new_session=True,
            )

    def finish(self, cell: Cell) -> None:
        """Take in a run that has ended, and store the study as far as it is."""
        code = self.children.pop(cell).wait()
        outcome = read_outcome(self.folder, *cell)
        if not self.second_pass:
            self.trained_steps += self.steps_of(cell) - self.begun_steps[cell]
        if outcome is None or (self.second_pass and code):
            self.failed.append(cell)
            log = (
                (self.folder / LOGS / f"{cell_id(*cell)}.txt")
                .read_text("utf-8", "replace")
                .strip()
                .splitlines()
            )
            self.say(
                f"{cell_id(*cell)} failed (exit code {code}):"
                f" {log[-1] if log else 'it said nothing'}"
            )
            return
        scores = (
            f"embedding score {outcome['coherence_embedding']:.3f}  order score"
            f" {outcome['coherence_order']:.3f}"
        )
        said = f"loss {outcome['loss']:.4f}  accuracy {outcome['accuracy']:.4f}  {outcome['seconds']:.0f} s"
        self.say(f"{cell_id(*cell)}  {scores if self.second_pass else said}")
        save_study(self.study(), self.folder / f"{self.plan.name}.json")

    def stop(self) -> None:
        """End what is still running; it writes its checkpoint first."""
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.clear()

    def steps_of(self, cell: Cell) -> int:
        """Steps that a run has made so far."""
        with suppress(ValueError):
            return open_run(cell_id(*cell)).state().step
        return 0

    def study(self) -> Study:
        """What there is of the study."""
        outcomes = [read_outcome(self.folder, *cell) for cell in self.plan.cells()]
        found: list[Outcome] = [outcome for outcome in outcomes if outcome is not None]
        contexts = open_run(found[0].run).info.contexts if found else ()
        return Study(
            name=self.plan.name,
            title=self.plan.title,
            command=self.command,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=machine(),
            jobs=self.jobs,
            reference=self.plan.reference,
            arms={arm: without_path(settings) for arm, settings in self.plan.arms.items()},
            seeds=self.plan.seeds,
            contexts=contexts,
            outcomes=tuple(found),
        )

    def show(self, waiting: int) -> None:
        """One line: what is running, and the time left."""
        now = time.monotonic()
        if now - self.shown < (1.0 if self.stream.isatty() else QUIET_SECONDS) or not self.children:
            return
        self.shown = now
        if self.second_pass:
            self.progress(
                f"measuring coherence: {', '.join(cell_id(*cell) for cell in self.children)};"
                f" {waiting} waiting"
            )
            return
        steps = {cell: self.steps_of(cell) for cell in self.children}
        made = self.trained_steps + sum(
            step - self.begun_steps[cell] for cell, step in steps.items()
        )
        left = sum(self.plan.settings(*cell).training.steps - step for cell, step in steps.items())
        left += waiting * self.plan.base.training.steps
        seconds = left * (now - self.began) / made if made >= 20 else float("nan")
        running = ", ".join(f"{cell_id(*cell)} step {step}" for cell, step in steps.items())
        self.progress(f"{running}; {waiting} waiting; time left {minutes(seconds)}")

    def progress(self, line: str) -> None:
        """A line that the next one replaces where the output is a terminal."""
        print(
            f"\r\x1b[2K{line}" if self.stream.isatty() else line,
            end="" if self.stream.isatty() else "\n",
            file=self.stream,
            flush=True,
        )

    def say(self, sentence: str) -> None:
        if self.stream.isatty():
            print("\r\x1b[2K", end="", file=self.stream)
        print(sentence, file=self.stream, flush=True)


def without_path(settings: Settings) -> Settings:
    """Settings whose text is named by its last part alone: where it lies on this machine is
    nobody's business."""
    return (
        settings.with_values({"path": Path(settings.corpus.path).name})
        if settings.corpus.path
        else settings
    )


def minutes(seconds: float) -> str:
    """75 -> '1 min'; NaN -> 'not known yet'."""
    if seconds != seconds:
        return "not known yet"
    return (
        f"{seconds:.0f} s"
        if seconds < 60
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
