"""An independent judge of a run's text: a dense model of another seed, trained on the same training text, and so with the same text held out."""

from __future__ import annotations

from dataclasses import replace

from cpart_core.runs.create import copy_corpus, create_run
from cpart_core.runs.folder import Run, open_run, run_folders
from cpart_core.runs.info import write_info


def create_judge(run: Run) -> Run:
    """A new run, ready to be trained: as `run`, but dense, with other first weights and other batches.

    The corpus is copied, since another seed would hold out other documents, and the judge would have been trained on those that `run` has
    not seen. ValueError where the run has no corpus yet.
    """
    if not (run.folder / "corpus" / "corpus.json").is_file():
        raise ValueError(f"Run {run.id} has no corpus yet; it is built when training starts. Wait for it, then make a judge.")
    seed = run.settings.training.seed + 1
    settings = run.settings.with_values({"execution": "dense", "seed": seed})
    new = create_run(settings, None, f"{run.info.name} (judge, seed {seed})", run_id=free_id(run.id))
    copy_corpus(run.folder / "corpus", new.folder / "corpus")
    write_info(new.folder, replace(new.info, command=""))  # its command line would hold out other documents
    return open_run(new.id)


def free_id(run_id: str) -> str:
    """The run's id with -judge behind it, and a number where that is taken."""
    taken = {folder.name for folder, _ in run_folders()}
    wanted = f"{run_id[:50]}-judge"
    return next(name for name in (wanted, *(f"{wanted}-{number}" for number in range(2, 10_000))) if name not in taken)
