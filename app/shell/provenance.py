"""Where the numbers of a figure are from, once for all its forms: the caption, the columns of its
CSV, and the name and the words of its pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.text.escape import code_span, plain, unmarked
from cpart_core import __version__

LONGEST_FILE_NAME = 240
"""Characters without the ending. File systems take 255; two ids of the greatest length, with steps
and seeds, are fewer than these."""


@dataclass(frozen=True)
class Provenance:
    """A run, a study or a measurement, and what was taken from it."""

    name: str
    id: str
    """Of the run; of a study or a measurement its name again."""
    step: int | None = None
    n: str = ""
    """In words: '12,000 validation tokens'."""
    seed: str = ""
    """Of what is shown: of the training, or of a sample or layout drawn from it; several of a
    study."""
    training_seed: int | None = None
    more: str = ""
    kind: str = "run"
    letter: str = ""
    """A or B where two are compared."""

    def said(self) -> str:
        """As markdown."""
        return self.told(code_span(self.name, 60))

    def plain(self) -> str:
        """Without markup, for pictures."""
        name = plain(self.name, 60) + (f" ({plain(self.id, 60)})" if self.id != self.name else "")
        return replace(self, more=unmarked(self.more)).told(name)

    def told(self, name: str) -> str:
        pieces = [f"{self.letter}: {self.kind} {name}" if self.letter else f"{self.kind} {name}"]
        pieces += [f"step {self.step:,}"] if self.step is not None else []
        pieces += [f"n = {self.n}"] if self.n else []
        pieces += (
            [f"seeds {self.seed}" if "," in self.seed else f"seed {self.seed}"] if self.seed else []
        )
        pieces += [self.more] if self.more else []
        return " \u00b7 ".join(pieces)


Provenances = Provenance | tuple[Provenance, ...]


def source_of(
    run: Any, step: int | None = None, n: str = "", seed: int | None = None, more: str = ""
) -> Provenance:
    """What is shown of a run. n is said in words ('12,000 validation tokens')."""
    given = "" if seed is None else str(seed)
    return Provenance(run.info.name, run.id, step, n, given, run.settings.training.seed, more)


def compared(first: Provenance, second: Provenance) -> Provenances:
    """Two sides of a comparison."""
    return replace(first, letter="A"), replace(second, letter="B")


def each(sources: Provenances) -> Sequence[Provenance]:
    return (sources,) if isinstance(sources, Provenance) else sources


def said(sources: Provenances) -> str:
    """The end of a caption, as markdown: run, step, n, seed."""
    return " \u00b7 ".join(source.said() for source in each(sources))


def said_plainly(sources: Provenances) -> str:
    """The same for pictures, with CPart's version."""
    return " \u00b7 ".join([*(source.plain() for source in each(sources)), f"CPart {__version__}"])


def columns_of(sources: Provenances) -> dict[str, str | int]:
    """Name and value of the columns that a CSV ends with, the same in every row: rows stay what
    they are when tables are put together."""
    found: dict[str, str | int] = {}
    for source in each(sources):
        start = f"source_{source.letter.lower()}_" if source.letter else "source_"
        found |= {
            f"{start}{source.kind}": source.id,
            f"{start}name": source.name,
            f"{start}step": "" if source.step is None else source.step,
            f"{start}training_seed": "" if source.training_seed is None else source.training_seed,
            f"{start}seed": source.seed,
            f"{start}n": source.n,
        }
    return {**found, "source_cpart_version": __version__}


def file_stem(figure: str, sources: Provenances) -> str:
    """Name of an exported file without its ending: figure, run by its id, step and seed, so that no
    two runs or steps share one."""
    pieces = [figure]
    for source in each(sources):
        pieces += [source.id] + ([f"step{source.step}"] if source.step is not None else [])
        seed = source.seed if source.training_seed is None else str(source.training_seed)
        pieces += [f"seed{seed}"] if seed else []
    return re.sub(r"\W+", "-", "-".join(pieces)).strip("-")[:LONGEST_FILE_NAME]
