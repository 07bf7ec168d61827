"""Who writes and who judges, loaded from the lists of a request. Nothing is written or measured
here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.coherence.embedder import Embedder
from cpart_core.analysis.effects.what_if import Change, changes_of, in_words
from cpart_core.analysis.source import Source, Sources
from cpart_core.model.intervention import intervene
from cpart_core.records.coherence import Judge, Writer
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.independent_judge import relation

MOST_WRITERS = 4


@dataclass(frozen=True)
class Candidate:
    """A writer, loaded."""

    run: Run
    source: Source
    changes: tuple[Change, ...]
    writer: Writer


def load_candidates(entries: Sequence[object], sources: Sources) -> list[Candidate]:
    """The writers of a request, [run, step, [[layer, segment, kind, factor], ...]] each. ValueError
    for what they cannot be."""
    if not 1 <= len(entries) <= MOST_WRITERS:
        raise ValueError(f"{len(entries)} writers are given; allowed are 1 to {MOST_WRITERS}.")
    found = []
    for entry in entries:
        if not (
            isinstance(entry, list)
            and len(entry) == 3
            and type(entry[0]) is str
            and type(entry[1]) is int
            and type(entry[2]) is list
        ):
            raise ValueError(
                "A writer is [run, step, interventions] with a list of interventions; given:"
                f" {str(entry)[:80]}."
            )
        run = open_run(entry[0])
        changes = changes_of(entry[2], []) if entry[2] else ()
        source = sources.source(run, entry[1])
        with intervene(source.model, changes):
            pass  # what this model cannot do is refused before anything is written
        writer = Writer(
            run.id, entry[1], run.info.name, tuple(in_words(change) for change in changes)
        )
        found.append(Candidate(run, source, changes, writer))
    return found


def judge_of(
    judge: Run, source: Source, candidates: Sequence[Candidate], embedder: Embedder
) -> Judge:
    independent, said = relation(judge, [candidate.run for candidate in candidates])
    return Judge(
        judge.id, source.step, judge.info.name, embedder.said, embedder.installed, independent, said
    )


def candidates_of(asked: Asked) -> list[Candidate]:
    """The writers that a request names: the run itself, changed where it says so, and the
    others."""
    values = asked.values
    asked.progress(0.0, "Loading the models")
    first = [asked.run.id, values["step"], values["interventions"]]
    return load_candidates([first, *values["others"]], asked.sources)
