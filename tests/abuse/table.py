"""The results for a person: a line as each comes, and a table with totals at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.abuse.alone import Result
from tests.abuse.case import NOT_HERE, PASS, VERDICTS


def line(result: Result) -> str:
    """One line; what was seen stands below where something was not as it should be."""
    more = "" if result.verdict == PASS else f"\n        {result.seen}"
    return (
        f"{result.number:>6}  {result.verdict:<5} {result.seconds:6.1f} s ({result.cpu_seconds:.1f}"
        f" of CPU)  {result.title}{more}"
    )


def table(results: Sequence[Result]) -> str:
    """Markdown; why something is not possible here stands where what was seen would."""
    rows = [("case", "what is done", "demanded", "seen", "verdict", "seconds")]
    rows += [
        (one.number, one.title, one.demanded, one.seen, one.verdict, f"{one.seconds:.1f}")
        for one in results
    ]
    said = [
        "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in row) + " |"
        for row in rows
    ]
    return "\n".join([said[0], "|---" * len(rows[0]) + "|", *said[1:]])


def totals(results: Sequence[Result], of: int) -> str:
    """How many of each verdict, and what could not be done."""
    counts = Counter(result.verdict for result in results)
    seconds = sum(result.seconds for result in results)
    left_out = ", ".join(result.number for result in results if result.verdict == NOT_HERE)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    return (
        f"{len(results)} of {of} cases in {seconds:.0f} s: {said}"
        + (f" ({left_out})" if left_out else "")
        + "."
    )
