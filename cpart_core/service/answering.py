"""A request by name: checked, answered, read back from the run folder. Loads no torch until an
answer needs it."""

from __future__ import annotations

from typing import Any

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.source import Sources
from cpart_core.runs.folder import Run, open_run
from cpart_core.service.registry import Analysis, analysis_named

LONGEST_TEXT = 200_000
"""Characters. Much more than any model here reads."""


def answer(
    name: str, request: dict[str, Any], progress: Progress = silent, sources: Sources | None = None
) -> Any:
    """Compute one result; nothing is stored. `sources` keeps loaded models from one answer to the
    next.

    Raises ValueError with a sentence for an unknown name, a request that does not fit, an unknown
    run, a damaged or missing checkpoint.
    """
    analysis = analysis_named(name)
    values = check(analysis, request)
    run = open_run(request["run"])
    return analysis.answer(Asked(run, values, Sources() if sources is None else sources, progress))


def stored(run: Run, name: str, request: dict[str, Any]) -> Any | None:
    """The result that lies in the run folder, still true or not; None where there is none that can
    be read."""
    return run.result(name, request, analysis_named(name).result_type)


def stored_or_answered(
    run: Run, name: str, request: dict[str, Any], progress: Progress = silent
) -> Any:
    """The result in the run folder; computed and stored now where there is none."""
    found = stored(run, name, request)
    if found is None:
        found = answer(name, request, progress)
        run.store_result(name, request, found)
    return found


def check(analysis: Analysis, request: Any) -> dict[str, Any]:
    """The request's values, or ValueError that says what does not fit. A whole number passes for a
    float, nothing else is bent."""
    keys = {"run": str, **analysis.keys}
    if not isinstance(request, dict) or set(request) != set(keys):
        given = (
            ", ".join(map(str, request)) if isinstance(request, dict) else type(request).__name__
        )
        raise ValueError(
            f"The request {analysis.name} has the keys {', '.join(keys)}; given: {given or 'none'}."
        )
    values: dict[str, Any] = {}
    for key, wanted in keys.items():
        value = request[key]
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise ValueError(
                f"{key} of the request {analysis.name} must be {wanted.__name__}; given:"
                f" {str(value)[:80]!r}."
            )
        values[key] = value
    if len(values.get("text", "")) > LONGEST_TEXT:
        raise ValueError(
            f"The text has {len(values['text']):,} characters; at most {LONGEST_TEXT:,} are read."
            " Shorten it."
        )
    if not 0 <= values.get("seed", 0) < 2**31:
        raise ValueError(f"The seed is {values['seed']}; allowed: 0 to {2**31 - 1}.")
    return values
