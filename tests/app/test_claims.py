"""The Claims page: empty it says how to measure; with a study every claim has its control, interval
and verdict; a bad file is said."""

from __future__ import annotations

import pytest

from app.charts.claims.forest import arm_forest, claim_forest, finding_table
from cpart_core.study import result
from cpart_core.study.claims.paper import judge
from cpart_core.study.result import save_study
from cpart_core.study.targets.evidence import weigh
from tests.app.looked_at import figures
from tests.app.made import HOSTILE, fine, page, words_of
from tests.study.made import made_outcome, made_study

PLANTED = {
    "perplexity": (-0.5, -0.51, -0.52),
    "accuracy": (-0.05, -0.06, -0.05),
    "active_parameters": (-300_000,) * 3,
}


@pytest.fixture
def studies(root, tmp_path, monkeypatch):
    """A folder of stored studies that a test fills."""
    monkeypatch.setattr(result, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_without_a_study_it_says_how_to_make_one(studies):
    app = fine(page("claims"))
    assert "No study is stored yet" in words_of(
        app
    ) and "python -m cpart_core study default" in words_of(app)
    assert not figures(app)


def test_every_claim_stands_beside_its_numbers(studies):
    save_study(made_study(PLANTED), studies / "made.json")
    app = fine(page("claims"))
    said = words_of(app)
    for entry in judge(made_study(PLANTED)):
        assert f"#### {entry.title}" in said and entry.why in said
    assert "Perplexity\n:green-badge[:material/check: holds]" in said
    assert "Accuracy\n:red-badge[:material/close: does not hold]" in said
    assert "coherence\n:gray-badge[:material/help: cannot be tested]" in said
    assert "Memory\n:red-badge" in said
    cells = "\n".join(frame.value.to_string() for frame in app.table)
    assert "-30.0 % (every seed)" in cells
    assert "Three seeds say little: an interval is 2.2 times as wide" in said
    assert (
        "seeds 0, 1, 2" in said
        and "n = 10,000 validation tokens" in said
        and "python -m cpart_core study made" in said
    )
    assert figures(app) == 2
    app.selectbox(key="claims_measure").set_value("seconds").run()
    fine(app)


def test_the_figures_to_reach_stand_beside_the_claims_for_the_arm_that_is_chosen(studies):
    save_study(
        made_study({"loss": (-0.1, -0.11, -0.1), "keep_quarter": (-0.005, -0.0051, -0.0049)}),
        studies / "made.json",
    )
    app = fine(page("claims"))
    said = words_of(app)
    for entry in weigh(made_study()):
        assert f"#### {entry.title}" in said
    assert (
        "Trained, then a quarter kept\n:green-badge" in said
        and "this study has no dense run that was cut" in said
    )
    app.selectbox(key="claims_arm").set_value("random").run()
    assert "Trained, then a quarter kept\n:red-badge" in words_of(fine(app)), (
        "its cost is 1 %, which is not below"
    )


def test_a_persons_own_study_is_offered_and_its_names_stay_text(studies, root):
    save_study(made_study(PLANTED), studies / "made.json")
    save_study(
        made_study(title=HOSTILE, contexts=("<b>a</b>", "b"), command=HOSTILE),
        root / ".studies" / "own" / "own.json",
    )
    app = page("claims")
    chooser = app.selectbox(key="study")
    assert [label.endswith("your own") for label in chooser.options] == [False, True]
    chooser.set_value(list((root / ".studies" / "own").glob("*.json"))[0]).run()
    shown = [
        element.value
        for element in [*fine(app).markdown, *app.caption]
        if "evil.example" in element.value
    ]
    assert shown and all("`` ![x](http://evil.example" in value for value in shown)


def test_a_damaged_file_and_missing_runs_are_said(studies):
    save_study(
        made_study(outcomes=(made_outcome("gradient", 0), made_outcome("dense", 0))),
        studies / "part.json",
    )
    (studies / "bad.json").write_text("{")
    said = words_of(fine(page("claims")))
    assert "bad.json cannot be read" in said and "7 runs of this study are still missing" in said
    assert "not decided" in said


def test_the_pictures_show_what_the_table_says():
    study = made_study(PLANTED)
    for dark in (False, True):
        figure = claim_forest(judge(study), dark=dark)
        shown = {name: x for trace in figure.data for name, x in zip(trace.y, trace.x, strict=True)}
        table = finding_table(judge(study)).set_index("number")
        assert (
            shown["perplexity"]
            == pytest.approx(table.loc["perplexity", "difference, %"])
            == pytest.approx(-6.9, abs=0.1)
        )
        assert {"holds", "does not hold"} <= {trace.name for trace in figure.data}
        assert list(arm_forest(study, "perplexity", dark=dark).data[0].y) == ["dense", "random"]
