"""Where a run comes from: every kind comes back from run.json, and what earlier releases wrote means
the same."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from cpart_core.runs.info import RunInfo
from cpart_core.runs.origin import (
    ORIGINS,
    Adapted,
    Carved,
    Imported,
    Origin,
    Trained,
    about,
    check_trainable,
    origin_in,
)
from cpart_core.settings.run import Settings

SUM = "0123456789abcdef" * 4
EXAMPLES: tuple[Origin, ...] = (
    Trained(),
    Trained("20260102-030405-abcd", "dense"),
    Carved("20260101-000000-abcd", 10, "sums", ((0, 2), (1, 3))),
    Carved("20260101-000000-abcd", 0, "", ()),
    Imported("stories15M.bin", "llama2-c", SUM),
    Adapted("20260101-000000-abcd", 40, SUM),
)
INFO = RunInfo("a-run", "A run", "2026-01-01T00:00:00+00:00", Settings())


def said(info: RunInfo) -> dict:
    """run.json without its sum."""
    data = json.loads(info.to_json())
    del data["sha256"]
    return data


@pytest.mark.parametrize("origin", EXAMPLES, ids=str)
def test_every_kind_comes_back(origin: Origin) -> None:
    info = replace(INFO, origin=origin)
    assert RunInfo.from_json(info.to_json()) == info


def test_the_examples_are_of_every_kind() -> None:
    assert {example.kind for example in EXAMPLES} == set(ORIGINS)


@pytest.mark.parametrize("origin", EXAMPLES, ids=str)
def test_every_wrong_field_is_refused(origin: Origin) -> None:
    data = said(replace(INFO, origin=origin))
    for name in data["origin"]:
        for wrong in (None, -1, 1.5, ["x"], {"a": 1}, [[-1]], True, "../x\n"):
            if (name, wrong) in (("twin_of", "../x\n"), ("context", "../x\n")):
                continue  # any text: it is looked up among runs and contexts, never opened
            changed = {**data, "origin": {**data["origin"], name: wrong}}
            with pytest.raises(ValueError, match=r"run\.json: "):
                RunInfo.from_json(json.dumps(changed))
        fewer = {key: part for key, part in data["origin"].items() if key != name}
        with pytest.raises(ValueError, match="origin"):
            RunInfo.from_json(json.dumps({**data, "origin": fewer}))
    with pytest.raises(ValueError, match="other fields"):
        RunInfo.from_json(json.dumps({**data, "origin": {**data["origin"], "more": 1}}))
    for wrong in (None, [], "trained", {"kind": "born"}, {"kind": []}):
        with pytest.raises(ValueError, match="allowed kinds: trained, carved, imported, adapted"):
            RunInfo.from_json(json.dumps({**data, "origin": wrong}))


@pytest.mark.parametrize(
    "old, origin",
    [
        ({}, Trained()),
        ({"twin_of": "", "twin_kind": "", "carved": None}, Trained()),
        ({"twin_of": "a-run", "twin_kind": "random", "carved": None}, Trained("a-run", "random")),
        (
            {"carved": {"run": "a", "step": 3, "context": "", "kept": [[1], [0]]}},
            Carved("a", 3, "", ((1,), (0,))),
        ),
    ],
)
def test_what_earlier_releases_wrote_means_the_same(old: dict, origin: Origin) -> None:
    data = said(INFO)
    del data["origin"]
    info = RunInfo.from_json(json.dumps({**data, **old}))
    assert info == replace(INFO, origin=origin)
    assert (info.twin_of, info.twin_kind) == (old.get("twin_of", ""), old.get("twin_kind", ""))


@pytest.mark.parametrize(
    "old",
    [
        {"twin_of": 5},
        {"twin_of": "a", "twin_kind": "../x"},
        {"carved": {"run": "../x", "step": 3, "context": "", "kept": [[1]]}},
        {"carved": {"run": "a", "step": 3, "context": "", "kept": 5}},
        {"carved": {"run": "a", "step": 3, "context": ""}},
        {"carved": 1},
        {"carved": asdict(EXAMPLES[2]), "twin_of": "a", "twin_kind": "dense"},
        {"origin": {"kind": "trained", "twin_of": "", "twin_kind": ""}, "carved": None},
    ],
    ids=str,
)
def test_what_they_never_wrote_is_refused(old: dict) -> None:
    with pytest.raises(ValueError):
        origin_in(dict(old))


def test_people_are_told_where_from_and_only_the_trained_are_trained_on() -> None:
    names = {"20260101-000000-abcd": "Whole"}
    assert [about(origin, names) for origin in EXAMPLES] == [
        ("", ""),
        ("dense twin of", "20260102-030405-abcd"),
        ("carved from", "Whole"),
        ("carved from", "Whole"),
        ("imported (llama2-c) from", "stories15M.bin"),
        ("adapted from", "Whole"),
    ]
    for origin in EXAMPLES:
        if isinstance(origin, Trained):
            check_trainable("a-run", origin)
            continue
        with pytest.raises(ValueError, match=f"Run a-run was {origin.kind} .*from .* no training"):
            check_trainable("a-run", origin)
