"""Finding one's way in many runs: search, order, names that tell two apart, and starts that came to
nothing."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from cpart_core.runs.folder import RunSummary, delete_run, list_runs

SORTS: dict[str, tuple[str, Callable[[RunSummary], Any], bool]] = {
    "newest": ("Newest first", lambda entry: entry.created, True),
    "oldest": ("Oldest first", lambda entry: entry.created, False),
    "name": ("Name", lambda entry: folded(entry.name), False),
    "state": ("State", lambda entry: entry.state.state, False),
    "steps": ("Most steps", lambda entry: entry.state.step, True),
}
"""Name -> as a person reads it, by what, and whether the greatest comes first. The newest are the
order that `list_runs` gives."""


def search(summaries: Sequence[RunSummary], words: str) -> list[RunSummary]:
    """Those in whose name, id, state, contexts or kind of twin every one of the words stands,
    whatever the case."""
    wanted = folded(words).split()
    return (
        [entry for entry in summaries if all(word in text_of(entry) for word in wanted)]
        if wanted
        else list(summaries)
    )


def text_of(entry: RunSummary) -> str:
    info = entry.info
    more = (
        (
            *info.contexts,
            info.twin_kind and f"{info.twin_kind} twin",
            info.settings.partition.method.name,
        )
        if info is not None
        else ()
    )
    return folded(
        " ".join(
            (entry.name, entry.id, entry.state.state, "sample" if entry.read_only else "own", *more)
        )
    )


def folded(text: str) -> str:
    """Case and ways of writing the same letter do not matter."""
    return unicodedata.normalize("NFKC", text).casefold()


def in_order(summaries: Sequence[RunSummary], by: str) -> list[RunSummary]:
    """In one of SORTS; equal ones stay as they were. ValueError for another order."""
    if by not in SORTS:
        raise ValueError(f"There is no order {by!r}; allowed: {', '.join(SORTS)}.")
    _, key, greatest_first = SORTS[by]
    return list(summaries) if by == "newest" else sorted(summaries, key=key, reverse=greatest_first)


def told_apart(summaries: Sequence[RunSummary]) -> dict[str, str]:
    """Id -> name; with the id behind it where another run has the same name."""
    shared = Counter(folded(entry.name) for entry in summaries)
    return {
        entry.id: f"{entry.name} ({entry.id})" if shared[folded(entry.name)] > 1 else entry.name
        for entry in summaries
    }


def failed_starts(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """Runs of one's own that ended before their first step: nothing in them can be looked at or
    gone on with."""
    return [
        entry
        for entry in summaries
        if not entry.read_only
        and entry.state.state in ("failed", "crashed")
        and not entry.state.step
    ]


def reason(entry: RunSummary) -> str:
    """Why a run failed, crashed or is damaged: the last line that says so; empty for others."""
    if entry.state.state not in ("failed", "crashed", "damaged"):
        return ""
    lines = [line.strip() for line in entry.state.last_words.splitlines() if line.strip()]
    return lines[-1] if lines else "Its trainer ended without a word."


def clear_failed_starts() -> list[str]:
    """Delete them; their ids. One that is being started again meanwhile stays."""
    cleared = []
    for entry in failed_starts(list_runs()):
        try:
            delete_run(entry.id)
        except (ValueError, OSError):
            continue
        cleared.append(entry.id)
    return cleared
