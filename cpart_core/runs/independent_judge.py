"""An independent judge of what runs write: what ties a run to others, and how to get one that
nothing ties. No torch: pages ask too."""

from __future__ import annotations

from collections.abc import Sequence

from cpart_core.runs.create import copy_corpus, create_run
from cpart_core.runs.folder import Run, run_folders
from cpart_core.runs.origin import Carved


def create_judge(run: Run) -> Run:
    """A new run, ready to be trained: as `run`, but dense, with other first weights and other
    batches.

    The corpus is copied, since another seed would hold out other documents, and the judge would
    have been trained on those that `run` has not seen. ValueError where the run has no corpus yet.
    """
    if not (run.folder / "corpus" / "corpus.json").is_file():
        raise ValueError(
            f"Run {run.id} has no corpus yet; it is built when training starts. Wait for it, then"
            " make a judge."
        )
    seed = run.settings.training.seed + 1
    settings = run.settings.with_values({"execution": "dense", "seed": seed})
    # Its command line would hold out other documents, so it has none.
    new = create_run(
        settings, None, f"{run.info.name} (judge, seed {seed})", run_id=free_id(run.id), command=""
    )
    copy_corpus(run.folder / "corpus", new.folder / "corpus")
    return new


def free_id(run_id: str) -> str:
    """The run's id with -judge behind it, and a number where that is taken."""
    taken = {folder.name for folder, _ in run_folders()}
    wanted = f"{run_id[:50]}-judge"
    return next(
        name
        for name in (wanted, *(f"{wanted}-{number}" for number in range(2, 10_000)))
        if name not in taken
    )


def relation(judge: Run, writers: Sequence[Run]) -> tuple[bool, str]:
    """(whether nothing ties the judge to a writer, what is known of it, in sentences)."""
    ties = []
    for writer in {run.id: run for run in writers}.values():
        tie = tied(judge, writer)
        if tie:
            ties.append(tie)
    same_text = [run for run in writers if run.info.fingerprint == judge.info.fingerprint]
    text = "the training text of one of them" if same_text else "other training text"
    seed = judge.settings.training.seed
    if ties:
        return False, f"Not independent: {'; '.join(ties)}."
    return (
        True,
        f"Independent of all compared: its own first weights and batches (seed {seed}), on {text}.",
    )


def tied(judge: Run, writer: Run) -> str:
    """What ties the two, as half a sentence; empty when nothing does. Names are left out: whoever
    shows this knows which run is meant."""
    if judge.id == writer.id:
        return "the judge is itself among the compared, and finds its own kind of text likely"
    one, other = judge.info, writer.info
    cut = [info.origin.run for info in (one, other) if isinstance(info.origin, Carved)]
    if {*cut} & {judge.id, writer.id} or (len(cut) == 2 and cut[0] == cut[1]):
        return f"the judge and {writer.id} are cut from the same weights"
    families = {info.twin_of or info.id for info in (one, other)}
    same_seed = (
        one.settings.training.seed == other.settings.training.seed
        and one.fingerprint == other.fingerprint
    )
    if len(families) == 1 or same_seed:
        return f"the judge saw the very same batches as {writer.id}, in the same order"
    return ""
