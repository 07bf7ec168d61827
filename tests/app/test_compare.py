"""The Compare page in its states: nothing to compare, waiting, a twin by default, two steps of one,
hostile names, swapped sides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import write_info
from cpart_core.runs.origin import Trained
from tests.app.looked_at import STEPS, alone, figures, make_run, open_page, said
from tests.charts import made, made_compare


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def beside(first: Run, second: Run, step: int, other_step: int) -> dict[str, object]:
    return {"run": first.id, "step": step, "other": second.id, "other_step": other_step}


def twins(store: bool = True, method: str = "neurons") -> tuple[Run, Run]:
    """A run and its dense twin, with everything that the page asks for."""
    first, second = make_run(), make_run()
    settings = second.settings.with_values({"execution": "dense"})
    write_info(
        second.folder,
        replace(
            second.info,
            settings=settings,
            origin=Trained(first.id, "dense"),
            fingerprint="f" * 64,
        ),
    )
    write_info(first.folder, replace(first.info, fingerprint="f" * 64))
    first, second = open_run(first.id), open_run(second.id)
    if store:
        at = beside(first, second, STEPS[-1], STEPS[-1])
        first.store_result(
            "compare_segments", {**at, "method": "auto", "seed": 0}, made_compare.segments(method)
        )
        measured = made_compare.losses()
        first.store_result("compare_losses", {**at, "seed": 0}, measured)
        first.store_result("compare_text", {**at, "text": measured.texts[2]}, made_compare.text())
    return first, second


def html(page) -> str:
    return "".join(element.proto.body for element in page.get("html"))


def test_without_a_run_it_says_what_to_do():
    page = open_page("compare", None)
    assert not page.exception and "Nothing to look at yet" in said(page)


def test_the_twin_is_compared_by_default_and_stands_in_the_address(quiet_worker):
    first, second = twins()
    page = open_page("compare", first)
    assert not page.exception and not page.error and not quiet_worker and figures(page) == 6
    assert (
        page.session_state["cpart_other"] == second.id
        and page.session_state["cpart_other_step"] == STEPS[-1]
    )
    assert "1 setting differs" in said(
        page
    ) and "A predicts 3 documents held out from both better" in said(page)
    assert "Loss on text held out from both" in html(page) and "①" in html(page)
    assert "<a href" not in html(page)


def test_segments_wear_matched_colours_and_a_dense_side_none():
    first, _ = twins()
    page = open_page("compare", first)
    page.segmented_control(key="compare_tint").set_value("segment").run()
    assert not page.exception and not page.error and "dense: no fusion weights" in said(page)


def test_what_cannot_be_matched_is_said():
    first, _ = twins(method="none")
    page = open_page("compare", first)
    assert not page.exception and not page.error and "Segments are not matched" in said(page)
    page.segmented_control(key="compare_tint").set_value("segment").run()
    assert not page.exception and "have nothing to do with those of A" in said(page)


def test_without_results_it_asks_and_can_be_stopped(quiet_worker):
    first, second = twins(store=False)
    page = open_page("compare", first)
    assert not page.exception and {name for name, _ in quiet_worker} == {
        "compare_segments",
        "compare_losses",
    }
    assert "Stop" in [button.label for button in page.button] and "Type some text" in said(page)
    assert quiet_worker[0][1] == {
        **beside(first, second, STEPS[-1], STEPS[-1]),
        "method": "auto",
        "seed": 0,
    }


def test_two_steps_of_one_run_without_two_sets_of_weights(quiet_worker):
    run = make_run()
    page = open_page("compare", run)
    assert (
        not page.exception
        and page.session_state["cpart_other"] == run.id
        and page.session_state["cpart_other_step"] == STEPS[0]
    )
    assert "no two sets of weights" in said(page) and {name for name, _ in quiet_worker} == {
        "compare_segments"
    }


def test_the_same_side_twice_is_said():
    run = make_run()
    page = open_page("compare", run, {"other": run.id, "other_step": STEPS[-1]})
    assert not page.exception and "nothing can differ" in said(page)


def test_a_run_that_is_gone_is_answered_kindly():
    first, second = twins()
    page = open_page("compare", first, {"other": "no-such-run"})
    assert (
        not page.exception
        and "does not exist here" in said(page)
        and page.session_state["cpart_other"] == second.id
    )


def test_swapping_swaps_and_a_b_that_nobody_chose_follows_a():
    first, second = twins()
    page = open_page("compare", first)
    page.button(key="compare_swap").click().run()
    assert not page.exception
    assert (page.session_state["cpart_run"], page.session_state["cpart_other"]) == (
        second.id,
        first.id,
    )
    alone_run = make_run()
    page = open_page("compare", first)
    page.selectbox(key="bar_run").set_value(alone_run.id).run()
    assert not page.exception and page.session_state["cpart_other"] == alone_run.id


def test_a_text_of_ones_own(quiet_worker):
    first, second = twins()
    page = open_page("compare", first)
    page.selectbox(key="compare_document").set_value(-1).run()
    page.text_area(key="compare_text").set_value("my own words").run()
    assert not page.exception and quiet_worker[-1] == (
        "compare_text",
        {**beside(first, second, STEPS[-1], STEPS[-1]), "text": "my own words"},
    )
    assert page.session_state["cpart_text"] == "my own words"
    page.selectbox(key="compare_document").set_value(2).run()
    assert (
        not page.exception
        and page.session_state["cpart_document"] == 2
        and made.HOSTILE not in html(page)
    )
