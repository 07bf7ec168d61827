"""Command-line flags made from the fields of `Settings`, so that help, ranges and defaults cannot disagree with the form."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from typing import Any

from cpart_core.config import Settings
from cpart_core.presets import PRESETS, preset

GROUP_TITLES = {
    "corpus": "corpus: where the text comes from",
    "model": "model: the decoder and its segments",
    "partition": "partition: how neurons come to lie in segments",
    "training": "training: optimisation and what is stored when",
}
LARGEST_SETTINGS_FILE = 1_000_000


def add_setting_flags(parser: argparse.ArgumentParser, show_all: bool) -> None:
    """One flag a setting, in the four groups; advanced ones are shown by `--help-all` only, but always work."""
    parser.add_argument("--help-all", action="help", help="show every setting, the advanced ones too")
    parser.add_argument(
        "--preset", choices=[entry.name for entry in PRESETS], help="; ".join(f"{entry.name}: {entry.help}" for entry in PRESETS)
    )
    parser.add_argument(
        "--settings", metavar="FILE.json", type=Path, help="read settings from a JSON file (as in a run's run.json); flags override it"
    )
    groups = {name: parser.add_argument_group(title) for name, title in GROUP_TITLES.items()}
    for group_name, item, default in Settings().items():
        shown = show_all or not item.metadata["advanced"]
        groups[group_name].add_argument(
            "--" + item.name.replace("_", "-"),
            dest=f"setting_{item.name}",
            metavar=metavar(item, default),
            type=converter(default),
            help=describe(item, default) if shown else argparse.SUPPRESS,
        )


def settings_from_flags(arguments: argparse.Namespace) -> Settings:
    """Preset or file first, then the flags given; checked. ValueError says what is wrong."""
    if arguments.preset and arguments.settings:
        raise ValueError("Give --preset or --settings, not both.")
    settings = preset(arguments.preset) if arguments.preset else Settings()
    if arguments.settings:
        settings = read_settings(arguments.settings)
    given = {
        name.removeprefix("setting_"): value for name, value in vars(arguments).items() if name.startswith("setting_") and value is not None
    }
    return settings.with_values(given).check()


def read_settings(path: Path) -> Settings:
    """Settings from a JSON file, or from a whole run.json that holds them under "settings"."""
    if not path.is_file():
        raise ValueError(f"There is no settings file {str(path)!r}.")
    if path.stat().st_size > LARGEST_SETTINGS_FILE:
        raise ValueError(f"{str(path)!r} has {path.stat().st_size} bytes; a settings file has at most {LARGEST_SETTINGS_FILE}.")
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return Settings.from_json(text)  # says what is not valid in it
    inner = data.get("settings") if isinstance(data, dict) else None
    return Settings.from_json(text if inner is None else json.dumps(inner))


def converter(default: Any) -> Callable[[str], Any]:
    """Text -> the setting's type; argparse names the flag when it fails."""
    if isinstance(default, tuple):
        return comma_separated
    return type(default)


def comma_separated(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def metavar(item: Field[Any], default: Any) -> str:
    if item.metadata["choices"]:
        return "{" + ",".join(item.metadata["choices"]) + "}"
    if isinstance(default, tuple):
        return "A,B,..."
    return {int: "INT", float: "NUMBER", str: "TEXT"}[type(default)]


def describe(item: Field[Any], default: Any) -> str:
    """Help, range with unit, default: `Decoder layers (1 to 64 layers; default 4)`."""
    low, high, unit = item.metadata["low"], item.metadata["high"], item.metadata["unit"]
    parts = []
    if low is not None:
        parts.append(f"{plain(low)} to {plain(high)}" + (f" {unit}" if unit else ""))
    if default not in ("", ()):
        parts.append(f"default {plain(default) if isinstance(default, (int, float)) else default}")
    sentence = item.metadata["help"] + (f" ({'; '.join(parts)})" if parts else "")
    return sentence.replace("%", "%%")


def plain(number: float) -> str:
    """12000, 0.001, 1e+08: whole numbers in full while they are short."""
    return str(int(number)) if number == int(number) and abs(number) < 1e8 else f"{number:g}"
