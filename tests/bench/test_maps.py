"""`bench maps` in small: every measurement is there, with its numbers in the saved file."""

from __future__ import annotations

import json

import pytest

from cpart_core.bench import maps


def test_every_measurement_is_saved(tmp_path, monkeypatch):
    """All but UMAP, which takes seconds, and more to compile."""
    real = maps.in_turns
    monkeypatch.setattr(
        maps,
        "in_turns",
        lambda works, repeats: real({n: w for n, w in works.items() if "UMAP" not in n}, repeats),
    )
    monkeypatch.setattr(
        maps, "once", lambda work: {"wall": maps.spread([1.0]), "cpu": maps.spread([1.0])}
    )
    assert (
        maps.main(["--neurons", "200", "--most", "1024", "--repeats", "1", "--out", str(tmp_path)])
        == 0
    )
    saved = json.loads(next(tmp_path.glob("maps-*.json")).read_text(encoding="utf-8"))["results"]
    measured = {"PCA, 1 of 8 steps", "PCA, 8 of 8 steps", "clustering, 1,024 into 8"}
    assert measured | {"UMAP, first in the process (compiles)"} <= set(saved)
    assert all(
        saved[name]["wall"]["n"] == 1 and saved[name]["wall"]["median"] > 0 for name in measured
    )
    assert set(saved["faithfulness"]) == {"PCA, 1 of 8 steps", "PCA, 8 of 8 steps"}
    assert all(0 < value <= 1 for value in saved["faithfulness"].values())
    with pytest.raises(ValueError, match="--repeats of 1"):
        maps.main(["--repeats", "0"])


def test_turns_go_forwards_and_backwards():
    order = []
    found = maps.in_turns({name: lambda name=name: order.append(name) for name in "abc"}, 2)
    assert order == list("abccba") and found["a"]["wall"]["n"] == 2


def test_planted_stages_come_nearer_to_the_last():
    stages = maps.made_stages(300)
    apart = [float(abs(stage - stages[-1]).mean()) for stage in stages]
    assert len(stages) == maps.STEPS and apart == sorted(apart, reverse=True) and apart[-1] == 0
