"""What a case is, and the four ways it may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.abuse.place import Place

PASS, PART, FAIL, NOT_HERE = "pass", "part", "fail", "not possible here"
VERDICTS = (PASS, PART, FAIL, NOT_HERE)


class Part(Exception):
    """Some of what is demanded was seen, and some was not."""


@dataclass(frozen=True)
class Case:
    """One fault or abuse."""

    number: str
    """Of the list of 46 cases ("7"), or of the entry that it was added for ("C30.2")."""
    title: str
    demanded: str
    do: Callable[[Place], str]
    """Does it and returns what was seen; AssertionError, Part or NotPossible with what was seen
    otherwise."""
    quick: bool
    """A second or two, and no browser: pytest runs it too."""
    limit: float
    """Seconds after which it counts as hanging."""


def case(
    number: str, title: str, demanded: str, quick: bool = False, limit: float = 180.0
) -> Callable[[Callable[[Place], str]], Case]:
    """Make a case of a function."""
    return lambda do: Case(number, title, demanded, do, quick, limit)


class Look:
    """Several things to be seen in one case: `look(holds, "the words were shown")`, and at the end
    `return look.said()`."""

    def __init__(self) -> None:
        self.right: list[str] = []
        self.wrong: list[str] = []

    def __call__(self, holds: bool, what: str) -> bool:
        """`what` is said of either outcome, so it names the fact, with the numbers that were
        found."""
        (self.right if holds else self.wrong).append(what)
        return holds

    def said(self) -> str:
        """All that was right; raises Part where some of it was not, AssertionError where nothing
        was."""
        wrong = f"NOT: {'; '.join(self.wrong)}"
        if self.wrong and self.right:
            raise Part(f"{wrong}. Right: {'; '.join(self.right)}")
        assert not self.wrong, wrong
        return "; ".join(self.right)
