"""What `bench all` stores: collected from the parts' own results, judged by numbers alone, refused
where it is damaged."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from cpart_core.bench import all as bench_all
from cpart_core.bench import table
from cpart_core.bench.speed import (
    AT_THE_EDGE,
    NO_FIGURE,
    NOT_REACHED,
    REACHED,
    read_speed,
    save_speed,
    speed_from_json,
)
from cpart_core.cli.bench import MEASUREMENTS
from tests.bench.made import made_parts, made_speed


@pytest.mark.parametrize(
    ("median", "low", "high", "figure", "at_most", "verdict"),
    [
        (0.4, 0.3, 0.45, 0.45, True, REACHED),
        (0.4, 0.3, 0.46, 0.45, True, AT_THE_EDGE),
        (0.5, 0.46, 0.6, 0.45, True, NOT_REACHED),
        (0.95, 0.92, 0.97, 0.9, False, REACHED),
        (0.8, 0.7, 0.85, 0.9, False, NOT_REACHED),
        (0.8, 0.7, 0.85, math.nan, True, NO_FIGURE),
    ],
)
def test_a_verdict_is_made_of_median_and_quartiles(median, low, high, figure, at_most, verdict):
    item = replace(
        made_speed().measured[0], median=median, low=low, high=high, figure=figure, at_most=at_most
    )
    assert item.verdict == verdict


def test_every_part_is_collected_with_its_figures():
    speed = made_speed()
    found = {(item.part, item.what, item.unit): item for item in speed.measured}
    assert found["kernels", "top-2 / ideal", "time"].figure == 1.25
    assert found["train", "top-2 / dense", "bytes kept for backward"].median == 0.5
    assert found["train", "nanoGPT / dense", "parameters"].median == 1.1
    assert math.isnan(found["generate", "carved / dense", "time"].figure)
    assert found["maps", "PCA, 1 of 8 steps", "s"].figure == 0.5
    scale = found["scale", "2 ddp / one process", "speed"]
    assert scale.figure == 0.9 and not scale.at_most and scale.verdict == REACHED
    assert (
        found["kernels", "best product", "GFLOP/s"].median == 100
        and found["kernels", "copy", "GB/s"].cpu == 11
    )
    assert found["kernels", "top-2", "share of the roof"].cpu == 0.6
    assert (
        found["app", "step slider, gradients", "s"].verdict == NOT_REACHED
        and ("app", "made run", "s") not in found
    )
    assert {curve.x_title for curve in speed.curves} == {"tokens", "processes"}
    assert all(any(line.ideal for line in curve.lines) for curve in speed.curves)
    assert [(item.part, item.why) for item in speed.left_out] == [
        ("curves", "it failed"),
        ("kernels", "no GPU"),
    ]


def test_a_stored_file_is_read_as_it_was(tmp_path):
    speed = made_speed()
    save_speed(speed, tmp_path / "one.json")
    assert "NaN" not in (tmp_path / "one.json").read_text("utf-8")
    assert read_speed(tmp_path / "one.json").to_json() == speed.to_json()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("curves"), "lacks curves"),
        (lambda data: data.update(format=99), "format 1"),
        (lambda data: data["measured"][0].update(median="fast"), "median must be a number"),
        (lambda data: data["measured"][0].update(median=10**400), "median must be a number"),
        (lambda data: data["measured"][0].update(n=True), "n must be int"),
        (lambda data: data.update(machine=[]), "machine must be a JSON object"),
        (lambda data: data["curves"][0]["lines"][0].update(y=[1.0]), "different lengths"),
    ],
)
def test_a_damaged_file_is_refused_with_a_sentence(change, said):
    data = json.loads(made_speed().to_json())
    change(data)
    with pytest.raises(ValueError, match=said):
        speed_from_json(json.dumps(data))


def test_the_table_is_made_of_the_file(tmp_path, capsys):
    save_speed(made_speed(), tmp_path / "one.json")
    assert table.main([str(tmp_path / "one.json")]) == 0
    said = capsys.readouterr().out
    assert (
        "| layer, width 256, float32 | top-2 / ideal, time | 1.1 (1 to 1.2) | 1.1 | at most 1.25 |"
        " reached |" in said
    )
    assert "carved" not in said, "no figure was set for it"
    assert (
        "| top-2, share of the roof | 0.5 (0.4 to 0.6) | 0.6 |" in said
        and "| page change, to gradients, s | 0.6 s (0.5 to 0.7) |" in said
    )
    page = tmp_path / "results.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    assert table.main([str(tmp_path / "one.json"), "--into", str(page)]) == 0
    assert (
        page.read_text().splitlines()[0] == "before"
        and "old" not in page.read_text()
        and "top-2 / ideal" in page.read_text()
    )
    page.write_text("no marks")
    with pytest.raises(ValueError, match="has no place for the table"):
        table.main([str(tmp_path / "one.json"), "--into", str(page)])
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match="bad.json cannot be read"):
        table.main([str(tmp_path / "bad.json")])


def test_without_a_browser_the_pages_are_left_out_and_that_is_no_failure(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("CPART_CHROMIUM", "no-such-browser")
    assert bench_all.main(["--only", "app", "--quick", "--out", str(tmp_path)]) == 0
    (stored,) = tmp_path.glob("all-*.json")
    ((name, why),) = [(item.name, item.why) for item in read_speed(stored).left_out]
    assert name == "app" and ("Chromium" in why or "playwright" in why)


def test_all_goes_on_when_a_part_fails_and_publishes_what_there_is(tmp_path, monkeypatch, capsys):
    def measure(name, flags):
        if name == "maps":
            raise RuntimeError("it failed")
        return made_parts()[name]

    monkeypatch.setattr(bench_all, "measure", measure)
    monkeypatch.setattr(bench_all, "RESULTS", tmp_path / "published")
    assert (
        bench_all.main(["--only", "kernels", "maps", "--publish", "--out", str(tmp_path / "out")])
        == 1
    )
    (stored,) = (tmp_path / "published").glob("*.json")
    speed = read_speed(stored)
    assert speed.command == "python -m cpart_core bench all --only kernels maps"
    assert ("maps", "it failed") in [(item.part, item.why) for item in speed.left_out]
    assert {item.part for item in speed.measured} == {"kernels"}
    assert set(bench_all.PARTS) == set(bench_all.QUICK) <= set(MEASUREMENTS)
