"""Run folders: where they are, listing, opening, renaming, deleting; and Run, through which
everything else reads a run.

No torch, no streamlit. A run id becomes a folder only when it fits the pattern of ids, so that no
text from outside is ever a path.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cpart_core.files.paths import PROJECT, path_of_environment
from cpart_core.files.plain import OUR_FOLDER, NotPlain, kind_of, plain_folder
from cpart_core.records.training import Snapshot
from cpart_core.runs.atomic import clear_leftovers, remove_folder
from cpart_core.runs.commands import send_command
from cpart_core.runs.control import RunLock, is_training
from cpart_core.runs.database import reading
from cpart_core.runs.info import RunInfo, clean_name, read_info, write_info
from cpart_core.runs.listing import SummaryCache
from cpart_core.runs.naming import NAME_PATTERN
from cpart_core.runs.private import make_private
from cpart_core.runs.result_files import Result, load_result, result_file, save_result
from cpart_core.runs.snapshots import load_snapshot, snapshot_steps, steps_in
from cpart_core.runs.status import RunState, run_state
from cpart_core.runs.tables import (
    ChangeTable,
    EvaluationTable,
    Event,
    RecordTable,
    read_changes,
    read_evaluations,
    read_events,
    read_records,
)
from cpart_core.settings.run import Settings

ANALYSIS, CACHE = "analysis", ".cache"
YOUNG_SECONDS = 600.0
"""Unfinished analysis files younger than this may be at work in another process."""
EVERY_POINT = 1 << 40
MOST_BYTES_OF_ALL = 4 << 30
"""Of memory for all records of a run: some ten million steps."""
MOST_RESULTS = 200
"""Results of one kind kept in a folder; the oldest go. Every text that somebody types is one."""


@dataclass(frozen=True)
class RunSummary:
    """A line of the list of runs. For a damaged run, `info` is None and `state.last_words` says
    why."""

    id: str
    name: str
    created: str
    """ISO time with zone; empty for a damaged run."""
    read_only: bool
    info: RunInfo | None
    state: RunState


@dataclass(frozen=True)
class Run:
    """A run folder, opened. Holds no file open and remembers nothing that training may change: each
    call reads anew."""

    folder: Path
    info: RunInfo
    read_only: bool
    """True for samples: nothing is written into the folder."""

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def settings(self) -> Settings:
        return self.info.settings

    def state(self) -> RunState:
        """How the run is now; never raises for what is on the disk."""
        return run_state(self.folder, self.settings.training.steps, self.read_only, check_sum=True)

    def records(self, max_points: int = 2000, after_step: int = 0) -> RecordTable:
        """Training steps after `after_step`, thinned to at most `max_points`, first and last kept.
        ValueError when damaged."""
        with reading(self.folder, self.read_only, check_sum=True) as connection:
            return read_records(connection, len(self.info.contexts), max_points, after_step)

    def all_records(self) -> RecordTable:
        """Every training step, for measurements in a process of their own: without the limits of
        the pages. ValueError when damaged."""
        with reading(self.folder, self.read_only, cpu_seconds=None, check_sum=True) as connection:
            return read_records(
                connection, len(self.info.contexts), EVERY_POINT, most_bytes=MOST_BYTES_OF_ALL
            )

    def evaluations(self, max_points: int | None = None) -> EvaluationTable:
        """Validations during training, thinned to at most `max_points`, first and last kept.
        ValueError when damaged."""
        with reading(self.folder, self.read_only, check_sum=True) as connection:
            return read_evaluations(connection, len(self.info.contexts), max_points)

    def changes(self) -> ChangeTable:
        """Partitions and repartitions. ValueError when damaged."""
        with reading(self.folder, self.read_only, check_sum=True) as connection:
            return read_changes(connection, self.settings.model.num_layers)

    def events(self) -> list[Event]:
        """What happened, oldest first. ValueError when damaged."""
        with reading(self.folder, self.read_only, check_sum=True) as connection:
            return read_events(connection)

    def snapshot_steps(self) -> list[int]:
        return snapshot_steps(self.folder)

    def snapshot(self, step: int) -> Snapshot:
        """ValueError when there is none of this step, it is damaged, or it is of another model or
        other contexts than run.json says."""
        snapshot = load_snapshot(self.folder, step)
        model = self.settings.model
        wanted = (
            model.num_layers,
            model.num_neurons,
            len(self.info.contexts) or snapshot.signature.shape[-1],
        )
        if (
            snapshot.signature.shape != wanted
            or snapshot.fusion_mass.shape[-1] != model.num_segments
        ):
            raise ValueError(
                f"The snapshot of step {step} is of"
                f" {' x '.join(map(str, snapshot.signature.shape))} layers, neurons and contexts;"
                f" run.json says {' x '.join(map(str, wanted))}. One of the two is damaged or from"
                " another run."
            )
        return snapshot

    def checkpoint_steps(self) -> list[int]:
        """Steps with a checkpoint, rising; whether it is sound is known when it is loaded."""
        return steps_in(self.folder / "checkpoints")

    def checkpoint_folder(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step:08d}"

    def result_folders(self) -> tuple[Path, ...]:
        """Where results may lie, none of them a link; new ones go to the last. NotPlain where that
        one is."""
        own = self.folder / ANALYSIS
        if not self.read_only:
            return (plain_folder(self.folder, ANALYSIS),)
        # The time of its making in the name: a sample made anew must not be shown with the results
        # of the old one.
        made = hashlib.sha256(self.info.created.encode()).hexdigest()[:8]
        cache = plain_folder(runs_root(), f"{CACHE}/{self.id}-{made}")
        return (own, cache) if kind_of(own) == "a folder" else (cache,)

    def result(self, name: str, request: dict[str, Any], wanted: type[Result]) -> Result | None:
        """The stored result of a request, a `wanted`; None when it has to be computed (also when
        the stored file is damaged)."""
        file = result_file(name, request)
        with suppress(ValueError):
            for folder in self.result_folders():
                if (folder / file).is_file():
                    with suppress(ValueError):
                        return load_result(folder / file, name, wanted)
        return None

    def store_result(self, name: str, request: dict[str, Any], result: Any) -> Path:
        """Store a result; the path of its file. OSError when the disk refuses."""
        folder = self.result_folders()[-1]
        folder.mkdir(OUR_FOLDER, parents=True, exist_ok=True)
        if not self.read_only:
            make_private(self.folder)
        clear_leftovers(folder, YOUNG_SECONDS)
        path = folder / result_file(name, request)
        save_result(path, name, result)
        kept = sorted(folder.glob(f"{name}-*.npz"), key=lambda entry: entry.stat().st_mtime_ns)
        for old in kept[:-MOST_RESULTS]:
            old.unlink(missing_ok=True)
        return path

    def send(self, command: str) -> None:
        """pause, resume, step or stop. ValueError when no trainer is there to carry it out."""
        state = self.state()
        if not (state.alive or state.phase == "starting"):
            raise ValueError(
                f"Run {self.id} has no living trainer to {command} (it is {state.state}). Press"
                " Resume to go on training."
            )
        send_command(self.folder, command)


def runs_root() -> Path:
    """Where a person's runs are: CPART_RUNS, or `runs/` in the project. May not exist yet."""
    return path_of_environment("CPART_RUNS", PROJECT / "runs")


