"""The Fusion page in its states: a stored trace at once, two texts, a continuation, hostile
tokens."""

from __future__ import annotations

import pytest

from app.views.fusion.continuation import partial_tint
from cpart_core.analysis.text.first_text import FIRST_TEXT
from tests.app.looked_at import STEPS, alone, figures, make_run, open_page, said
from tests.charts import made


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def test_without_a_run_it_says_what_to_do():
    page = open_page("fusion", None)
    assert not page.exception and figures(page) == 0 and "Nothing to look at yet" in said(page)


def test_the_first_text_is_drawn_at_once(quiet_worker):
    page = open_page("fusion", make_run())
    assert not page.exception and not page.error and figures(page) == 3 and not quiet_worker
    assert page.text_area(key="fusion_text").value == FIRST_TEXT and "5 tokens" in said(page)


def test_without_a_checkpoint_it_says_when_there_will_be_one():
    page = open_page("fusion", make_run(ended="", checkpoint=False, results=False))
    assert not page.exception and figures(page) == 0 and "stores a checkpoint every" in said(page)


def test_a_typed_text_is_asked_for_with_progress_and_a_way_to_stop(quiet_worker):
    page = open_page("fusion", make_run())
    page.text_area(key="fusion_text").set_value("something else").run()
    assert not page.exception and quiet_worker[-1][1]["text"] == "something else"
    assert (
        "Stop" in [button.label for button in page.button]
        and page.session_state["cpart_text"] == "something else"
    )


def test_an_empty_text_is_asked_for_in_words(quiet_worker):
    page = open_page("fusion", make_run())
    page.text_area(key="fusion_text").set_value("  ").run()
    assert not page.exception and "Type some text" in said(page) and not quiet_worker


def test_hostile_tokens_stay_text():
    page = open_page("fusion", make_run())
    html = "".join(element.proto.body for element in page.get("html"))
    assert "<a href" not in html and "&lt;a href" in html


def test_two_texts_stand_side_by_side():
    run = make_run()
    page = open_page("fusion", run, {"text_beside": FIRST_TEXT})
    page.toggle(key="fusion_two").set_value(True).run()
    assert not page.exception and not page.error and figures(page) == 6


def test_tints_by_loss_and_numbers():
    page = open_page("fusion", make_run())
    page.segmented_control(key="fusion_tint").set_value("loss").run()
    assert not page.exception and "surprising" in said(page)
    page.segmented_control(key="fusion_tint").set_value("segment").run()
    page.toggle(key="fusion_numbers").set_value(True).run()
    assert not page.exception and "<sub>" in "".join(
        element.proto.body for element in page.get("html")
    )


def test_a_continuation_is_asked_for_with_its_settings_and_shown_when_it_is_there(quiet_worker):
    run = make_run()
    page = open_page("fusion", run)
    page.number_input(key="continue_seed").set_value(7).run()
    page.button(key="continue_go").click().run()
    name, request = quiet_worker[-1]
    assert not page.exception and name == "continuation"
    assert request["seed"] == 7 and request["step"] == STEPS[-1] and request["text"] == FIRST_TEXT
    run.store_result("continuation", request, made.trace(prompt_tokens=3))
    page.run()
    assert (
        not page.exception
        and "Continued by 2 tokens, seed 7" in said(page)
        and "the last 2 generated" in said(page)
    )
    page.button(key="continuation_away").click().run()
    assert not page.exception and "Continued by" not in said(page)


def test_a_growing_text_shows_what_is_known_and_the_rest_grey():
    tint = partial_tint(
        {
            "tokens": ["a", "b", "c"],
            "strongest": [[0, 1], [2, 3]],
            "strength": [[0.5, 0.2], [0.25, 0.4]],
        },
        1,
    )
    assert tint.strongest == [1, 3, -1] and tint.strength == [0.5, 1.0, 0.0]
