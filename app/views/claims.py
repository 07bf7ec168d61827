"""Claims: what the paper says, beside what was measured here, with controls, intervals and a verdict computed from the numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import streamlit as st

from app import glossary, state, words
from app.charts.claims import arm_forest, arm_table, claim_forest, finding_table
from app.figure import show_figure
from app.texts import code_span, plain
from cpart_core.study.claims import FAILS, HOLDS, OPEN, UNTESTABLE, Finding, Judgement, judge
from cpart_core.study.interval import Interval
from cpart_core.study.outcome import MEASURES
from cpart_core.study.result import RESULTS, Study, read_study, study_files

BADGES = {
    HOLDS: f":green-badge[:material/check: {HOLDS}]",
    FAILS: f":red-badge[:material/close: {FAILS}]",
    OPEN: f":orange-badge[:material/balance: {OPEN}]",
    UNTESTABLE: f":gray-badge[:material/help: {UNTESTABLE}]",
}
FIRST_MEASURE = "loss"
NOTHING = "\u2013"
"""Where there is no number; a column of nothing else is not shown."""


def draw() -> None:
    st.title("Claims", anchor=False)
    st.markdown(
        "What *Contextual Partitioning* (arXiv 2501.12901) claims, beside what was measured here: several seeds of each arm on the very same "
        "text and batches. A verdict is computed from the 95 % interval of the paired differences, never written by hand."
    )
    studies, troubles = stored()
    for trouble in troubles:
        st.warning(code_span(trouble, 300), icon=":material/broken_image:")
    if not studies:
        no_study()
        return
    path = choose(studies)
    study = studies[path]
    about(study, path)
    claims(study)
    arms(study)
    contexts(study)
    glossary.words("context", "segment", "partition", "twin", "validation loss")


def stored() -> tuple[dict[Path, Study], list[str]]:
    """Every study that can be read, and a sentence for each that cannot."""
    studies, troubles = {}, []
    for path in study_files():
        try:
            study = read_study(path)
        except (ValueError, OSError) as error:
            troubles.append(f"The study {path.name} cannot be read: {error}")
            continue
        if study.outcomes:
            studies[path] = study
    return studies, troubles


def no_study() -> None:
    with st.container(border=True):
        st.subheader("No study is stored yet", anchor=False)
        st.write(
            "Nothing is claimed here until it was measured. This command trains the default study, four arms and three seeds on text that "
            "every Python brings, and stores it for this page; it can be stopped and started again at any time."
        )
        st.code("python -m cpart_core study default", language=None)
        st.write("What the paper claims, and this page will lay beside the numbers:")
        st.markdown(
            "- better accuracy, most of all in translation\n- lower perplexity\n- more than 20 % less memory\n"
            "- shorter training\n- coherence scores of 0.79 to 0.85, which it does not define"
        )


def choose(studies: dict[Path, Study]) -> Path:
    """The study to look at: those that come with CPart first."""
    paths = list(studies)
    if len(paths) == 1:
        return paths[0]
    labels = {path: f"{plain(studies[path].title, 60)} \u00b7 {'with CPart' if path.parent == RESULTS else 'your own'}" for path in paths}
    if state.widget("study") not in paths:
        state.set_widget("study", paths[0])
    chosen = st.selectbox("Study", paths, format_func=lambda path: labels[path], key="study")
    return chosen or paths[0]


def about(study: Study, path: Path) -> None:
    """Where the numbers are from."""
    base = study.arms[study.reference]
    machine = study.machine
    pieces = [
        f"{len(study.arms)} arms, seeds {', '.join(map(str, study.seeds))}",
        f"{len(study.contexts)} contexts",
        f"{words.amount(study.mean(study.reference, 'parameters'))} parameters",
        f"{base.training.steps:,} steps",
        f"measured {study.date[:10]} on {code_span(str(machine.get('processor', 'an unknown machine')), 80)}, "
        f"{plain(str(machine.get('cores', '?')), 8)} cores",
    ]
    st.markdown(f"**{code_span(study.title, 100)}** \u00b7 " + " \u00b7 ".join(pieces))
    st.caption(f"Repeat it: {code_span(study.command, 200)}")
    if not study.complete:
        missing = len(study.arms) * len(study.seeds) - len(study.outcomes)
        st.warning(
            f"{missing} runs of this study are still missing; intervals are over the seeds that are there.", icon=":material/hourglass_top:"
        )


def claims(study: Study) -> None:
    """A box for each claim, then all of their numbers in one picture."""
    judgements = judge(study)
    for entry in judgements:
        box(entry)
    tested = [found for entry in judgements for found in entry.findings if found.difference is not None]
    if not tested:
        return
    st.subheader("All numbers against their controls", anchor=False)
    held = [found.label for found in tested if found.verdict == HOLDS]
    alt = f"Paired differences of {len(tested)} numbers with 95 % intervals. Claims hold for: {', '.join(held) or 'none'}."
    show_figure(
        claim_forest(judgements, dark=state.dark()), "claims_forest", caption(study, "ours less the control, 95 % intervals"), alt,
        lambda: finding_table(judgements),
    )  # fmt: skip


def box(entry: Judgement) -> None:
    """The claim in words on the left, its numbers on the right."""
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            st.markdown(f"#### {entry.title}\n{BADGES[entry.verdict]}")
            st.markdown(f"*The paper:* {entry.claim}" if not entry.claim.startswith("Not in the paper") else f"*{entry.claim}*")
            st.caption(entry.why)
        if entry.findings:
            table = pd.DataFrame([row(found) for found in entry.findings])
            right.dataframe(table.loc[:, (table != NOTHING).any()], hide_index=True)


def row(found: Finding) -> dict[str, str]:
    """A finding as a line of words."""
    share = "share of the whole" in found.unit
    return {
        "number": found.label,
        "ours": shown(found.ours, found.unit),
        "control": NOTHING if share else shown(found.control, found.unit),
        "difference": percent(found.difference),
        "against chance": percent(found.against_chance),
        "verdict": found.verdict,
    }


def shown(value: float, unit: str) -> str:
    """A number with its unit, as a person reads it."""
    if not math.isfinite(value):
        return NOTHING
    if unit == "bytes":
        return words.size(value)
    if unit == "numbers":
        return words.amount(value)
    if unit == "s":
        return words.duration(value)
    if unit.startswith("share"):
        return f"{100 * value:.2f} %"
    return f"{value:.3f}"


def percent(found: Interval | None) -> str:
    """'+1.2 % (+0.8 to +1.6)'"""
    if found is None:
        return NOTHING
    if math.isnan(found.low):
        return f"{100 * found.mean:+.2f} % (one seed)"
    return f"{100 * found.mean:+.2f} % ({100 * found.low:+.2f} to {100 * found.high:+.2f})"


def arms(study: Study) -> None:
    """Every arm against the reference, in the measure that is chosen."""
    if len(study.arms) < 2:
        return
    st.subheader("Arms against each other", anchor=False)
    offered = [item for item in MEASURES if any(study.values(arm, item.name) for arm in study.arms)]
    titles = {item.name: item.title for item in offered}
    name = st.selectbox("Measure", list(titles), format_func=lambda key: titles[key], key="claims_measure") or FIRST_MEASURE
    rows = [(arm, study.difference(arm, study.reference, name)) for arm in study.arms if arm != study.reference]
    known = [f"{arm} {found.mean:+.4g}" for arm, found in rows if found is not None]
    alt = f"{titles[name]}, difference of each arm from {study.reference}: {', '.join(known) or 'nothing measured'}."
    show_figure(
        arm_forest(study, name, dark=state.dark()), "arms_forest", caption(study, f"{titles[name]}, paired by seed, 95 % intervals"), alt,
        lambda: arm_table(study, name),
    )  # fmt: skip


def contexts(study: Study) -> None:
    """Loss of every arm in every context."""
    with st.expander("Validation loss by context"):
        table = pd.DataFrame({"context": study.contexts} | {arm: study.by_context(arm) for arm in study.arms})
        st.dataframe(table, hide_index=True)
        st.caption(caption(study, "nats per token, means over seeds"))


def caption(study: Study, more: str) -> str:
    """Study, n, seeds."""
    outcome = study.outcomes[0]
    seeds = ", ".join(map(str, study.seeds))
    n = f"n = {outcome.tokens:,} validation tokens a run"
    return f"study {code_span(study.name, 60)} \u00b7 step {outcome.steps:,} \u00b7 {n} \u00b7 seeds {seeds} \u00b7 {more}"


draw()
