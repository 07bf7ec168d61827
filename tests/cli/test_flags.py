"""Flags, settings file and dataclass are one thing."""

from __future__ import annotations

import json

import pytest

from cpart_core.cli.command_list import build_parser
from cpart_core.cli.flags import settings_from_flags
from cpart_core.cli.progress_line import duration
from cpart_core.cli.text_table import table
from cpart_core.runs.create import command_of
from cpart_core.settings.presets import PRESETS, preset
from cpart_core.settings.run import Settings


def parsed(*words: str) -> Settings:
    return settings_from_flags(build_parser(["train", *words]).parse_args(["train", *words]))


def other_value(item, value):
    """A value that is not the default, within the range."""
    if item.choices:
        return next(choice for choice in item.choices if choice != value)
    if isinstance(value, tuple):
        return ("a", "b c")
    if isinstance(value, str):
        return "some where"
    low, high = item.low, item.high
    return type(value)(low if value != low else high)


@pytest.mark.parametrize(
    ("group", "item", "value"),
    list(Settings().items()),
    ids=lambda entry: getattr(entry, "name", ""),
)
def test_every_setting_is_a_flag(group, item, value):
    wanted = other_value(item, value)
    text = ",".join(wanted) if isinstance(wanted, tuple) else str(wanted)
    found = getattr(
        build_parser([]).parse_args(["train", f"--{item.name.replace('_', '-')}={text}"]),
        f"setting_{item.name}",
    )
    assert found == wanted and type(found) is type(value)


def test_all_help_is_there_and_says_range_and_default(capsys):
    with pytest.raises(SystemExit):
        build_parser(["train", "--help-all"]).parse_args(["train", "--help-all"])
    said = " ".join(capsys.readouterr().out.split())
    for _, item, _ in Settings().items():
        assert f"--{item.name.replace('_', '-')} " in said
    assert "(1 to 64 layers; default 4)" in said
    with pytest.raises(SystemExit):
        build_parser(["train", "--help"]).parse_args(["train", "--help"])
    assert "--rope-base" not in capsys.readouterr().out  # folded away


def test_file_preset_and_flags_agree(tmp_path):
    settings = preset("quick").with_values({"seed": 7, "contexts": ("a", "b")})
    (tmp_path / "s.json").write_text(settings.to_json())
    (tmp_path / "run.json").write_text(
        json.dumps({"id": "x", "settings": json.loads(settings.to_json())})
    )
    by_flags = parsed("--preset", "quick", "--seed", "7", "--contexts", "a, b")
    assert (
        parsed("--settings", str(tmp_path / "s.json"))
        == parsed("--settings", str(tmp_path / "run.json"))
        == by_flags
        == settings
    )
    command = command_of(settings).split()
    assert (
        command[:4] == ["python", "-m", "cpart_core", "train"] and parsed(*command[4:]) == settings
    )


@pytest.mark.parametrize("entry", PRESETS, ids=lambda entry: entry.name)
def test_presets_are_sound(entry):
    assert entry.settings.check() == preset(entry.name)


def test_words_for_people():
    assert [duration(seconds) for seconds in (0.4, 59.6, 200, 7500)] == [
        "0 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert table([{"a": 1.5, "b": "x\x1b[31m"}]).splitlines()[-1] == "1.5000  x?[31m"
