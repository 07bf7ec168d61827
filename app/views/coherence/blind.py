"""Blind votes on the Coherence page: two texts, sides drawn by chance, named only after the vote;
the tally, kept and exported."""

from __future__ import annotations

import math
import secrets
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from app import session
from app.charts.coherence.continuations import row_names
from app.text.escape import code_span, plain, sentence
from cpart_core.records.coherence import CoherenceReport
from cpart_core.runs import ratings
from cpart_core.runs.folder import Run
from cpart_core.runs.ratings import Vote
from cpart_core.wording.percent import between, percent

PAIR = "coherence_pair"


def draw(run: Run, report: CoherenceReport | None) -> None:
    """The next pair, what the last one was, and the tally."""
    st.subheader("Blind votes", anchor=False)
    if report is None:
        st.write("Measure the scores first: their continuations are what is voted on.")
    else:
        vote_on(run, report)
    show_tally()


def vote_on(run: Run, report: CoherenceReport) -> None:
    """Two texts of one prompt, and three buttons. Who wrote which is not on the page before the
    vote."""
    names = row_names(report.writers, len(report.texts) - 1)
    st.write(
        "Which continuation belongs to the beginning? You see two, drawn by chance, and are told"
        " whose they are after your vote."
    )
    chosen = st.multiselect(
        "Between",
        range(len(names)),
        default=[0, 1],
        format_func=lambda number: plain(names[number], 90),
        max_selections=2,
        key=f"coherence_between_{len(names)}",
        help="Two writers, or a writer and human text",
    )
    if len(chosen) != 2:
        st.caption("Choose two.")
        return
    pair = present(run, report, tuple(sorted(chosen)))
    last = session.get("coherence_last")
    if last is not None:
        st.success(
            f"Your last vote: left was {code_span(last[0], 100)}, right was"
            f" {code_span(last[1], 100)}.",
            icon=":material/visibility:",
        )
    st.caption(f"Document {pair['turn'] + 1} of {len(report.prompts)} begins")
    st.code(report.prompts[pair["prompt"]], language=None, wrap_lines=True)
    for column, side, label in zip(
        st.columns(2, gap="medium"), pair["sides"], ("Left", "Right"), strict=True
    ):
        with column.container(border=True):
            st.caption(label)
            st.code(report.texts[side][pair["prompt"]], language=None, wrap_lines=True)
    with st.container(horizontal=True, gap="small"):
        for choice, label in (
            ("left", "Left is better"),
            ("right", "Right is better"),
            ("tie", "No difference"),
        ):
            st.button(
                label,
                key=f"coherence_vote_{choice}",
                on_click=take,
                args=(run, report, names, choice),
            )
    if refused := session.get("coherence_vote_refused"):
        st.error(sentence(str(refused), 300), icon=":material/error:")


def present(run: Run, report: CoherenceReport, between: tuple[int, ...]) -> dict[str, Any]:
    """The pair that is shown: documents in an order of chance, sides by chance, the same until it
    is voted on."""
    of = (run.id, report.step, report.seed, report.writers, len(report.prompts), between)
    pair = session.get(PAIR)
    if pair is None or pair["of"] != of:
        order = list(range(len(report.prompts)))
        secrets.SystemRandom().shuffle(order)
        pair = {"of": of, "order": order, "turn": 0}
        session.put("coherence_last", None)
    if "sides" not in pair:
        sides = list(between)
        secrets.SystemRandom().shuffle(sides)
        pair = {**pair, "sides": sides, "prompt": pair["order"][pair["turn"]]}
        session.put(PAIR, pair)
    return pair


def take(run: Run, report: CoherenceReport, names: list[str], choice: str) -> None:
    """Store a vote, tell who was who, and go on to the next document."""
    pair = session.get(PAIR)
    left, right = (names[side] for side in pair["sides"])
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    try:
        ratings.add_vote(
            Vote(
                now,
                left,
                right,
                choice,
                report.titles[pair["prompt"]],
                report.seed,
                run.info.fingerprint,
            )
        )
    except OSError as error:
        session.put("coherence_vote_refused", f"The vote could not be kept: {error.strerror}.")
        return
    session.put("coherence_vote_refused", None)
    session.put("coherence_last", (left, right))
    session.put(
        PAIR,
        {"of": pair["of"], "order": pair["order"], "turn": (pair["turn"] + 1) % len(pair["order"])},
    )


def show_tally() -> None:
    """Every pair voted on so far, and the exports."""
    cast = ratings.votes()
    if not cast:
        st.caption("No votes yet.")
        return
    rows = [
        {
            "first": plain(tally.first, 90),
            "second": plain(tally.second, 90),
            "first won": tally.first_won,
            "second won": tally.second_won,
            "ties": tally.ties,
            "share of the first": None if math.isnan(tally.share) else round(tally.share, 3),
            "low 95 %": None if math.isnan(tally.low) else round(tally.low, 3),
            "high 95 %": None if math.isnan(tally.high) else round(tally.high, 3),
        }
        for tally in ratings.tallies(cast)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="coherence_tally")
    left = sum(vote.choice == "left" for vote in cast)
    decided = sum(vote.choice != "tie" for vote in cast)
    share, low, high = ratings.wilson(left, decided)
    habit = (
        f" Left was chosen in {percent(share)} of them (95 %: {between(low, high)}); far from 50 %"
        " it is a habit."
        if decided
        else ""
    )
    st.caption(
        f"n = {len(cast)} votes, {decided} decided; Wilson's interval, ties left out. Kept beside"
        f" the runs.{habit}"
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Votes as CSV",
            ratings.as_csv(cast),
            "ratings.csv",
            "text/csv",
            key="ratings_csv",
            icon=":material/download:",
        )
        st.download_button(
            "Votes as JSON",
            ratings.as_json(cast),
            "ratings.json",
            "application/json",
            key="ratings_json",
            icon=":material/download:",
        )
