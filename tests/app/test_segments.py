"""The Segments page and one segment's page, in their states."""

from __future__ import annotations

import numpy as np
import pytest

from app.shell import reading
from cpart_core.records.training import SHARED
from cpart_core.runs.control import RunLock
from cpart_core.runs.snapshots import save_snapshot, snapshot_path
from cpart_core.settings.run import Settings
from tests.app.looked_at import STEPS, alone, figures, make_run, open_page, said
from tests.charts import made


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def test_without_a_run_it_says_what_to_do():
    page = open_page("segments", None)
    assert not page.exception and figures(page) == 0 and "Nothing to look at yet" in said(page)


def test_a_finished_run_is_drawn_at_once_and_the_worker_is_not_asked(quiet_worker):
    page = open_page("segments", make_run())
    assert not page.exception and not page.error
    assert figures(page) == 2 and not quiet_worker
    assert "step 100" in said(page) and "seed 0" in said(page) and "n = " in said(page)


def test_running_without_a_snapshot_it_waits():
    run = make_run(ended="", snapshots=False, checkpoint=False, results=False)
    with RunLock(run.folder):
        page = open_page("segments", run)
    assert not page.exception and figures(page) == 0 and "on its way" in said(page)


def test_a_crashed_run_still_shows_what_it_has():
    run = make_run(ended="", checkpoint=False, results=False)
    for part, count in (("Map", 2), ("Meaning", 1), ("Worth", 0), ("History", 2)):
        page = open_page("segments", run, {"segments_part": part})
        assert not page.exception and figures(page) == count


def test_a_step_of_the_slider_keeps_the_tab_and_draws_nothing_else():
    run = make_run()
    page = open_page("segments", run, {"segments_part": "History"})
    page.select_slider(key=f"bar_step_{run.id}").set_value(STEPS[0]).run()
    assert not page.exception and "nothing to compare yet" in said(page) and figures(page) == 0
    page.select_slider(key=f"bar_step_{run.id}").set_value(STEPS[1]).run()
    assert (
        not page.exception and "How the partition came about" in said(page) and figures(page) == 2
    )


def test_a_damaged_snapshot_is_said_and_the_other_steps_work():
    run = make_run()
    snapshot_path(run.folder, STEPS[-1]).write_bytes(b"no snapshot")
    page = open_page("segments", run)
    assert not page.exception and "cannot be read" in said(page) and figures(page) == 0
    other = open_page("segments", run, {"step": STEPS[0]})
    assert not other.exception and not other.error and figures(other) == 2


def test_opening_a_segment_and_going_back():
    page = open_page("segments", make_run())
    page.pills(key="segments_opened").set_value(2).run()
    assert not page.exception and "Its contexts" in said(page) and "All segments" in said(page)
    page.button(key="all_segments").click().run()
    assert (
        not page.exception
        and "Where every neuron lies" in said(page)
        and page.pills(key="segments_opened").value is None
    )
    page.pills(key="segments_opened").set_value(2).run()
    assert not page.exception and "Its contexts" in said(page), "the same one again"


def test_a_segments_page_shows_words_passages_and_life():
    page = open_page("segments", make_run(), {"layer": 1, "segment": 3})
    assert not page.exception and not page.error and figures(page) == 2
    assert [metric.label for metric in page.metric] == ["Neurons", "Load", "Strongest on", "Formed"]
    assert page.metric[0].value == "6" and page.dataframe[0].value["token"].tolist()[0] == "="


def test_profiles_are_asked_for_with_progress_and_a_way_to_stop(quiet_worker):
    page = open_page("segments", make_run(results=False), {"layer": 1, "segment": 3})
    assert not page.exception and {name for name, _ in quiet_worker} == {"profiles"}
    assert figures(page) == 2 and "Stop" in [button.label for button in page.button]


def test_without_a_checkpoint_the_words_are_said_to_come_later():
    page = open_page(
        "segments", make_run(checkpoint=False, results=False), {"layer": 0, "segment": 0}
    )
    assert not page.exception and "stores a checkpoint every" in said(page) and figures(page) == 2


def test_selecting_a_segment_selects_its_neurons_for_all_pages():
    run = make_run()
    page = open_page("segments", run, {"layer": 1, "segment": 3})
    page.button(key="select_segment").click().run()
    selection = page.session_state["cpart_selection"]
    assert (
        selection.run == run.id
        and len(selection.neurons) == 6
        and {layer for layer, _ in selection.neurons} == {1}
    )
    assert "6 neurons selected" in said(page)


def test_what_was_stopped_is_not_asked_for_again_until_one_says_so(quiet_worker):
    page = open_page("segments", make_run(results=False), {"layer": 1, "segment": 3})
    next(button for button in page.button if button.label == "Stop").click().run()
    page.run()
    assert not page.exception and len(quiet_worker) == 1 and "was stopped" in said(page)
    next(button for button in page.button if button.label == "Go on").click().run()
    assert len(quiet_worker) == 2


def test_a_shared_segment_and_a_context_without_validation_text_disturb_no_page():
    run = make_run()
    snapshot = made.snapshot(STEPS[-1], seed=STEPS[-1])
    snapshot.segment_of[:, :4] = SHARED
    snapshot.fusion_mass[:, 2] = np.nan
    save_snapshot(run.folder, snapshot)
    for name, chosen in (
        ("segments", {}),
        ("segments", {"layer": 0, "segment": 1}),
        ("gradients", {}),
        ("fusion", {}),
    ):
        page = open_page(name, run, chosen)
        assert not page.exception and not page.error and figures(page) > 0


@pytest.mark.parametrize(
    ("changes", "step", "partitioned", "discovered", "told"),
    [
        ({}, 500, True, False, []),
        ({"execution": "dense"}, 500, True, False, ["no fusion weights"]),
        ({"first_step": 50, "fusion_step": 100}, 75, True, False, ["from step 100"]),
        (
            {"first_step": 50, "fusion_step": 100},
            25,
            False,
            True,
            ["before the first partition", "from step 100", "found at the first"],
        ),
        (
            {"first_step": 900, "fusion_step": 900, "steps": 500},
            500,
            False,
            False,
            ["there will be none", "from step 900"],
        ),
        ({}, 500, True, True, ["found from gradients"]),
    ],
)
def test_a_numbering_is_not_taken_for_a_finding(changes, step, partitioned, discovered, told):
    settings = Settings().with_values(
        {"fusion_step": 200, "first_step": 100, "steps": 1000, **changes}
    )
    said = reading.stage(settings, step, partitioned, discovered)
    assert len(said) == len(told) and all(
        part in sentence for part, sentence in zip(told, said, strict=True)
    )