def sample_root() -> Path:
    """Where the finished examples are: CPART_SAMPLES, or `sample_checkpoints/` in the project.
    Nothing is ever written there."""
    return path_of_environment("CPART_SAMPLES", PROJECT / "sample_checkpoints")


def new_run_id() -> str:
    """Local date and time and four characters of chance: sorts by age."""
    return time.strftime("%Y%m%d-%H%M%S-") + "".join(
        secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(4)
    )


def roots() -> list[tuple[Path, bool]]:
    """(root folder, read only), samples first. Where samples are being made, both are one root,
    which may be written."""
    samples, own = sample_root(), runs_root()
    return [(own, False)] if samples == own else [(samples, True), (own, False)]


def run_folders() -> list[tuple[Path, bool]]:
    """(folder, read only) of every run: samples by name, then a person's runs, newest first. Links
    that lead elsewhere are left out."""
    return [(Path(place), read_only) for place, read_only in run_places()]


def run_places() -> list[tuple[str, bool]]:
    """The same as texts, of which a thousand are made in no time."""
    found: dict[str, tuple[str, bool]] = {}
    for root, read_only in roots():
        try:
            entries = sorted(os.scandir(root), key=lambda entry: entry.name, reverse=not read_only)
        except OSError:
            continue
        for entry in entries:
            if NAME_PATTERN.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                found.setdefault(entry.name, (entry.path, read_only))
    return list(found.values())


