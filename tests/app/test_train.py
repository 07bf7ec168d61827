"""Train: the form makes checked settings, the buttons fit the state of the run, and a dead trainer
is said to be dead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.engine import jobs
from app.shell import forms
from cpart_core.runs.create import machine
from cpart_core.runs.info import write_info
from cpart_core.runs.origin import Carved, Trained
from cpart_core.settings.presets import preset
from cpart_core.settings.run import Settings
from tests.app.made import HOSTILE, button, fine, page, run_in, words_of
from tests.runs.made import make_run

BUTTONS = {
    "new": {"Start now"},
    "running": {"Pause", "Stop"},
    "paused": {"Step", "Resume", "Stop"},
    "finished": set(),
    "stopped": {"Resume training"},
    "crashed": {"Resume training"},
    "failed": {"Resume training"},
    "damaged": set(),
}
STEERING = set().union(*BUTTONS.values())


@pytest.mark.parametrize("state", BUTTONS)
def test_the_buttons_fit_the_state(root, held, state):
    run = run_in(state, root, held)
    app = fine(page("train", run=run.id))
    assert {element.label for element in app.button} & STEERING == BUTTONS[state]


@pytest.mark.parametrize(
    ("state", "words"), [("crashed", "died at step 40"), ("failed", "ended itself at step 40")]
)
def test_last_words_are_shown(root, held, state, words):
    run = run_in(state, root, held)
    said = words_of(page("train", run=run.id))
    assert words in said
    assert ("last words" if state == "crashed" else "not a number") in said


def test_pause_reaches_the_trainer_and_a_refusal_is_said(root, held, monkeypatch):
    run = run_in("running", root, held)
    app = page("train", run=run.id)
    held.close()  # the trainer is gone between drawing and pressing
    button(app, "Pause").click().run()
    assert "no living trainer" in words_of(fine(app))


def test_the_form_starts_what_it_shows(root, monkeypatch):
    started = []
    monkeypatch.setattr(
        jobs, "start_training", lambda *given: started.append(given) or "20260102-030405-none"
    )
    app = fine(page("train"))
    app.number_input(key="set_quick_num_layers").set_value(2).run()
    app.multiselect(key="source_contexts").set_value(["library", "arithmetic"]).run()
    app.text_input(key="run_name").set_value(HOSTILE).run()
    app.button(key="start").click().run()
    settings, name, gathered, twins = started[0]
    assert settings == preset("quick").with_values(
        {"num_layers": 2, "contexts": ("library", "arithmetic")}
    )
    assert (name, gathered, twins) == (HOSTILE, None, ())
    fine(app)


def test_the_time_is_said_from_steps_measured_here_and_unknown_without_any(root, held):
    assert "time not known yet" in words_of(page("train"))
    run_in("damaged", root, held, number=1)
    run = run_in("finished", root, held, name="measured", number=2)
    write_info(run.folder, replace(run.info, machine=machine(), settings=preset("quick")))
    app = page("train")
    app.segmented_control(key="train_view").set_value("new").run()
    said = words_of(fine(app))
    assert "on this machine" in said and "measured" in said and "time not known yet" not in said


@pytest.mark.parametrize("why", ["carved", "failed", "other size", "few steps", "other machine"])
def test_a_run_that_says_nothing_of_this_one_is_not_asked(root, held, why):
    run = run_in(
        "failed" if why == "failed" else "new" if why == "few steps" else "finished", root, held
    )
    settings = preset("quick").with_values(
        {"num_layers": 1, "width": 32, "num_neurons": 64} if why == "other size" else {}
    )
    origin = Carved("other", 1, "", ((0,),)) if why == "carved" else Trained()
    here = {} if why == "other machine" else machine()
    write_info(run.folder, replace(run.info, machine=here, settings=settings, origin=origin))
    app = page("train")
    app.segmented_control(key="train_view").set_value("new").run()
    assert "time not known yet" in words_of(fine(app)) and "about not known" not in words_of(app)


def test_a_finished_run_leads_on_and_is_what_a_new_visit_shows(root, held, monkeypatch):
    monkeypatch.setenv("CPART_SAMPLES", str(root.parent / "samples"))
    make_run(root.parent / "samples", "sample", name="the sample")
    run = run_in("finished", root, held, name="my own")
    app = fine(page("train"))
    assert app.selectbox(key="bar_run").value == run.id
    button(app, "Look inside your run").click().run()
    assert fine(app).title[0].value == "Segments" and app.selectbox(key="bar_run").value == run.id


def test_what_was_pasted_is_there_after_another_page(root):
    app = page("train")
    app.segmented_control(key="source_kind").set_value("paste").run()
    app.text_area(key="paste_text_0").set_value("one two three. " * 50).run()
    app.switch_page("views/home/page.py").run()
    app.switch_page("views/train/page.py").run()
    assert fine(app).text_area(key="paste_text_0").value == "one two three. " * 50


def test_settings_that_do_not_fit_are_said_and_cannot_be_started(root):
    app = page("train")
    app.number_input(key="set_quick_num_segments").set_value(7).run()
    assert "must be a positive multiple" in words_of(fine(app))
    assert app.button(key="start").disabled


def test_pasted_text_is_shown_before_training(root, monkeypatch):
    started = []
    monkeypatch.setattr(
        jobs, "start_training", lambda *given: started.append(given) or "20260102-030405-none"
    )
    app = page("train")
    app.segmented_control(key="source_kind").set_value("paste").run()
    assert app.button(key="start").disabled
    app.text_area(key="paste_text_0").set_value("one two three. " * 50).run()
    app.text_area(key="paste_text_1").set_value(HOSTILE * 20).run()
    assert "2 contexts" in words_of(fine(app))
    app.button(key="start").click().run()
    settings, _, gathered, _ = started[0]
    assert {document.context for document in gathered.documents} == {"context 1", "context 2"}
    assert settings.corpus.source == "file" and settings.check()


def test_what_cannot_take_effect_is_grey_and_a_twin_that_is_the_run_itself_is_said(root):
    app = page("train")
    app.number_input(key="set_quick_top_k").set_value(3).run()
    assert not app.number_input(key="set_quick_top_k").disabled and "Reset 1 changed" in {
        element.label for element in app.button
    }
    app.selectbox(key="set_quick_execution").set_value("dense").run()
    top_k = fine(app).number_input(key="set_quick_top_k")
    assert top_k.disabled and "takes effect only where execution is topk" in top_k.help
    # the execution alone: what is grey is not given
    assert "Reset 1 changed" in {element.label for element in app.button}
    app.button_group(key="twins").set_value(["dense"]).run()
    assert (
        "would be the very same model" in words_of(fine(app)) and app.button(key="start").disabled
    )


def test_too_little_text_and_too_few_steps_are_said_before_start(root):
    app = page("train")
    app.number_input(key="set_quick_steps").set_value(30).run()
    assert "No segments will form" in words_of(fine(app)) and not app.button(key="start").disabled
    app.number_input(key="set_quick_steps").set_value(400).run()
    app.segmented_control(key="source_kind").set_value("paste").run()
    app.number_input(key="paste_boxes").set_value(1).run()
    app.text_area(key="paste_text_0").set_value(
        "".join(f"line {number} of a short text\n" for number in range(18))
    ).run()
    assert (
        "cannot be divided into 6 contexts" in words_of(fine(app))
        and app.button(key="start").disabled
    )


def test_a_start_that_cannot_work_makes_no_run(root, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "start_training", lambda *given: pytest.fail("it was started"))
    # AppTest has no address
    monkeypatch.setattr("app.views.train.text_choice.at_this_machine", lambda: True)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(
        "".join(f"line {number} of a short text\n" for number in range(18))
    )
    app = page("train")
    app.segmented_control(key="source_kind").set_value("folder").run()
    app.text_input(key="folder_path").set_value(str(tmp_path / "texts")).run()
    app.button(key="start").click().run()
    assert "cannot be divided into 6 contexts" in words_of(fine(app))


def test_every_setting_has_its_widget_or_its_place():
    settings = Settings()
    drawn = {
        item.name
        for group in forms.GROUPS
        for far in (False, True)
        for item, _ in forms.fields_of(settings, group, far)
    }
    assert drawn | set(forms.ELSEWHERE) == {item.name for _, item, _ in settings.items()}
    assert not drawn & set(forms.ELSEWHERE)


def test_a_person_comes_back_to_the_run_that_trains(root, held):
    run_in("finished", root, held, name="done before", number=1)
    run_in("running", root, held, name="at work", number=2)
    run_in("finished", root, held, name="newer and done", number=3)
    assert "at work" in words_of(fine(page("train")))
