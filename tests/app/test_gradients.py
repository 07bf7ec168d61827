"""The Gradients page in its states: maps at once, the worker beside, one selection."""

from __future__ import annotations

import pytest

from app.session import Selection
from app.views.gradients.selection import base_of, map_key, neuron_of
from tests.app.looked_at import alone, figures, make_run, open_page, said


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def test_without_a_run_it_says_what_to_do():
    page = open_page("gradients", None)
    assert not page.exception and figures(page) == 0 and "Nothing to look at yet" in said(page)


def test_a_stored_umap_is_drawn_at_once(quiet_worker):
    page = open_page("gradients", make_run())
    assert not page.exception and not page.error and figures(page) == 1 and not quiet_worker
    assert "all 48 neurons" in said(page) and "chance" in said(page) and "seed 0" in said(page)


def test_without_a_map_pca_is_made_here_and_umap_asked_from_the_worker(quiet_worker):
    page = open_page("gradients", make_run(results=False))
    assert not page.exception and figures(page) == 1
    assert {request["method"] for _, request in quiet_worker} == {"umap"}
    assert "PCA (two axes keep" in said(page) and "Stop" in [button.label for button in page.button]


def test_documents_need_weights_and_say_so():
    page = open_page("gradients", make_run(checkpoint=False, results=False))
    page.segmented_control(key="gradients_what").set_value("documents").run()
    assert not page.exception and figures(page) == 0 and "stores a checkpoint every" in said(page)


def test_documents_are_drawn_by_context_and_by_segment():
    page = open_page("gradients", make_run())
    page.segmented_control(key="gradients_what").set_value("documents").run()
    assert (
        not page.exception
        and not page.error
        and figures(page) == 1
        and "30 validation documents" in said(page)
    )
    page.segmented_control(key="documents_colour").set_value("strongest segment").run()
    assert not page.exception and figures(page) == 1


def test_a_crashed_run_without_checkpoint_has_its_map():
    page = open_page("gradients", make_run(ended="", checkpoint=False, results=False))
    assert not page.exception and figures(page) == 1


def test_the_selection_of_another_page_is_listed_and_can_be_cleared():
    run = make_run()
    page = open_page(
        "gradients", run, {"selection": Selection(run.id, frozenset({(0, 3), (1, 7)}))}
    )
    assert not page.exception and "2 neurons selected" in said(page)
    assert page.dataframe[0].value[["layer", "neuron"]].to_numpy().tolist() == [[0, 3], [1, 7]]
    page.button(key="clear_selection").click().run()
    assert not page.exception and not page.session_state["cpart_selection"].neurons


def test_neighbours_become_the_selection():
    page = open_page("gradients", make_run())
    page.button(key="select_neighbours").click().run()
    assert not page.exception and len(page.session_state["cpart_selection"].neurons) == 16


def test_colours_and_layouts_can_be_changed():
    page = open_page("gradients", make_run())
    for key, value in (
        ("gradients_colour", "layer"),
        ("gradients_colour", "strongest context"),
        ("gradients_method", "pca"),
    ):
        page.segmented_control(key=key).set_value(value).run()
        assert not page.exception and figures(page) == 1


def test_the_figure_stays_while_one_selects_in_it_and_changes_when_another_page_selects(
    monkeypatch,
):
    from app import session

    kept = {}
    monkeypatch.setattr(session, "get", kept.get)
    monkeypatch.setattr(session, "put", kept.__setitem__)
    now = {"neurons": frozenset()}
    monkeypatch.setattr(session, "selection", lambda run: Selection("made", now["neurons"]))
    first = base_of(None, "map", redraw=False)
    lasso = frozenset({(0, 1)})
    kept["map_base"] = type(first)(first.identity, first.number, first.drawn, lasso)
    now["neurons"] = lasso
    on_screen = {map_key(first.number): {"selection": {}}}
    monkeypatch.setattr(session, "widget", on_screen.get)
    assert base_of(None, "map", redraw=False).number == first.number
    # the page was left: the chart is made anew, and has no lasso that would show the selection
    on_screen.clear()
    back = base_of(None, "map", redraw=False)
    assert back.number == first.number + 1 and back.drawn == lasso
    assert base_of(None, "map", redraw=False).number == first.number + 1
    now["neurons"] = frozenset({(1, 1)})
    assert base_of(None, "map", redraw=False).number == first.number + 2
    assert base_of(None, "another map", redraw=False).number == first.number + 3


def test_only_neurons_are_taken_from_what_the_browser_says():
    assert neuron_of([1, 20]) == (1, 20)
    assert all(neuron_of(other) is None for other in (None, [1], {"0": 1, "1": 20}, ["1", "20"]))
