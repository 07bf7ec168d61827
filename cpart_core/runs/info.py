"""RunInfo: what `run.json` says of a run, checked when read. Standard library only."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin

from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.digest import signed, without_signature
from cpart_core.runs.atomic import read_small, write_file
from cpart_core.runs.twins import TWINS
from cpart_core.settings.field import types_of
from cpart_core.settings.run import Settings, settings_from_dict
from cpart_core.wording.printable import JOINERS

INFO = "run.json"
FORMAT = 1
LARGEST, MOST_BYTES = 400_000, 8 << 20
"""Bytes of run.json, and of memory for what it says; ours have 4,000, and with the longest names of
the most contexts 30,000."""
LONGEST_NAME = 80
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""What a run's id, which is the name of its folder, may be."""


@dataclass(frozen=True)
class Carving:
    """Where a carved run is cut from."""

    run: str
    """Id of the run it was cut from."""
    step: int
    context: str
    """What the segments were chosen for: a context's name; empty = a person's text."""
    kept: tuple[tuple[int, ...], ...]
    """[L][K] the kept segments of each layer, by their numbers in that run."""


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
    twin_of: str = ""
    """Id of the run whose batches this one shares; empty = not a twin."""
    twin_kind: str = ""
    """What differs from it, a name of `twins.TWINS`; empty = not a twin."""
    command: str = ""
    """The command line that makes the same run again."""
    carved: Carving | None = None
    """Set for a run that was carved, not trained."""

    def to_json(self) -> str:
        return json.dumps(signed({"format": FORMAT, **asdict(self)}), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunInfo:
        """Read `run.json`; ValueError that says what is wrong with it."""
        data = values_in(text)
        if data.pop("format", None) != FORMAT:
            raise ValueError(f"{INFO} is not a run of format {FORMAT}.")
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
            for name, wanted in types_of(cls).items()
            if name in data
        }
        if not NAME_PATTERN.fullmatch(values["id"]):
            raise ValueError(
                f"{INFO} has the id {values['id']!r}; allowed are a-z, 0-9 and -, at most 64"
                " characters."
            )
        if (kind := values.get("twin_kind")) and kind not in TWINS:
            raise ValueError(
                f"{INFO} has twin_kind {kind!r}; allowed: {', '.join(TWINS)} or nothing."
            )
        values["name"] = clean_name(values["name"]) or values["id"]
        return cls(**values)


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
    if wanted is Settings:
        return settings_from_dict(value).check()
    if name == "carved":
        return None if value is None else carving(value)
    plain = get_origin(wanted) or wanted
    if (
        plain is tuple
        and isinstance(value, list)
        and all(isinstance(entry, str) for entry in value)
    ):
        return tuple(value)
    if (
        plain is dict
        and isinstance(value, dict)
        and all(isinstance(entry, get_args(wanted)[1]) for entry in value.values())
    ):
        return value
    if plain in (str, bool, int) and type(value) is plain and not (plain is int and value < 0):
        return value
    raise ValueError(f"{INFO}: {name} is {str(value)[:80]!r}, which is not a {plain.__name__}.")


def carving(value: Any) -> Carving:
    """`carved` of run.json, or ValueError."""
    try:
        kept = tuple(tuple(segment for segment in layer) for layer in value["kept"])
        found = Carving(value["run"], value["step"], value["context"], kept)
        sound = set(value) == {item.name for item in fields(Carving)} and bool(
            NAME_PATTERN.fullmatch(found.run)
        )
        sound = sound and type(found.step) is int and found.step >= 0 and type(found.context) is str
        sound = sound and all(
            type(segment) is int and segment >= 0 for layer in kept for segment in layer
        )
    except (TypeError, KeyError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(
            f"{INFO}: carved is {str(value)[:80]!r}, which does not say what was kept of which run."
        )
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
