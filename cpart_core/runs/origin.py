"""Where a run's weights come from: one tagged family, `origin` of run.json. Adding a kind = its
dataclass and one line in ORIGINS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from cpart_core.files.typed_json import Reader
from cpart_core.runs.naming import NAME_PATTERN
from cpart_core.runs.twins import TWINS

SHA256 = re.compile(r"[0-9a-f]{64}")
LONGEST_SOURCE = 200


@dataclass(frozen=True)
class Trained:
    """Trained here from its first weights; on batches of its own, or as a twin on another run's."""

    kind: ClassVar[str] = "trained"
    twin_of: str = ""
    """Id of the run whose batches this one shares; empty = not a twin."""
    twin_kind: str = ""
    """What differs from it, a name of `twins.TWINS`; empty = not a twin."""

    def check(self) -> None:
        """ValueError that says which field is wrong, as of every kind."""
        text("twin_of", self.twin_of)
        if text("twin_kind", self.twin_kind) and self.twin_kind not in TWINS:
            raise ValueError(
                f"it has twin_kind {self.twin_kind!r}; allowed: {', '.join(TWINS)} or nothing"
            )


@dataclass(frozen=True)
class Carved:
    """Cut from a checkpoint of another run, not trained."""

    kind: ClassVar[str] = "carved"
    run: str
    """Id of the run it was cut from."""
    step: int
    context: str
    """What the segments were chosen for: a context's name; empty = a person's text."""
    kept: tuple[tuple[int, ...], ...]
    """[L][K] the kept segments of each layer, by their numbers in that run."""

    def check(self) -> None:
        run_id("run", self.run)
        whole("step", self.step)
        text("context", self.context)
        for layer in self.kept:
            for segment in layer:
                whole("kept", segment)


@dataclass(frozen=True)
class Imported:
    """Weights that were trained elsewhere."""

    kind: ClassVar[str] = "imported"
    source: str
    """A name for people, such as a file's; never a path."""
    format: str
    """a-z, 0-9 and -, such as gguf."""
    weights_sha256: str
    """Of the weights as they were read, 64 hexadecimal digits."""

    def check(self) -> None:
        name = text("source", self.source)
        if not name.isprintable() or not 0 < len(name) <= LONGEST_SOURCE or set(name) & set("/\\"):
            raise ValueError(f"its source is {name[:80]!r}, which is no name")
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", text("format", self.format)):
            raise ValueError(f"its format is {self.format[:80]!r}, which is no format's name")
        sha256("weights_sha256", self.weights_sha256)


@dataclass(frozen=True)
class Adapted:
    """A frozen base and what was trained beside it."""

    kind: ClassVar[str] = "adapted"
    run: str
    """Id of the run that is the base."""
    step: int
    """Of the base's checkpoint."""
    weights_sha256: str
    """Of the base's weights at that step, so that no other base is taken for it."""

    def check(self) -> None:
        run_id("run", self.run)
        whole("step", self.step)
        sha256("weights_sha256", self.weights_sha256)


Origin = Trained | Carved | Imported | Adapted
ORIGINS: dict[str, type[Origin]] = {
    origin.kind: origin for origin in (Trained, Carved, Imported, Adapted)
}
OLD_KEYS = ("twin_of", "twin_kind", "carved")
"""Of run.json, which said before `origin` where a run comes from."""


def about(origin: Origin, names: Mapping[str, str]) -> tuple[str, str]:
    """(half a sentence, the name it ends with): ("carved from", "my run"); two empty texts for a
    run trained by itself. names: of runs, by id."""
    if isinstance(origin, Trained):
        if not origin.twin_of:
            return "", ""
        return f"{origin.twin_kind} twin of", names.get(origin.twin_of, origin.twin_of)
    if isinstance(origin, Imported):
        return f"imported ({origin.format}) from", origin.source
    return f"{origin.kind} from", names.get(origin.run, origin.run)


def check_trainable(run_id: str, origin: Origin) -> None:
    """ValueError where training has nothing to go on with."""
    if isinstance(origin, Trained):
        return
    verb, source = about(origin, {})
    instead = "" if isinstance(origin, Imported) else "; resume that one"
    named = source if isinstance(origin, Imported) else f"run {source}"
    raise ValueError(f"Run {run_id} was {verb} {named} and has no training to go on with{instead}.")


def origin_to_dict(origin: Origin) -> dict[str, Any]:
    """As run.json holds it."""
    return {"kind": origin.kind, **asdict(origin)}


def origin_in(data: dict[str, Any]) -> Origin:
    """Take out of a run.json what it says of its origin, releases before `origin` in three keys.
    ValueError that says what is wrong with it."""
    old = {key: data.pop(key) for key in OLD_KEYS if key in data}
    if "origin" in data:
        if old:
            raise ValueError(f"it has both origin and {', '.join(old)}")
        return origin_from_dict(data.pop("origin"))
    carved = old.pop("carved", None)
    if carved is None:
        return origin_from_dict({"kind": "trained", "twin_of": "", "twin_kind": "", **old})
    if any(old.values()):
        raise ValueError("it says both that it is a twin and that it was carved")
    if not isinstance(carved, dict):
        raise ValueError(f"carved is {str(carved)[:80]!r}")
    return origin_from_dict({**carved, "kind": "carved"})


def origin_from_dict(value: Any) -> Origin:
    """`origin` as run.json holds it; ValueError that says what is wrong with it."""
    if not isinstance(value, dict) or value.get("kind") not in list(ORIGINS):
        raise ValueError(f"its origin is {str(value)[:80]!r}; allowed kinds: {', '.join(ORIGINS)}")
    made = ORIGINS[value["kind"]]
    given = {name: part for name, part in value.items() if name != "kind"}
    wanted = {item.name for item in fields(made)}
    if set(given) != wanted:
        raise ValueError(f"its origin {made.kind!r} has other fields than {', '.join(wanted)}")
    origin: Origin = Reader().read(made, given, "its origin")
    origin.check()
    return origin


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {str(value)[:80]!r}, which is not a text")
    return value


def whole(name: str, value: Any) -> None:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {str(value)[:80]!r}, which is not a whole number from 0")


def run_id(name: str, value: Any) -> None:
    if not NAME_PATTERN.fullmatch(text(name, value)):
        raise ValueError(f"{name} is {value[:80]!r}, which is not the id of a run")


def sha256(name: str, value: Any) -> None:
    if not SHA256.fullmatch(text(name, value)):
        raise ValueError(f"{name} is {value[:80]!r}, which is not a SHA-256")
