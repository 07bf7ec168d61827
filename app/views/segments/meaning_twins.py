"""The meter beside its controls: what the twins of a run tell of contexts. A learned router finds
contexts in random segments, too."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import results, session
from app.shell import page_header
from cpart_core.analysis.segments.verdict import against
from cpart_core.records.specialization import SegmentUse, Specialization
from cpart_core.runs import folder
from cpart_core.runs.folder import Run


def draw(run: Run, result: Specialization, use: SegmentUse, seed: int) -> None:
    """A sentence a control and a table of all; measured when somebody asks."""
    others = controls(run)
    if not others:
        st.caption(
            "Beyond chance is not yet thanks to the partition: trained fusion finds contexts in"
            " random segments, too. Train a run with its random twin (Train page) to see what this"
            " partition adds."
        )
        return
    found: list[tuple[str, Specialization]] = []
    for other in others:
        step = session.checkpoint_step(other, result.step)
        request = {"run": other.id, "step": step, "seed": seed}
        measured = results.stored_result(other, "specialization", request)
        if measured is None and session.widget(asking(run)):
            measured = page_header.result(
                other, "specialization", request, f"Measuring the {name_of(other)}"
            )
            if measured is None:
                break  # one after another: the worker has one model at a time
        if measured is not None:
            found.append((name_of(other), measured))
    if len(found) < len(others) and not session.widget(asking(run)):
        st.button(
            (
                f"Measure its {len(others)} controls"
                if len(others) > 1
                else f"Measure the {name_of(others[0])}"
            ),
            key="measure_twins",
            icon=":material/compare_arrows:",
            on_click=lambda: session.set_widget(asking(run), True),
            help=(
                "Trained fusion finds contexts in random segments, too: only the difference is"
                " thanks to the partition."
            ),
        )
    if found:
        chosen = use is result.choice
        compared = [(name, one, one.choice if chosen else one.mass) for name, one in found]
        st.markdown("Beside its controls, I(S;C) as the mean over layers:")
        for name, _, theirs in compared:
            st.markdown(f"- {against(use, theirs, name)}.")
        st.caption(
            "On the same documents, with one seed of training: the intervals know nothing of other"
            " seeds; a study does."
        )
        table = [
            row("this run", result, use),
            *(row(name, one, theirs) for name, one, theirs in compared),
        ]
        st.dataframe(
            pd.DataFrame(table),
            hide_index=True,
            key="meaning_twins",
            alt="I(S;C) and I(S;C given T) of the run and its controls",
        )


def asking(run: Run) -> str:
    return f"meaning_twins_asked_{run.id}"


def controls(run: Run) -> list[Run]:
    """The run's twins, or of a twin the run that it belongs to; those whose output depends on
    segments and that have a checkpoint."""
    found = []
    for entry in folder.list_runs():
        info = entry.info
        if (
            info is None
            or entry.id == run.id
            or run.id != info.twin_of
            and entry.id != run.info.twin_of
        ):
            continue
        if info.settings.model.execution != "dense" and info.contexts == run.info.contexts:
            other = folder.open_run(entry.id)
            found += [other] if other.checkpoint_steps() else []
    return found


def name_of(other: Run) -> str:
    return f"{other.info.twin_kind} twin" if other.info.twin_of else "run it is a twin of"


def row(name: str, result: Specialization, use: SegmentUse) -> dict[str, str | int | float]:
    """Means over layers, as on the screen."""
    context, given = use.context, use.context_given_token
    return {
        "run": name,
        "step": result.step,
        "I(S;C)": round(float(context.value[-1]), 3),
        "95 % interval": f"{context.low[-1]:.3f} to {context.high[-1]:.3f}",
        "chance below": round(float(context.null_high[-1]), 3),
        "I(S;C given T)": round(float(given.value[-1]), 3),
        "its 95 % interval": f"{given.low[-1]:.3f} to {given.high[-1]:.3f}",
        "its chance below": round(float(given.null_high[-1]), 3),
        "documents": int(result.documents_by_context.sum()),
        "tokens": int(result.tokens_by_context.sum()),
    }
