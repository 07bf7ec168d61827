"""The Carve page in its states, and a carved run on all the other pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.charts.carve import keep_k
from cpart_core.analysis.keep import carving
from cpart_core.records.keep import CarveReport, KeepCurve
from cpart_core.runs.control import RunLock
from cpart_core.runs.folder import delete_run, open_run
from cpart_core.service.answering import answer
from tests.analysis import made as small
from tests.analysis.test_keep_k import COST
from tests.app.looked_at import STEPS, alone, figures, make_run, open_page, said
from tests.charts.made import CONTEXTS, LAYERS, SEGMENTS

K, C = SEGMENTS, len(CONTEXTS)


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def request_of(run, **changes):
    selection = {
        "context": CONTEXTS[0],
        "text": "",
        "ranking": "contribution",
        "documents": 32,
        "seed": 0,
    }
    return {"run": run.id, "step": STEPS[-1], **selection, **changes}


def curve_of(run, **changes) -> KeepCurve:
    rise = np.array([0.0, 0.01, 0.02, 0.5])
    by_context = np.tile(rise, (C, 1))
    curve = KeepCurve(
        run=run.id,
        step=STEPS[-1],
        seed=0,
        context=CONTEXTS[0],
        text="",
        ranking="contribution",
        execution="topk",
        importance=np.ones((LAYERS, SEGMENTS)),
        order=np.tile(np.arange(SEGMENTS), (LAYERS, 1)),
        chosen_on=("one", "two"),
        chosen_tokens=100,
        kept=np.arange(K, 0, -1),
        loss=4.0 + rise,
        rise=rise,
        low=rise - 0.005,
        high=rise + 0.005,
        documents=7,
        tokens=700,
        random_loss=4.0 + np.linspace(0.0, 1.0, 10)[:, None] * np.arange(K),
        contexts=CONTEXTS,
        loss_by_context=4.0 + by_context,
        rise_by_context=by_context,
        low_by_context=by_context - 0.01,
        high_by_context=by_context + 0.01,
        documents_by_context=np.full(C, 7),
        tokens_by_context=np.full(C, 700),
    )
    return replace(curve, **changes)


def report_of(run, carved: str) -> CarveReport:
    return CarveReport(
        run=run.id,
        step=STEPS[-1],
        carved=carved,
        context=CONTEXTS[0],
        text="",
        ranking="contribution",
        seed=0,
        keep=2,
        kept=np.zeros((LAYERS, 2), dtype=np.int64),
        before=replace(COST, num_parameters=1000),
        after=COST,
        contexts=CONTEXTS,
        loss_before=np.full(C, 4.0),
        loss_after=np.full(C, 4.5),
        low=np.full(C, 0.4),
        high=np.full(C, 0.6),
        documents_by_context=np.full(C, 7),
        tokens_by_context=np.full(C, 700),
        text_before=float("nan"),
        text_after=float("nan"),
        text_tokens=0,
        machine={"cpus": "2"},
        load=0.5,
    )


def test_without_a_run_or_a_checkpoint_it_says_what_to_do():
    assert "Nothing to look at yet" in said(open_page("carve", None))
    page = open_page("carve", make_run(checkpoint=False, results=False))
    assert not page.exception and "stores a checkpoint every" in said(page) and figures(page) == 0
    run = make_run(ended="", snapshots=False, checkpoint=False, results=False)
    with RunLock(run.folder):
        assert "on its way" in said(open_page("carve", run))


def test_the_curve_is_asked_for_and_never_by_itself(quiet_worker):
    run = make_run()
    page = open_page("carve", run)
    assert not page.exception and not quiet_worker and figures(page) == 0
    page.button(key="carve_measure").click().run()
    assert quiet_worker == [("keep_k", request_of(run))] and "Stop" in [
        button.label for button in page.button
    ]


def test_a_measured_curve_stands_beside_chance_with_its_n(quiet_worker):
    run = make_run()
    run.store_result("keep_k", request_of(run), curve_of(run))
    page = open_page("carve", run)
    assert not page.exception and not page.error and figures(page) == 2 and not quiet_worker
    words = said(page)
    assert "Keeping **2 of 4**" in words, "the fewest that cost at most 1 % are offered first"
    assert (
        "**+0.020** nats (95 %: +0.015 to +0.025)" in words
        and "By chance: 10 draws" in words
        and "n = 7 validation documents, of each its beginning, 700 tokens" in words
    )
    page.button(key="carve_go").click().run()
    assert quiet_worker == [("carve", {**request_of(run), "keep": 2, "name": ""})]


def test_a_text_without_words_is_waited_for(quiet_worker):
    run = make_run()
    page = open_page("carve", run)
    page.segmented_control(key="carve_for").set_value("a text").run()
    assert not page.exception and "Paste some text" in said(page)
    page.text_area(key="carve_text").set_value("some words of mine").run()
    page.button(key="carve_measure").click().run()
    assert (
        quiet_worker[-1][1]["text"] == "some words of mine" and quiet_worker[-1][1]["context"] == ""
    )


def test_a_report_is_drawn_and_a_deleted_run_can_be_carved_again(quiet_worker):
    run, other = make_run(), make_run()
    run.store_result("keep_k", request_of(run), curve_of(run))
    run.store_result("carve", {**request_of(run), "keep": 2, "name": ""}, report_of(run, other.id))
    page = open_page("carve", run)
    assert not page.exception and figures(page) == 3 and "fresh processes" in said(page)
    assert [metric.label for metric in page.metric][:2] == ["Parameters", "On the disk"]
    page.button(key="carve_open").click().run()
    assert not page.exception and page.session_state["cpart_run"] == other.id
    delete_run(other.id)
    page = open_page("carve", run)
    assert "has been deleted since" in said(page) and not quiet_worker
    page.button(key="carve_go").click().run()
    assert [name for name, _ in quiet_worker] == ["carve"]


def test_a_carved_run_opens_in_every_page(monkeypatch, quiet_worker):
    monkeypatch.setattr(
        carving,
        "measure_footprints",
        lambda checkpoints, repeats, progress: [COST] * len(checkpoints),
    )
    corpus = small.made_corpus()
    run = small.made_run(corpus, small.made_source(corpus), "carve-pages")
    selection = {
        "context": "letters",
        "text": "",
        "ranking": "contribution",
        "documents": 4,
        "seed": 0,
    }
    report = answer("carve", {"run": run.id, "step": 10, **selection, "keep": 2, "name": ""})
    for name in ("home", "train", "segments", "gradients", "fusion", "carve"):
        page = open_page(name, open_run(report.carved))
        assert not page.exception and not page.error, name
    assert "was carved" in said(page) and "Open the whole run" in said(page) and figures(page) == 1


def test_figures_and_tables_say_the_same():
    run = make_run()
    curve = curve_of(run)
    for dark in (False, True):
        traces = {trace.name: trace for trace in keep_k.keep_figure(curve, 2, dark=dark).data}
        assert (
            list(traces["chosen"].y)
            == curve.rise.tolist()
            == keep_k.keep_table(curve)["rise"].tolist()
        )
        assert (
            list(traces["by chance, median"].y)
            == keep_k.keep_table(curve)["rise by chance, median"].tolist()
        )
        assert (
            len(keep_k.others_figure(curve, dark=dark).data) == C
            and len(keep_k.others_table(curve)) == C * K
        )
        assert (
            "<script"
            not in keep_k.others_figure(curve, dark=dark).to_json()
            + keep_k.losses_figure(report_of(run, "x"), dark=dark).to_json()
        )
