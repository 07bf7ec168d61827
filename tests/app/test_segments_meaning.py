"""The section 'Do segments mean anything?' in its states: to be asked for, there, without a
checkpoint, with other seeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cpart_core.runs.folder import open_run
from cpart_core.runs.info import write_info
from cpart_core.runs.origin import Trained
from tests.app.looked_at import STEPS, alone, figures, make_run, open_page, said
from tests.charts.made_meaning import specialization, stability

MEANING = {"segments_part": "Meaning"}
"""The tab that is open."""


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def request(run):
    return {"run": run.id, "step": STEPS[-1], "seed": 0}


def test_it_is_measured_when_somebody_asks(quiet_worker):
    run = make_run()
    page = open_page("segments", run, MEANING)
    assert "Do segments mean anything?" in said(page) and not quiet_worker
    next(
        button for button in page.button if button.label == f"Measure step {STEPS[-1]}"
    ).click().run()
    assert not page.exception and quiet_worker == [("specialization", request(run))]


def test_a_measured_run_says_its_verdict_with_where_it_is_from(quiet_worker):
    run = make_run()
    run.store_result("specialization", request(run), specialization())
    page = open_page("segments", run, MEANING)
    words = said(page)
    assert not page.exception and not page.error and not quiet_worker and figures(page) == 3
    assert (
        "Segments tell contexts apart beyond chance in all 2 layers" in words
        and "fewer than 5 validation documents" in words
    )
    assert (
        "20 validation documents, 1,200 tokens" in words
        and "200 shuffles" in words
        and "seed 0 of rows" in words
    )


def test_with_one_segment_a_token_there_are_no_pairs():
    run = make_run()
    run.store_result("specialization", request(run), specialization(top_k=1))
    page = open_page("segments", run, MEANING)
    assert not page.exception and figures(page) == 2 and "no pairs of segments" in said(page)


def test_without_a_checkpoint_it_says_what_is_missing():
    page = open_page("segments", make_run(checkpoint=False, results=False), MEANING)
    assert not page.exception and "The meter needs the model's weights" in said(page)


def test_runs_with_other_seeds_are_matched(quiet_worker):
    runs = [make_run() for _ in range(4)]
    for seed, run in enumerate(runs[:3]):
        settings = run.settings.with_values({"seed": seed})
        write_info(run.folder, replace(run.info, settings=settings, fingerprint="f"))
    run = open_run(runs[0].id)
    page = open_page("segments", run, MEANING)
    assert not page.exception and [name for name, _ in quiet_worker] == ["stability"]
    asked = quiet_worker[0][1]
    assert asked["runs"] == [one.id for one in runs[:3]] and asked["steps"] == [STEPS[-1]] * 3
    run.store_result("stability", asked, stability())
    page = open_page("segments", run, MEANING)
    assert "Other seeds find segments of the same contexts" in said(page) and "n = 3 runs" in said(
        page
    )


def test_a_twin_is_measured_when_somebody_asks_and_stands_beside_the_run(quiet_worker):
    run, twin = make_run(), make_run()
    write_info(twin.folder, replace(twin.info, origin=Trained(run.id, "random")))
    run.store_result("specialization", request(run), specialization())
    page = open_page("segments", run, MEANING)
    assert not quiet_worker
    next(
        button for button in page.button if button.label == "Measure the random twin"
    ).click().run()
    assert not page.exception and quiet_worker == [("specialization", request(twin))]
    open_run(twin.id).store_result("specialization", request(twin), specialization(0.6))
    page = open_page("segments", run, MEANING)
    assert (
        not page.exception
        and "0.90 bits (0.80 to 1.00) are more than the random twin's 0.60 (0.50 to 0.70)"
        in said(page)
    )
    assert [button for button in page.button if button.label.startswith("Measure the")] == []