def list_runs() -> list[RunSummary]:
    """Every run with its state, samples first, then the newest. Damaged ones are listed with the
    reason; the disk makes nothing raise."""
    summaries = [(place, known_summary(place, read_only)) for place, read_only in run_places()]
    there = [
        (place, entry)
        for place, entry in summaries
        if entry.info is not None or os.path.isdir(place)
    ]  # one may just have been deleted
    samples = [entry for _, entry in there if entry.read_only]
    return samples + [
        entry for _, entry in sorted(there, key=made_at, reverse=True) if not entry.read_only
    ]


def made_at(listed: tuple[str, RunSummary]) -> float:
    """Seconds since 1970 at which a run was made; for a damaged one, at which its folder last
    changed."""
    place, entry = listed
    try:
        return datetime.fromisoformat(entry.created).timestamp()
    except ValueError:
        return os.stat(place).st_mtime if os.path.isdir(place) else 0.0


def known_summary(place: str, read_only: bool) -> RunSummary:
    """One line of the list, read again only if something may have changed."""
    return summary_cache().get(
        place, lambda: summary(Path(place), read_only), lambda entry: entry.state.holds_seconds
    )


@cache
def summary_cache() -> SummaryCache[RunSummary]:
    """The lines that this process has read."""
    return SummaryCache()


def summary(folder: Path, read_only: bool) -> RunSummary:
    """One line of the list."""
    try:
        info = read_info(folder)
    except ValueError as error:
        return RunSummary(
            folder.name,
            folder.name,
            "",
            read_only,
            None,
            RunState("damaged", 0, 0, last_words=str(error)),
        )
    return RunSummary(
        info.id,
        info.name,
        info.created,
        read_only,
        info,
        run_state(folder, info.settings.training.steps, read_only),
    )


def open_run(run_id: str) -> Run:
    """The run of that id. ValueError when the id is none, unknown, or its run.json is damaged."""
    if not isinstance(run_id, str) or not NAME_PATTERN.fullmatch(run_id):
        raise ValueError("This is not the id of a run. Choose one from the list of runs.")
    for root, read_only in roots():
        folder = root / run_id
        if folder.is_dir() and not folder.is_symlink():
            return Run(folder, read_info(folder), read_only)
    raise ValueError(
        f"There is no run {run_id}. It may have been deleted; choose one from the list of runs."
    )


def own_folder(run_id: str) -> Path:
    """The folder of a run that may be changed, also of a damaged one. ValueError for samples and
    unknown ids."""
    for folder, read_only in run_folders():
        if folder.name == run_id and not read_only:
            return folder
    raise ValueError("This run is a sample or does not exist; it cannot be changed.")


def rename_run(run_id: str, name: str) -> None:
    """Give a run another label. ValueError when nothing readable is left of the name."""
    folder = own_folder(run_id)
    label = clean_name(name)
    if not label:
        raise ValueError("A run's name needs at least one visible character.")
    write_info(folder, replace(read_info(folder), name=label))


def delete_run(run_id: str) -> None:
    """Delete a run with everything in it. ValueError while it is being trained, and for samples."""
    folder = own_folder(run_id)
    try:
        with RunLock(folder):
            remove_folder(folder)
    # such a lock is not taken, but one that was copied by name since then may be held
    except NotPlain:
        if is_training(folder):
            raise
        remove_folder(folder)
