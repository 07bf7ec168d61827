"""The one decoder of JSON: exact, lenient only where it is said, and every refusal names its
place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from cpart_core.files.typed_json import Reader, hints_of


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Whole:
    loss: float
    sure: bool
    parts: tuple[Part, ...]
    costs: dict[str, float] = field(default_factory=dict)
    raw: Any = None
    more: Part | None = None
    either: int | str = 0


GOOD = {"loss": 1.5, "sure": True, "parts": [{"name": "a", "sizes": [1, 2]}]}


def test_what_fits_is_read():
    given = {**GOOD, "costs": {"x": 2.0}, "raw": [{}], "more": {"name": "b"}, "either": "c"}
    assert Reader().read(Whole, given, "it") == Whole(
        1.5, True, (Part("a", (1, 2)),), {"x": 2.0}, [{}], Part("b"), "c"
    )
    assert Reader().read(Whole, {**GOOD, "more": None}, "it").more is None
    assert hints_of(Whole) is hints_of(Whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": 1}, "it.loss must be a number, not '1'"),
        ({"loss": None}, "it.loss must be a number, not 'None'"),
        ({"sure": 1}, "it.sure must be bool"),
        ({"either": True}, "it.either must be int or str, not 'True'"),
        ({"parts": {}}, "it.parts must be a list"),
        ({"parts": [{"name": "a", "sizes": [1, True]}]}, "it.parts.sizes must be int, not 'True'"),
        ({"parts": [{"sizes": []}]}, "it.parts lacks name"),
        ({"parts": ["a"]}, "it.parts must be a JSON object"),
        ({"costs": {"x": "2"}}, "it.costs must be a number"),
        ({"more": []}, "it.more must be a JSON object"),
        ({"extra": 1, "another": 2}, "it has another, extra, which is not known"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change, said):
    with pytest.raises(ValueError, match=said):
        Reader().read(Whole, {**GOOD, **change}, "it")
    with pytest.raises(ValueError, match="lacks loss"):
        Reader().read(Whole, {name: GOOD[name] for name in ("sure", "parts")}, "it")


def test_leniencies_are_only_those_that_are_stated():
    lenient = Reader(numbers=1e30, others=True)
    found = lenient.read(Whole, {**GOOD, "loss": None, "costs": {"x": 2}, "extra": 1}, "it")
    assert math.isnan(found.loss) and type(found.costs["x"]) is float
    for value in (True, "1", 10**400, math.inf, math.nan, -1e30):
        with pytest.raises(ValueError, match="it.loss must be a number of sensible size"):
            lenient.read(Whole, {**GOOD, "loss": value}, "it")
    with pytest.raises(ValueError, match="must be int"):
        lenient.read(Part, {"name": "a", "sizes": [1.0]}, "it")


def test_a_caller_reads_its_own_types():
    reader = Reader(own={Part: lambda where: lambda data: Part(f"{where}: {data}")})
    assert reader.read(Whole, {**GOOD, "parts": [7]}, "it").parts == (Part("it.parts: 7"),)


def test_a_hostile_value_is_shown_in_short():
    with pytest.raises(ValueError) as refused:
        Reader().read(Part, {"name": ["x" * 10_000]}, "it")
    assert len(str(refused.value)) < 200
