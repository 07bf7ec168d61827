"""Which settings take effect: what is given and cannot do anything is refused by its name, before
anything is trained.

The fields of settings/run.py say when they count; command line, settings files, studies and the
form all ask here. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cpart_core.files.paths import with_home
from cpart_core.settings.fields.setting import Setting, When
from cpart_core.settings.run import Settings

SAVED_DATASET = ("dataset_dict.json", "dataset_info.json", "state.json")
"""A folder with one of these was written by the datasets library."""


def without_effect(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Those of the named settings that cannot do anything beside the others -> why, in half a
    sentence."""
    values = {item.name: value for _, item, value in settings.items()}
    wanted = set(names)
    found = (
        (item.name, missing(item.when, values))
        for _, item, _ in settings.items()
        if item.name in wanted
    )
    return {name: why for name, why in found if why}


def missing(when: When, values: dict[str, Any]) -> str:
    """'it takes effect only where execution is topk, and execution is dense'; empty where a case
    holds."""
    cases = [
        [(name, test) for name, test in case.items() if not holds(values[name], test, values)]
        for case in when
    ]
    if not cases or not all(cases):
        return ""
    nearest = min(cases, key=len)
    asked = " and ".join(f"{name} is {said(test, values)}" for name, test in nearest)
    now = " and ".join(f"{name} is {values[name]}" for name, _ in nearest)
    return f"it takes effect only where {asked}, and {now}"


def holds(value: Any, test: tuple[str, ...] | str, values: dict[str, Any]) -> bool:
    return value > threshold(test, values) if isinstance(test, str) else value in test


def threshold(test: str, values: dict[str, Any]) -> Any:
    """The number behind '> 0' or '> first_step'."""
    bound = test.removeprefix("> ")
    return values[bound] if bound in values else float(bound)


def said(test: tuple[str, ...] | str, values: dict[str, Any]) -> str:
    if not isinstance(test, str):
        return " or ".join(test)
    bound = test.removeprefix("> ")
    return f"more than {bound}" + (f" ({values[bound]})" if bound in values else "")


def when_in_words(item: Setting) -> str:
    """'Takes effect where execution is topk.' for help texts; empty for a setting that always
    does."""
    cases = []
    for case in item.when:
        parts = [
            f"{name} is"
            f" {test.replace('> ', 'more than ') if isinstance(test, str) else ' or '.join(test)}"
            for name, test in case.items()
        ]
        cases.append(" and ".join(parts))
    return f"Takes effect where {', or where '.join(cases)}." if cases else ""


def refuse_without_effect(settings: Settings, names: Iterable[str]) -> None:
    """ValueError where one of the settings that were given cannot do anything beside the others."""
    idle = without_effect(settings, names)
    if idle:
        more = f" (and so for {', '.join(list(idle)[1:])})" if len(idle) > 1 else ""
        name, why = next(iter(idle.items()))
        raise ValueError(f"{name} was given, but {why}{more}: change that, or leave it out.")


def effective(settings: Settings) -> Settings:
    """The settings with the default for each one that does not do anything: equal ones train the
    same model."""
    defaults = {item.name: value for _, item, value in Settings().items()}
    idle = without_effect(settings, defaults)
    return settings.with_values({name: defaults[name] for name in idle})


def with_source(settings: Settings, given: Iterable[str]) -> tuple[Settings, str]:
    """The settings with the source that a path without one can only mean, and the sentence that
    says so (empty where nothing was inferred).

    ValueError where the path leads to nothing.
    """
    names, corpus = set(given), settings.corpus
    if "path" not in names or "source" in names or corpus.source != "builtin" or not corpus.path:
        return settings, ""
    path = Path(with_home(corpus.path, "path"))
    if path.is_dir():
        source = "dataset" if any((path / name).is_file() for name in SAVED_DATASET) else "folder"
    elif path.is_file():
        source = "file"
    else:
        raise ValueError(
            f"path {corpus.path[:200]!r} was given without a source, and nothing is there; give"
            " source file, folder or dataset."
        )
    return (
        settings.with_values({"source": source}),
        f"source {source}: taken from the path {corpus.path[:200]}",
    )
