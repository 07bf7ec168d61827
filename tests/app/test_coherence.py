"""The Coherence page: side by side at once, scores on demand with their anchors, a judge named for
what it is, votes that stay blind."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from app.charts.coherence import continuations as charts
from cpart_core.analysis.statistics.anchored import anchored
from cpart_core.records.coherence import CoherenceReport, Judge, SideBySide, TextMeasures, Writer
from cpart_core.runs import folder, ratings
from cpart_core.runs.info import write_info
from cpart_core.runs.origin import Trained
from tests.app.looked_at import STEPS, alone, figures, make_run, open_page, said
from tests.charts import made

TYPED = "A text of mine"
PROMPTS = 6


@pytest.fixture(autouse=True)
def quiet_worker(monkeypatch, tmp_path):
    return alone(monkeypatch, tmp_path)


def two_runs():
    """A run and its dense twin; the judge of both is the twin itself."""
    run, twin = make_run(), make_run()
    write_info(twin.folder, replace(twin.info, origin=Trained(run.id, "dense")))
    return run, folder.open_run(twin.id)


def writers(run, twin):
    return tuple(
        Writer(one.id, STEPS[-1], name, ())
        for one, name in ((run, f"![x](http://evil/x) {made.HOSTILE}"), (twin, "the twin"))
    )


def judge(run, independent=False, installed=False):
    return Judge(
        run.id,
        STEPS[-1],
        made.HOSTILE,
        "the mean of something",
        installed,
        independent,
        "Not independent: planted words.",
    )


def report(run, twin) -> CoherenceReport:
    rng = np.random.default_rng(0)
    level = np.array([0.5, 0.7, 0.9, 0.1])[:, None]
    near = level + rng.normal(0, 0.02, (4, PROMPTS))
    order = np.full((4, PROMPTS), 0.5)
    texts = tuple(
        tuple(f"by {who} for {place} {made.HOSTILE}" for place in range(PROMPTS))
        for who in ("alpha", "beta", "gamma", "delta")
    )
    return CoherenceReport(
        run.id, STEPS[-1], 0, 0.8, writers(run, twin), judge(twin), tuple(f"prompt {n} {made.HOSTILE}" for n in range(PROMPTS)),
        tuple(f"=title {n}" for n in range(PROMPTS)), ("",) * PROMPTS, 2, texts, near / 10, 1 - near / 10, 3 - near,
        np.full((4, PROMPTS), 90), near, near[:, :, None] + np.zeros(4), order, np.full((4, PROMPTS), 5),
        tuple(anchored(row, near[2], near[3], 0) for row in near[:2]), tuple(anchored(row, order[2], order[3], 0) for row in order[:2]),
    )  # fmt: skip


def request(run, twin):
    at = {
        "run": run.id,
        "step": STEPS[-1],
        "interventions": [],
        "others": [[twin.id, STEPS[-1], []]],
        "judge": twin.id,
    }
    return {**at, "judge_step": STEPS[-1], "prompts": 24, "temperature": 0.8, "seed": 0}


def with_scores():
    run, twin = two_runs()
    page = open_page("coherence", run, {"coherence_text": TYPED})
    wanted = {**request(run, twin), "judge": page.selectbox(key=judge_key(page)).value}
    run.store_result("coherence", wanted, report(run, twin))
    return run, twin, page.run()


def judge_key(page) -> str:
    return next(box.key for box in page.selectbox if box.label == "Judge")


def test_writing_is_asked_for_at_once_and_scores_only_on_demand(quiet_worker):
    run, twin = two_runs()
    page = open_page("coherence", run, {"coherence_text": TYPED})
    assert not page.exception and [name for name, _ in quiet_worker] == ["side_by_side"]
    asked = quiet_worker[-1][1]
    assert (
        asked["others"] == [[twin.id, STEPS[-1], []]]
        and asked["text"] == TYPED
        and asked["rest"] == ""
    )
    assert "Stop" in [button.label for button in page.button]
    page.button(key="coherence_measure").click().run()
    assert (
        not page.exception
        and quiet_worker[-1][0] == "coherence"
        and quiet_worker[-1][1]["prompts"] == 24
    )


def test_a_judge_that_is_not_independent_is_said_to_be_so():
    page = open_page("coherence", two_runs()[0], {"coherence_text": TYPED})
    assert (
        "Not independent" in said(page)
        and page.button(key="coherence_train_judge").label == "Train an independent judge"
    )


def test_a_segment_can_be_changed_as_a_writer_of_its_own(quiet_worker):
    run, twin = two_runs()
    page = open_page("coherence", run, {"coherence_text": TYPED})
    page.toggle(key="coherence_change").set_value(True).run()
    assert not page.exception and quiet_worker[-1][1]["others"][1] == [
        run.id,
        STEPS[-1],
        [[1, 0, "ablate", 1.0]],
    ]


def test_a_changed_writer_for_whom_there_is_no_room_is_said_to_be_left_out(quiet_worker):
    run, _ = two_runs()
    more = [make_run() for _ in range(2)]
    page = open_page("coherence", run, {"coherence_text": TYPED})
    writers = page.multiselect[0]
    writers.set_value([*writers.value, *(f"{other.id}@{STEPS[-1]}" for other in more)]).run()
    page.toggle(key="coherence_change").set_value(True).run()
    others = quiet_worker[-1][1]["others"]
    assert not page.exception and len(others) == 3 and not any(changes for *_, changes in others)
    assert "the changed one is left out" in said(page)


def test_a_dense_writer_has_no_track_also_with_a_segment_changed():
    trace = made.trace()
    assert not charts.is_dense(trace)
    alpha = np.full_like(trace.alpha, 1 / made.SEGMENTS)
    weight = np.ones_like(alpha)
    weight[..., 0] = 0
    assert charts.is_dense(replace(trace, alpha=alpha, weight=weight))


def test_without_a_judged_token_there_is_no_perplexity():
    run, twin = two_runs()
    found = report(run, twin)
    nats, tokens = found.nats.copy(), found.tokens.copy()
    nats[1], tokens[1] = np.nan, 0
    shown = charts.score_table(replace(found, nats=nats, tokens=tokens))["perplexity, judged"]
    assert np.isnan(shown[1]) and np.isfinite(shown[[0, 2, 3]]).all()


def test_stored_texts_are_shown_beside_each_other(quiet_worker):
    run, twin = two_runs()
    page = open_page("coherence", run, {"coherence_text": TYPED})
    traces = (made.trace(), made.trace())
    measures = tuple(
        TextMeasures(f"text {made.HOSTILE}", 0.1, 0.9, 2.0, 12, 0.5, np.full(4, 0.4))
        for _ in range(2)
    )
    found = SideBySide(
        run.id, STEPS[-1], TYPED, "", 0, 0.8, judge(twin), writers(run, twin), traces, measures
    )
    run.store_result("side_by_side", quiet_worker[-1][1], found)
    page = page.run()
    assert not page.exception and not page.error and figures(page) == 3
    assert "an example, not a finding" in said(page) and "Not independent: planted words" in said(
        page
    )
    assert "<a href" not in "".join(element.proto.body for element in page.get("html"))
    quoting = [
        element.value
        for element in [*page.markdown, *page.caption]
        if "http://evil" in element.value
    ]
    outside = [value for value in quoting if "http://evil" in re.sub("(`{2,}) .*? \\1", "", value)]
    assert len(quoting) >= 3 and not outside, "a hostile name is shown in a code span only"


def test_scores_stand_between_their_anchors():
    run, twin, page = with_scores()
    words = said(page)
    assert not page.exception and not page.error and figures(page) == 2
    assert (
        "embedding score is 0.5" in words
        and "No order score: this measure cannot tell human from random text" in words
    )
    assert "No sentence embedder is installed" in words and "trained on them: 2" in words
    table = charts.score_table(report(run, twin))
    assert (
        list(table["text by"])[-2:] == ["human text", "random text"]
        and table["n documents"].tolist() == [PROMPTS] * 4
    )


def test_votes_are_blind_until_cast_and_then_kept():
    run, twin, page = with_scores()
    pair = page.session_state["cpart_coherence_pair"]
    shown = [code.value for code in page.code]
    assert {text.split()[1] for text in shown if text.startswith("by ")} == {"alpha", "beta"}
    assert "Your last vote" not in said(page) and ratings.votes() == []
    page.button(key="coherence_vote_left").click().run()
    (vote,) = ratings.votes()
    names = charts.names_of(writers(run, twin))
    assert vote.choice == "left" and (vote.left, vote.right) == tuple(
        names[side] for side in pair["sides"]
    )
    assert "Your last vote: left was" in str(page.success[0].value)
    assert not page.exception and "n = 1 votes, 1 decided" in said(page)
    after = page.session_state["cpart_coherence_pair"]
    assert after["turn"] == 1 and after["prompt"] != pair["prompt"]


def test_sides_are_drawn_by_chance():
    run, twin, page = with_scores()
    seen = set()
    for _ in range(24):
        seen.add(tuple(page.session_state["cpart_coherence_pair"]["sides"]))
        page.button(key="coherence_vote_tie").click().run()
    assert seen == {(0, 1), (1, 0)} and ratings.tallies(ratings.votes())[0].ties == 24


def test_empty_states():
    assert "Nothing to look at yet" in said(open_page("coherence", None))
    page = open_page("coherence", make_run(checkpoint=False, results=False))
    assert not page.exception and "Writing needs the model's weights" in said(page)
