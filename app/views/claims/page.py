"""Claims: what the paper says, beside what was measured here, with controls, intervals and a
verdict computed from the numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from app import session
from app.charts.claims.forest import arm_forest, arm_table, claim_forest, finding_table
from app.shell import file_choice, glossary
from app.shell.figure import show_figure
from app.shell.provenance import Provenance
from app.text import readable
from app.text.escape import code_span, plain, sentence
from app.views.claims import box as claims_box
from cpart_core.study.claims.paper import judge
from cpart_core.study.design import designs
from cpart_core.study.interval import how_little
from cpart_core.study.measures import SHOWN
from cpart_core.study.result import RESULTS, Study, read_study, study_files
from cpart_core.study.targets.evidence import weigh
from cpart_core.study.verdict import HOLDS

FIRST_MEASURE = "loss"


def draw() -> None:
    st.title("Claims", anchor=False)
    st.markdown(
        "What *Contextual Partitioning* (arXiv 2501.12901) claims, beside what was measured here:"
        " several seeds of each arm on the very same text and batches. A verdict is computed from"
        " the 95 % interval of the paired differences, never written by hand."
    )
    readable, troubles = file_choice.read_all(study_files(), read_study, "study")
    studies = {path: study for path, study in readable.items() if study.outcomes}
    for trouble in troubles:
        st.warning(sentence(trouble, 300), icon=":material/broken_image:")
    if not studies:
        no_study()
        return
    path = file_choice.choose(
        studies, RESULTS, "Study", "study", lambda study: plain(study.title, 60)
    )
    study = studies[path]
    about(study, path)
    evidence(study)
    claims(study)
    arms(study)
    contexts(study)
    glossary.words("context", "segment", "partition", "twin", "validation loss")


def no_study() -> None:
    with st.container(border=True):
        st.subheader("No study is stored yet", anchor=False)
        st.write(
            "Nothing is claimed here until it was measured. This command trains the default study,"
            " four arms and three seeds on text that every Python brings, and stores it for this"
            " page; it can be stopped and started again at any time."
        )
        st.code("python -m cpart_core study default", language=None)
        st.write("What the paper claims, and this page will lay beside the numbers:")
        st.markdown(
            "- better accuracy, most of all in translation\n- lower perplexity\n- more than 20 %"
            " less memory\n- shorter training\n- coherence scores of 0.79 to 0.85, which it does"
            " not define"
        )


def about(study: Study, path: Path) -> None:
    """Where the numbers are from."""
    base = study.arms[study.reference]
    machine = study.machine
    pieces = [
        f"{len(study.arms)} arms, seeds {', '.join(map(str, study.seeds))}",
        f"{len(study.contexts)} contexts",
        f"{readable.amount(study.mean(study.reference, 'parameters'))} parameters",
        f"{base.training.steps:,} steps",
        (
            f"measured {study.date[:10]} on"
            f" {code_span(str(machine.get('processor', 'an unknown machine')), 80)},"
            f" {plain(str(machine.get('cores', '?')), 8)} cores"
        ),
    ]
    st.markdown(f"**{code_span(study.title, 100)}** \u00b7 " + " \u00b7 ".join(pieces))
    st.caption(f"Repeat it, or have what is missing measured: {code_span(study.command, 200)}")
    if little := how_little(min(len(study.values(arm, "loss")) for arm in study.arms)):
        st.info(little, icon=":material/info:")
    if not study.complete:
        missing = len(study.arms) * len(study.seeds) - len(study.outcomes)
        st.warning(
            f"{missing} runs of this study are still missing; intervals are over the seeds that are"
            " there.",
            icon=":material/hourglass_top:",
        )


def evidence(study: Study) -> None:
    """CPart's own figures for one arm: a box for each, then their numbers beside their controls."""
    offered = designs(study)
    if not offered:
        return
    st.subheader("Does the partition mean anything, and does it matter?", anchor=False)
    st.markdown(
        "Figures that this project set itself before it measured them; the paper gives none."
    )
    arm = offered[0]
    if len(offered) > 1:
        if session.widget("claims_arm") not in offered:
            session.set_widget("claims_arm", arm)
        told = "Beside its random and its dense twin."
        arm = (
            st.selectbox(
                "Arm that is judged",
                offered,
                format_func=lambda name: plain(name, 60),
                key="claims_arm",
                help=told,
            )
            or arm
        )
    for entry in weigh(study, arm):
        claims_box.draw(entry, by="Figure to reach")


def claims(study: Study) -> None:
    """A box for each claim, then all of their numbers in one picture."""
    st.subheader("What the paper claims", anchor=False)
    judgements = judge(study)
    for entry in judgements:
        claims_box.draw(entry)
    tested = [
        found for entry in judgements for found in entry.findings if found.difference is not None
    ]
    if not tested:
        return
    st.subheader("All numbers against their controls", anchor=False)
    held = [found.label for found in tested if found.verdict == HOLDS]
    alt = (
        f"Paired differences of {len(tested)} numbers with 95 % intervals. Claims hold for:"
        f" {', '.join(held) or 'none'}."
    )
    show_figure(
        claim_forest(judgements, dark=session.dark()), "claims_forest", "", alt, lambda: finding_table(judgements),
        source(study, "ours less the control, 95 % intervals"),
    )  # fmt: skip


def arms(study: Study) -> None:
    """Every arm against the reference, in the measure that is chosen."""
    if len(study.arms) < 2:
        return
    st.subheader("Arms against each other", anchor=False)
    offered = [item for item in SHOWN if any(study.values(arm, item.name) for arm in study.arms)]
    titles = {item.name: item.title for item in offered}
    name = (
        st.selectbox(
            "Measure", list(titles), format_func=lambda key: titles[key], key="claims_measure"
        )
        or FIRST_MEASURE
    )
    rows = [
        (arm, study.difference(arm, study.reference, name))
        for arm in study.arms
        if arm != study.reference
    ]
    known = [f"{arm} {found.mean:+.4g}" for arm, found in rows if found is not None]
    alt = (
        f"{titles[name]}, difference of each arm from {study.reference}:"
        f" {', '.join(known) or 'nothing measured'}."
    )
    show_figure(
        arm_forest(study, name, dark=session.dark()), "arms_forest", "", alt, lambda: arm_table(study, name),
        source(study, f"{titles[name]}, paired by seed, 95 % intervals"), file=f"arms_{name}",
    )  # fmt: skip


def contexts(study: Study) -> None:
    """Loss of every arm in every context."""
    with st.expander("Validation loss by context"):
        table = pd.DataFrame(
            {"context": study.contexts} | {arm: study.by_context(arm) for arm in study.arms}
        )
        st.dataframe(table, hide_index=True)
        st.caption(source(study, "nats per token, means over seeds").said())


def source(study: Study, more: str) -> Provenance:
    """Study, n, seeds."""
    outcome = study.outcomes[0]
    n = f"{outcome['tokens']:,.0f} validation tokens a run"
    return Provenance(
        study.name,
        study.name,
        outcome.steps,
        n,
        ", ".join(map(str, study.seeds)),
        None,
        more,
        "study",
    )


draw()
