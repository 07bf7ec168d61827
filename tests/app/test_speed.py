"""The Speed page: empty it says the command; with a measurement figures, verdicts and curves are
those of the file; a bad file is said."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from app.charts.speed.curves import curve_figure, curve_table, measured_table
from cpart_core.bench import speed
from cpart_core.bench.speed import LeftOut, save_speed
from tests.app.looked_at import figures
from tests.app.made import HOSTILE, fine, page, words_of
from tests.bench.made import made_speed


@pytest.fixture
def results(root, tmp_path, monkeypatch):
    """A folder of stored measurements that a test fills."""
    folder = tmp_path / "project" / "cpart_core" / "bench" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr(speed, "RESULTS", folder)
    return folder


def test_without_a_measurement_it_says_how_to_make_one(results):
    app = fine(page("speed"))
    assert "No measurement is stored yet" in words_of(
        app
    ) and "python -m cpart_core bench all" in words_of(app)
    assert not figures(app)


def test_figures_verdicts_and_curves_are_those_of_the_file(results):
    save_speed(made_speed(), results / "made.json")
    app = fine(page("speed"))
    shown = app.dataframe[0].value
    assert list(shown["verdict"].str[2:]) == [
        item.verdict if item.figure > 0 else "" for item in made_speed().measured if item.told
    ]
    assert [metric.value.split(" of ")[1] for metric in app.metric] == [
        str(sum(shown["verdict"] != ""))
    ] * 3
    assert figures(app) == 2
    app.toggle(key="speed_everything").set_value(True).run()
    assert len(fine(app).dataframe[0].value) == len(made_speed().measured)


def test_names_from_a_file_stay_text_and_several_can_be_chosen(results):
    hostile = replace(
        made_speed(quick=True),
        command=HOSTILE,
        machine={"gpu": HOSTILE, "packages": 3},
        left_out=(LeftOut("a", HOSTILE, HOSTILE),),
    )
    save_speed(hostile, results / "a.json")
    own = results.parents[2] / "bench-results"
    save_speed(made_speed(), own / "all-1.json")
    app = fine(page("speed"))
    assert [label.endswith("your own") for label in app.selectbox(key="speed").options] == [
        False,
        True,
    ]
    assert "Its numbers decide nothing" in words_of(app)
    shown = [
        element.value
        for element in [*app.markdown, *app.caption]
        if "evil.example" in element.value
    ]
    assert shown and all("`` ![x](http://evil.example" in value for value in shown)


def test_a_damaged_file_is_said(results):
    save_speed(made_speed(), results / "good.json")
    (results / "bad.json").write_text("[1, 2]")
    app = fine(page("speed"))
    assert "bad.json cannot be read" in words_of(app) and figures(app) == 2


def test_the_pictures_show_what_the_tables_say():
    found = made_speed()
    assert list(measured_table(found.measured)["median"]) == [
        item.median for item in found.measured
    ]
    for curve in found.curves:
        for dark in (False, True):
            figure = curve_figure(curve, dark=dark)
            go.Figure(figure.to_dict())  # plotly accepts it
            assert sum(len(trace.y) for trace in figure.data) == len(curve_table(curve))
