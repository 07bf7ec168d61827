"""Command-line flags made from the fields of `Settings`, so that help, ranges and defaults cannot
disagree with the form."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cpart_core.corpus.encoding import read_text_file
from cpart_core.files.paths import given_path
from cpart_core.settings.effect import (
    refuse_without_effect,
    when_in_words,
    with_source,
    without_effect,
)
from cpart_core.settings.fields.setting import Setting
from cpart_core.settings.presets import PRESETS, preset
from cpart_core.settings.run import Settings

GROUP_TITLES = {
    "corpus": "corpus: where the text comes from",
    "model": "model: the decoder and its segments",
    "partition": "partition: how neurons come to lie in segments",
    "training": "training: optimisation and what is stored when",
}
LARGEST_SETTINGS_FILE = 1_000_000


def add_setting_flags(parser: argparse.ArgumentParser, show_all: bool) -> None:
    """One flag a setting, in the four groups; advanced ones are shown by `--help-all` only, but
    always work."""
    parser.add_argument(
        "--help-all", action="help", help="show every setting, the advanced ones too"
    )
    parser.add_argument(
        "--preset",
        choices=[entry.name for entry in PRESETS],
        help="; ".join(f"{entry.name}: {entry.help}" for entry in PRESETS),
    )
    parser.add_argument(
        "--settings",
        metavar="FILE.json",
        type=given_path,
        help="read settings from a JSON file (as in a run's run.json); flags override it",
    )
    groups = {name: parser.add_argument_group(title) for name, title in GROUP_TITLES.items()}
    for group_name, item, default in Settings().items():
        shown = show_all or not item.advanced
        groups[group_name].add_argument(
            "--" + item.name.replace("_", "-"),
            dest=f"setting_{item.name}",
            metavar=metavar(item, default),
            type=converter(default),
            help=describe(item, default) if shown else argparse.SUPPRESS,
        )


def settings_from_flags(
    arguments: argparse.Namespace, say: Callable[[str], None] = print
) -> Settings:
    """Preset or file first, then the flags given; checked. ValueError says what is wrong, or what
    was given and cannot take effect.

    say: told what was inferred, and what a file that holds every setting says without effect.
    """
    if arguments.preset and arguments.settings:
        raise ValueError("Give --preset or --settings, not both.")
    settings, in_file = (
        (preset(arguments.preset) if arguments.preset else Settings()),
        frozenset[str](),
    )
    if arguments.settings:
        settings, in_file = read_settings(arguments.settings, say)
    flags = given_flags(arguments)
    given = in_file | set(flags)
    settings, inferred = with_source(settings.with_values(flags), given)
    if inferred:
        say(inferred)
    refuse_without_effect(settings, given)
    return settings.check()


def given_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """Name -> value of the settings that flags name."""
    return {
        name.removeprefix("setting_"): value
        for name, value in vars(arguments).items()
        if name.startswith("setting_") and value is not None
    }


def read_settings(
    path: Path, say: Callable[[str], None] = print
) -> tuple[Settings, frozenset[str]]:
    """(settings, names that count as given) of a JSON file, or of a whole run.json that holds them
    under "settings".

    A run.json, or a file that names every setting, is the record of a run: what has no effect in it
    is said, and nothing in it counts as given by hand. ValueError with the file's name.
    """
    text = read_text_file(path, LARGEST_SETTINGS_FILE, "settings file")
    try:
        data = json.loads(text, object_pairs_hook=named_once)
        inner = data.get("settings") if isinstance(data, dict) else None
        settings = Settings.from_json(text if inner is None else json.dumps(inner))
    except (ValueError, RecursionError) as error:
        why = (
            f"not valid JSON: {error}"
            if isinstance(error, json.JSONDecodeError | RecursionError)
            else str(error)
        )
        raise ValueError(f"{path.name}: {why}") from None
    groups = data if inner is None else inner
    values = {name: value for group in groups.values() for name, value in group.items()}
    # files of older releases name the settings of methods that are not chosen, too
    every = {name for group in settings.to_dict().values() for name in group}
    if inner is None and not every <= set(values):
        return settings, frozenset(values)
    defaults = {item.name: value for _, item, value in Settings().items()}
    changed = [name for name, usual in defaults.items() if values.get(name, usual) != usual]
    for name, why in without_effect(settings, changed).items():
        say(f"{path.name}: {name} has no effect: {why}")
    return settings, frozenset()


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where a name stands in it twice, since the first one would be
    lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        again = next(name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place]))
        raise ValueError(f"{again[:60]!r} stands twice in one group; keep one of them.")
    return found


def converter(default: Any) -> Callable[[str], Any]:
    """Text -> the setting's type; argparse names the flag when it fails."""
    if isinstance(default, tuple):
        return comma_separated
    return type(default)


def comma_separated(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def metavar(item: Setting, default: Any) -> str:
    if item.choices:
        return "{" + ",".join(item.choices) + "}"
    if isinstance(default, tuple):
        return "A,B,..."
    return {int: "INT", float: "NUMBER", str: "TEXT"}[type(default)]


def describe(item: Setting, default: Any) -> str:
    """Help, range with unit, default: `Decoder layers (1 to 64 layers; default 4)`."""
    low, high, unit = item.low, item.high, item.unit
    parts = []
    if low is not None and high is not None:
        parts.append(f"{plain(low)} to {plain(high)}" + (f" {unit}" if unit else ""))
    if default not in ("", ()):
        parts.append(f"default {plain(default) if isinstance(default, (int, float)) else default}")
    when = when_in_words(item)
    sentence = (
        item.help + (f" ({'; '.join(parts)})" if parts else "") + (f". {when}" if when else "")
    )
    return sentence.replace("%", "%%")


def plain(number: float) -> str:
    """12000, 0.001, 1e+08: whole numbers in full while they are short."""
    return str(int(number)) if number == int(number) and abs(number) < 1e8 else f"{number:g}"
