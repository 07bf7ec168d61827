"""One run of a study, in this process: create or resume it, train, measure, and store the outcome
in the study's folder.

<study folder>/<arm>-<seed>/                 a run folder; the app opens them with CPART_RUNS=<study folder>
<study folder>/.corpora/<seed>/              the text that all arms of a seed are trained on
<study folder>/.outcomes/<arm>-<seed>.json   what was measured
<study folder>/.logs/<arm>-<seed>.txt        what the run said
<study folder>/<name>.json                   the whole study so far
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cpart_core.corpus.build import build_corpus, gather
from cpart_core.corpus.store import save_corpus
from cpart_core.files.bounded_json import load_bounded
from cpart_core.runs.atomic import read_small, write_file, writing_folder
from cpart_core.runs.create import copy_corpus, create_run, with_whole_path
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.origin import Trained
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import ignore_record, ignore_words, run_training
from cpart_core.service.answering import stored_or_answered
from cpart_core.settings.run import Settings
from cpart_core.study.outcome import Outcome, is_complete, outcome_from, without_nan
from cpart_core.study.plan import Plan
from cpart_core.training.precheck import check_before, count_corpus

if TYPE_CHECKING:
    from cpart_core.records.training import Record

MOST_BYTES = 8 << 20
"""Of memory for what an outcome's file says."""
CORPORA, OUTCOMES, LOGS = ".corpora", ".outcomes", ".logs"


def cell_id(arm: str, seed: int) -> str:
    """Id of the run of an arm and a seed."""
    return f"{arm}-{seed}"


def outcome_file(folder: Path, arm: str, seed: int) -> Path:
    return folder / OUTCOMES / f"{cell_id(arm, seed)}.json"


def read_outcome(folder: Path, arm: str, seed: int) -> Outcome | None:
    """The stored outcome of a run; None when there is none, or one that is damaged or older than a
    measure: then it is measured anew."""
    path = outcome_file(folder, arm, seed)
    with suppress(ValueError):
        data = load_bounded(read_small(path), MOST_BYTES)
        return outcome_from(data) if is_complete(data) else None
    return None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Store or replace what was measured of a run, atomically."""
    path = outcome_file(folder, outcome.arm, outcome.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(without_nan(outcome.to_data()), indent=1).encode())


def prepare_corpus(
    plan: Plan, folder: Path, seed: int, say: Callable[[str], None] = ignore_words
) -> Path:
    """The folder of a seed's text, built now if it is not there. ValueError for text that cannot be
    used, or not by one of the arms.

    say: told what is to be said of the text and of trainings on it.
    """
    target = folder / CORPORA / str(seed)
    if not (target / "corpus.json").is_file():
        corpus = build_corpus(gather(plan.base.corpus), plan.base.corpus, seed)
        count = count_corpus(corpus)
        said = [
            sentence
            for arm in plan.arms
            for sentence in check_before(plan.settings(arm, seed), count, folder)
        ]
        for sentence in dict.fromkeys([*corpus.notes, *said]):
            say(sentence)
        target.parent.mkdir(parents=True, exist_ok=True)
        with writing_folder(target) as draft:
            save_corpus(corpus, draft)
    return target


def cell_run(plan: Plan, folder: Path, arm: str, seed: int) -> Run:
    """The run of an arm and a seed, created now if it is not there. ValueError when the folder
    holds one with other settings."""
    run_id, settings = cell_id(arm, seed), with_whole_path(plan.settings(arm, seed))
    if not (folder / run_id).is_dir():
        kind = plan.kinds.get(arm, "") if arm != plan.reference else ""
        create_run(
            settings,
            None,
            f"{arm}, seed {seed}",
            run_id=run_id,
            origin=Trained(cell_id(plan.reference, seed), kind) if kind else Trained(),
        )
    run = open_run(run_id)
    if comparable(run.settings) != comparable(settings):
        raise ValueError(
            f"{folder / run_id} was made with other settings than this study's; give another --out,"
            " or delete that folder."
        )
    if not (run.folder / "corpus" / "corpus.json").is_file():
        copy_corpus(prepare_corpus(plan, folder, seed), run.folder / "corpus")
    return run


def comparable(settings: Settings) -> Settings:
    """Settings without the number of threads, which depends on the machine and on --jobs."""
    return settings.with_values({"threads": 0})


def train_cell(
    plan: Plan,
    folder: Path,
    arm: str,
    seed: int,
    on_record: Callable[[Record], None] = ignore_record,
    say: Callable[[str], None] = ignore_words,
) -> Outcome | None:
    """Train one run from wherever it is, measure it, store and return its outcome. None when it was
    stopped before its end.

    The root of runs must be the study's folder. ValueError for a person's mistakes and for a
    training that failed.
    """
    run = cell_run(plan, folder, arm, seed)
    code = run_training(run, on_record, say, look_at_losses)
    state = run.state()
    if code != ExitCode.DONE:
        raise ValueError(f"Run {run.id} failed at step {state.step}: {state.last_words[-400:]}")
    if state.state != "finished":
        return None
    from cpart_core.study.measure import measure

    say("measuring")
    outcome = measure(run.id, arm)
    write_outcome(folder, outcome)
    return outcome


def look_at_losses(run: Run, step: int, progress: Callable[..., None]) -> None:
    """What the outcome and the pages need of the last checkpoint."""
    for name in ("losses", "profiles"):
        stored_or_answered(run, name, {"run": run.id, "step": step}, progress)
