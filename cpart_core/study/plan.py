"""What a study is to do: base settings, arms, seeds. Read from a JSON file; nothing is trained
here, and no torch is loaded.

    {"name": "default", "title": "...", "preset": "quick", "settings": {"steps": 300},
     "arms": {"gradient": {}, "dense": "dense", "small": {"num_neurons": 128}}, "reference":
     "gradient", "seeds": [0, 1, 2]}

An arm is a kind of twin by name, or the settings in which it differs from the base. Within a seed
all arms see the same text and batches.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpart_core.corpus.encoding import read_text_file
from cpart_core.files.paths import with_home
from cpart_core.runs.naming import NAME_PATTERN
from cpart_core.runs.twins import TWINS, check_twins, twin_settings
from cpart_core.settings.effect import refuse_without_effect
from cpart_core.settings.fields.setting import coerce
from cpart_core.settings.presets import preset
from cpart_core.settings.run import Settings

PLANS = Path(__file__).resolve().parent / "plans"
"""Plans that come with CPart; on the command line their bare name is enough."""
KEYS = ("name", "title", "preset", "settings", "arms", "reference", "seeds")
LARGEST_PLAN = 1_000_000
SHARED_BY_ALL = (
    "seed",
    "source",
    "path",
    "contexts",
    "text_column",
    "context_column",
    "kilobytes_per_context",
    "validation_share",  # fmt: skip
    "vocabulary_size",
    "discovered_contexts",
    "batch_size",
    "context_length",
)
"""Settings that make text and batches: an arm may not change them."""


@dataclass(frozen=True)
class Plan:
    """A checked plan."""

    name: str
    title: str
    base: Settings
    arms: dict[str, Settings]
    """Name -> settings, seed 0."""
    kinds: dict[str, str]
    """Name -> the kind of twin, where the arm was given by name."""
    reference: str
    """The arm that the others are compared with."""
    seeds: tuple[int, ...]

    def settings(self, arm: str, seed: int) -> Settings:
        """What one run of the study is trained with."""
        return self.arms[arm].with_values({"seed": seed, "keep_checkpoints": 1})

    def cells(self) -> list[tuple[str, int]]:
        """(arm, seed) of every run, all arms of a seed together."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]


def find_plan(text: str) -> Path:
    """The file of a plan: a path, or the name of one that comes with CPart."""
    path = given if (given := Path(text)).is_file() else Path(with_home(text, "the study"))
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(PLANS.glob("*.json"))}
    if text in shipped:
        return shipped[text]
    raise ValueError(
        f"There is no study file {text!r}. Give a path, or one of: {', '.join(shipped)}."
    )


def read_plan(path: Path, changes: dict[str, Any] | None = None) -> Plan:
    """The plan of a JSON file, with some base settings changed. ValueError that says what is wrong
    with it."""
    try:
        data = json.loads(read_text_file(path, LARGEST_PLAN, "study file"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path.name} is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path.name} must hold a JSON object with {', '.join(KEYS)}.")
    return make_plan(
        {
            "name": path.stem,
            **data,
            "settings": {**of_type(data, "settings", dict, {}), **(changes or {})},
        }
    )


def make_plan(data: dict[str, Any]) -> Plan:
    """Check all that a plan says. ValueError with a sentence."""
    unknown = sorted(set(data) - set(KEYS))
    if unknown:
        raise ValueError(f"A study has no {', '.join(unknown)}; it has {', '.join(KEYS)}.")
    name = of_type(data, "name", str, "")
    if not NAME_PATTERN.fullmatch(name):
        raise ValueError(
            f"The study's name is {name!r}; allowed are a-z, 0-9 and -, at most 64 characters, the"
            " first no dash."
        )
    chosen = of_type(data, "preset", str, "own")
    changes = of_type(data, "settings", dict, {})
    base = preset(chosen).with_values(typed_values("settings", changes)).check()
    refuse_without_effect(base, changes)
    arms: dict[str, Settings] = {}
    kinds: dict[str, str] = {}
    for arm, given in of_type(data, "arms", dict, {}).items():
        arms[arm] = arm_settings(arm, given, base)
        if isinstance(given, str):
            kinds[arm] = given
    if not arms:
        raise ValueError(
            f"The study has no arms. Give names of twins ({', '.join(TWINS)}) or settings to"
            " change."
        )
    reference = of_type(data, "reference", str, next(iter(arms)))
    if reference not in arms:
        raise ValueError(f"The reference {reference!r} is no arm; the arms are {', '.join(arms)}.")
    for arm, kind in kinds.items():
        if arm != reference:
            check_twins(base, [kind])
    return Plan(
        name,
        of_type(data, "title", str, name),
        base,
        arms,
        kinds,
        reference,
        checked_seeds(data.get("seeds", [0, 1, 2])),
    )


def of_type(data: dict[str, Any], key: str, wanted: type, default: Any) -> Any:
    value = data.get(key, default)
    if not isinstance(value, wanted):
        raise ValueError(
            f"{key} of a study must be a JSON {'object' if wanted is dict else 'string'}; got"
            f" {value!r}."
        )
    return value


def typed_values(where: str, values: dict[str, Any]) -> dict[str, Any]:
    """Flat settings with the types of their fields; unknown names are refused later, by the
    settings themselves."""
    kinds = {item.name: item.kind for _, item, _ in Settings().items()}
    return {
        name: coerce(f"{where}.{name}", value, kinds[name]) if name in kinds else value
        for name, value in values.items()
    }


def arm_settings(arm: str, given: Any, base: Settings) -> Settings:
    """The settings of one arm; ValueError names the arm."""
    if not NAME_PATTERN.fullmatch(arm) or len(arm) > 40:
        raise ValueError(
            f"The arm {arm!r} is not allowed: a-z, 0-9 and -, at most 40 characters, the first no"
            " dash."
        )
    try:
        if isinstance(given, str):
            return twin_settings(base, given)
        if not isinstance(given, dict):
            raise ValueError(f"give the name of a twin or an object of settings, not {given!r}.")
        shared = sorted(set(given) & set(SHARED_BY_ALL))
        if shared:
            raise ValueError(
                f"{', '.join(shared)} would change the text or the batches, which all arms share."
            )
        settings = base.with_values(typed_values(arm, given)).check()
        refuse_without_effect(settings, given)
        return settings
    except ValueError as error:
        raise ValueError(f"Arm {arm}: {error}") from None


def checked_seeds(seeds: Any) -> tuple[int, ...]:
    if (
        not isinstance(seeds, list)
        or not seeds
        or not all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds)
    ):
        raise ValueError(
            f"seeds must be a list of whole numbers from 0 to {2**31 - 1}; got {seeds!r}."
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must differ; got {seeds!r}.")
    return tuple(seeds)
