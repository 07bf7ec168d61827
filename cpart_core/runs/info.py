"""RunInfo: what `run.json` says of a run, checked when read. Standard library only."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.digest import signed, without_signature
from cpart_core.files.typed_json import Reader, hints_of
from cpart_core.runs.atomic import read_small, write_file
from cpart_core.runs.naming import NAME_PATTERN
from cpart_core.runs.origin import Origin, Trained, origin_in, origin_to_dict
from cpart_core.settings.run import Settings, settings_from_dict
from cpart_core.wording.printable import JOINERS

INFO = "run.json"
FORMAT = 1
LARGEST, MOST_BYTES = 400_000, 8 << 20
"""Bytes of run.json, and of memory for what it says; ours have 4,000, and with the longest names of
the most contexts 30,000."""
LONGEST_NAME = 80
READER = Reader(own={Settings: lambda where: lambda value: settings_from_dict(value).check()})


@dataclass(frozen=True)
class RunInfo:
    """The identity of a run. `contexts` to `num_parameters` are empty or 0 until the corpus is
    built."""

    id: str
    name: str
    """A label for people; never a path."""
    created: str
    """ISO time with zone."""
    settings: Settings
    contexts: tuple[str, ...] = ()
    discovered: bool = False
    """True when the contexts were found from gradients."""
    fingerprint: str = ""
    """Of the corpus."""
    vocabulary_size: int = 0
    num_parameters: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    command: str = ""
    """The command line that makes the same run again."""
    origin: Origin = Trained()
    """Where the weights come from."""

    @property
    def twin_of(self) -> str:
        """Id of the run whose batches this one shares; empty = not a twin."""
        return self.origin.twin_of if isinstance(self.origin, Trained) else ""

    @property
    def twin_kind(self) -> str:
        """What differs from it, a name of `twins.TWINS`; empty = not a twin."""
        return self.origin.twin_kind if isinstance(self.origin, Trained) else ""

    def to_json(self) -> str:
        own = {"settings": self.settings.to_dict(), "origin": origin_to_dict(self.origin)}
        return json.dumps(signed({"format": FORMAT, **asdict(self), **own}), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunInfo:
        """Read `run.json`; ValueError that says what is wrong with it."""
        data = values_in(text)
        if data.pop("format", None) != FORMAT:
            raise ValueError(f"{INFO} is not a run of format {FORMAT}.")
        try:
            origin = origin_in(data)
        except ValueError as error:
            raise ValueError(f"{INFO}: {error}.") from None
        missing = sorted(
            {
                item.name
                for item in fields(cls)
                if item.default is MISSING and item.default_factory is MISSING
            }
            - set(data)
        )
        unknown = sorted(name[:40] for name in set(data) - {item.name for item in fields(cls)})
        if missing or unknown:
            raise ValueError(
                f"{INFO} lacks {missing} and has unknown {unknown[:9]}; is it of a later release of"
                " CPart?"
            )
        values = {
            name: typed(name, data[name], wanted)
            for name, wanted in hints_of(cls).items()
            if name in data
        }
        if not NAME_PATTERN.fullmatch(values["id"]):
            raise ValueError(
                f"{INFO} has the id {values['id']!r}; allowed are a-z, 0-9 and -, at most 64"
                " characters."
            )
        values["name"] = clean_name(values["name"]) or values["id"]
        return cls(**values, origin=origin)


def values_in(text: str) -> dict[str, Any]:
    """The JSON object, its sum checked; ValueError that says what is wrong with it."""
    try:
        data = load_bounded(text.encode(), MOST_BYTES)
        if not isinstance(data, dict):
            raise ValueError("it is no object")
        return without_signature(data)
    except ValueError as error:
        raise ValueError(f"{INFO} cannot be read: {error}") from None


def typed(name: str, value: Any, wanted: Any) -> Any:
    """A JSON value as the type of its field in RunInfo, or ValueError."""
    found = READER.decoder(wanted, f"{INFO}: {name}")(value)
    if type(found) is int and found < 0:
        raise ValueError(f"{INFO}: {name} is {found}; allowed: 0 and more.")
    return found


def clean_name(name: str) -> str:
    """A person's name for a run as a safe label: one line, no control or direction-changing
    characters, at most 80 characters."""
    shown = "".join(" " if character.isspace() else character for character in name)
    kept = "".join(
        letter
        for letter in shown
        if letter in JOINERS or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co")
    )
    return " ".join(kept.split())[:LONGEST_NAME].strip()


def read_info(folder: Path) -> RunInfo:
    """The RunInfo of a run folder. ValueError when it is missing or damaged. The folder's name is
    the run's id: a copy is a run of its own."""
    try:
        text = read_small(folder / INFO, LARGEST).decode()
    except OSError as error:
        raise ValueError(f"{INFO} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{INFO} is not UTF-8 text.") from None
    return replace(RunInfo.from_json(text), id=folder.name)


def write_info(folder: Path, info: RunInfo) -> None:
    """Write or replace `run.json` atomically. To change a field: `write_info(folder,
    replace(read_info(folder), ...))`."""
    write_file(folder / INFO, info.to_json().encode())
