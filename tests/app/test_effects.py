"""The causal parts of the Fusion and Segments pages: asked for on demand, shown before and after,
refused where they make no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.session import Selection
from cpart_core.analysis.text.first_text import FIRST_TEXT
from cpart_core.runs import folder
from cpart_core.runs.info import write_info
from cpart_core.runs.origin import Trained
from tests.app.looked_at import STEPS, alone, figures, make_run, open_page, said
from tests.charts import made_effects as made

QUESTION = {"text": FIRST_TEXT, "neurons": [], "max_tokens": 32, "temperature": 0.8, "seed": 0}

WORTH = {"segments_part": "Worth"}
"""The tab that is open."""


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def test_what_if_is_asked_for_first_and_then_follows_every_change(quiet_worker):
    run = make_run()
    page = open_page("fusion", run, {"layer": 0})
    assert "What if" in said(page) and not quiet_worker
    page.button(key="whatif_go").click().run()
    name, first = quiet_worker[-1]
    assert (
        not page.exception
        and name == "intervention"
        and first["interventions"][0][::2] == [0, "ablate"]
        and first["step"] == STEPS[-1]
    )
    page.segmented_control(key="whatif_kind_4").set_value("scale").run()
    page.slider(key="whatif_factor").set_value(0.5).run()
    assert quiet_worker[-1][1]["interventions"][0][2:] == ["scale", 0.5]
    assert "Stop" in [button.label for button in page.button]


def test_before_and_after_are_shown_side_by_side():
    run = make_run()
    page = open_page("fusion", run, {"layer": 0})
    segment = page.selectbox(key="whatif_segment_0_4").value
    request = {
        "run": run.id,
        "step": STEPS[-1],
        "interventions": [[0, segment, "ablate", 1.0]],
        **QUESTION,
    }
    run.store_result("intervention", request, made.report())
    page.button(key="whatif_go").click().run()
    assert not page.exception and not page.error and figures(page) == 5
    words = said(page)
    assert (
        "segment 1 of layer 0 ablated" in words
        and "changes most" in words
        and "6,000 validation tokens of 15 documents" in words
    )
    html = "".join(element.proto.body for element in page.get("html"))
    assert "<a href" not in html and "loss 3.00 -&gt; 3.50" in html


def test_kept_changes_add_up_and_can_be_taken_away(quiet_worker):
    page = open_page("fusion", make_run(), {"layer": 0})
    page.button(key="whatif_go").click().run()
    page.button(key="whatif_keep").click().run()
    page.segmented_control(key="whatif_kind_4").set_value("forbid").run()
    assert [change[2] for change in quiet_worker[-1][1]["interventions"]] == ["ablate", "forbid"]
    page.button(key="whatif_drop_0").click().run()
    assert not page.exception and [
        change[2] for change in quiet_worker[-1][1]["interventions"]
    ] == ["forbid"]


def test_selected_neurons_can_be_ablated_alone(quiet_worker):
    run = make_run()
    page = open_page(
        "fusion", run, {"layer": 0, "selection": Selection(run.id, frozenset({(1, 7), (0, 3)}))}
    )
    page.segmented_control(key="whatif_what").set_value("the selected neurons").run()
    page.button(key="whatif_go").click().run()
    request = quiet_worker[-1][1]
    assert (
        not page.exception
        and request["neurons"] == [[0, 3], [1, 7]]
        and request["interventions"] == []
    )


def test_matrix_and_audit_are_computed_on_demand_with_progress_and_stop(quiet_worker):
    page = open_page("segments", make_run(), WORTH)
    assert "What is each segment worth?" in said(page) and not quiet_worker
    page.button(key="ask_ablation_matrix").click().run()
    page.button(key="ask_router_audit").click().run()
    assert not page.exception and {"ablation_matrix", "router_audit"} <= {
        name for name, _ in quiet_worker
    }
    assert [button.label for button in page.button].count("Stop") == 2


def test_stored_results_are_drawn_at_once(quiet_worker):
    run = make_run()
    for name, result in (("ablation_matrix", made.matrix()), ("router_audit", made.audit())):
        run.store_result(name, {"run": run.id, "step": STEPS[-1]}, result)
    page = open_page("segments", run, WORTH)
    assert not page.exception and not page.error and not quiet_worker and figures(page) == 4
    words = said(page)
    assert (
        "2 of 2 contexts have a segment" in words
        and "Better than a random choice in layer 1 of 2" in words
    )
    assert (
        "fewer than 8 validation documents" in words
        and "a sample: 4,000 tokens of 20 documents" in words
    )


def test_the_random_twin_stands_beside_as_control():
    run, twin = make_run(), make_run()
    for one in (run, twin):
        one.store_result("ablation_matrix", {"run": one.id, "step": STEPS[-1]}, made.matrix())
    assert "Control: this run has no random twin" in said(open_page("segments", run, WORTH))
    write_info(twin.folder, replace(twin.info, origin=Trained(run.id, "random")))
    page = open_page("segments", run, WORTH)
    assert not page.exception and "Control, the random twin at step 100: 2 of 2 contexts" in said(
        page
    )
    assert "Control" not in said(open_page("segments", folder.open_run(twin.id), WORTH))


def test_without_a_checkpoint_it_says_so():
    page = open_page("segments", make_run(checkpoint=False, results=False), WORTH)
    assert not page.exception and "Taking segments away needs the model's weights" in said(page)
