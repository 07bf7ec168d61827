"""Before and after carving: what was measured, and the way to the new run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from app import results, session
from app.charts.carve import keep_k
from app.shell.figure import caption_of, show_figure
from app.shell.provenance import source_of
from app.text.escape import code_span
from app.text.readable import size
from cpart_core.records.keep import CarveReport, Footprint
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.runs.origin import Carved
from cpart_core.wording.percent import change


def is_there(run_id: str) -> bool:
    """Whether a run still exists."""
    return any(found.name == run_id for found, _ in folder.run_folders())


def subject(report: CarveReport) -> str:
    return code_span(report.context, 40) if report.context else "the text"


def draw(run: Run, report: CarveReport) -> None:
    """Headline, table, losses by context, and a button that opens the carved run."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(
            f"**Carved:** {report.keep} segments a layer for {subject(report)}.", width="content"
        )
        if is_there(report.carved) and run.id != report.carved:
            st.button(
                "Open the carved run",
                key="carve_open",
                type="primary",
                icon=":material/arrow_forward:",
                on_click=open_run,
                args=(report.carved,),
            )
    if session.get("carve_opened"):
        session.put("carve_opened", None)
        session.go_to("segments")
    headline(report)
    costs = cost_table(report)
    st.dataframe(costs, hide_index=True, key=f"carve_costs_{report.carved}")
    busy = (
        ""
        if np.isnan(report.load)
        else f", load average {report.load:.1f} on {report.machine.get('cpus', '?')} cores"
    )
    n = f"{report.before.repeats} fresh processes each, medians"
    st.caption(caption_of(run, report.step, n, report.seed, f"one thread{busy}"))
    rise = report.loss_after - report.loss_before
    worst = int(np.nanargmax(rise)) if np.isfinite(rise).any() else 0
    read = (
        f"{int(report.documents_by_context.sum())} documents,"
        f" {int(report.tokens_by_context.sum()):,} tokens"
    )
    show_figure(
        keep_k.losses_figure(report, dark=session.dark()),
        f"carve_losses_{report.carved}",
        "Validation loss after carving less that before, on all validation text, 95 % intervals"
        " over documents.",
        f"Rise of the loss by carving for {subject(report)}: most on"
        f" {code_span(report.contexts[worst], 40)}, {rise[worst]:+.3f} nats.",
        lambda: keep_k.losses_table(report),
        source_of(run, report.step, read, report.seed),
        file="carve_losses",
    )


def open_run(run_id: str) -> None:
    session.choose_run(run_id)
    session.put("carve_opened", True)


def losses_of_subject(report: CarveReport) -> tuple[float, float]:
    """(before, after) on what it was carved for."""
    if report.text:
        return report.text_before, report.text_after
    number = report.contexts.index(report.context)
    return float(report.loss_before[number]), float(report.loss_after[number])


def headline(report: CarveReport) -> None:
    """Four numbers, each with its change."""
    before, after = losses_of_subject(report)
    cost, smaller = report.before, report.after
    with st.container(horizontal=True, gap="large"):
        for label, value, more, about in (
            (
                "Parameters",
                f"{smaller.num_parameters:,}",
                share(cost.num_parameters, smaller.num_parameters),
                None,
            ),
            (
                "On the disk",
                size(smaller.file_bytes),
                share(cost.file_bytes, smaller.file_bytes),
                "model.safetensors",
            ),
            (
                "Resident by loading",
                size(smaller.loaded_bytes),
                share(cost.loaded_bytes, smaller.loaded_bytes),
                (
                    "Growth of the process's resident memory from before the weights were read to"
                    " after the first forward"
                ),
            ),
            (
                f"Loss on {report.context or 'the text'}"[:40],
                f"{after:.3f}",
                f"{after - before:+.3f} nats",
                "Nats per token, on text that had no part in the choice",
            ),
        ):
            st.metric(label, value, more, delta_color="inverse", width="content", help=about)


def share(before: float, after: float) -> str:
    return change(after / before - 1) if before else ""


def cost_table(report: CarveReport) -> pd.DataFrame:
    """Every measured number before and after."""
    rows = [
        (
            "parameters",
            *(f"{cost.num_parameters:,}" for cost in both(report)),
            share(report.before.num_parameters, report.after.num_parameters),
        ),
        (
            "neurons a layer",
            *(f"{cost.neurons:,}" for cost in both(report)),
            share(report.before.neurons, report.after.neurons),
        ),
    ]
    for name, field in (
        ("model.safetensors on the disk", "file_bytes"),
        ("all that loading reads", "checkpoint_bytes"),
        ("resident memory gained by loading", "loaded_bytes"),
        ("peak resident memory of the process", "peak_bytes"),
        ("of it Python and torch, before loading", "idle_bytes"),
    ):
        values = [getattr(cost, field) for cost in both(report)]
        rows.append((name, *(size(value) for value in values), share(*values)))
    for name, field in (
        ("tokens per CPU second, reading", "read_tokens_per_second"),
        ("tokens per CPU second, writing", "write_tokens_per_second"),
    ):
        values = [getattr(cost, field) for cost in both(report)]
        rows.append((name, *(f"{value:,.0f}" for value in values), share(*values)))
    before, after = losses_of_subject(report)
    rows.append(
        (
            f"loss on {report.context or 'the text'}, nats per token",
            f"{before:.4f}",
            f"{after:.4f}",
            share(before, after),
        )
    )
    return pd.DataFrame(rows, columns=["measured", "whole model", "carved", "change"])


def both(report: CarveReport) -> tuple[Footprint, Footprint]:
    return report.before, report.after


def draw_origin(run: Run, carving: Carved) -> None:
    """The page of a carved run: where it is from, and what was measured when it was made."""
    chosen = f"for {code_span(carving.context, 40)}" if carving.context else "for a text"
    st.info(
        f"This run was carved {chosen} from run {code_span(carving.run, 64)} at step"
        f" {carving.step:,}, not trained.",
        icon=":material/content_cut:",
    )
    rows = [
        {"layer": layer, "kept segments, by their numbers there": ", ".join(map(str, kept))}
        for layer, kept in enumerate(carving.kept)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="carve_origin")
    if is_there(carving.run):
        st.button(
            "Open the whole run",
            key="carve_whole",
            icon=":material/arrow_back:",
            on_click=session.choose_run,
            args=(carving.run,),
        )
    else:
        st.caption("The whole run has been deleted since.")
    report = results.stored_result(run, "carve", {"run": run.id})
    if report is None:
        st.caption("What was measured when it was carved is not stored here.")
        return
    draw(run, report)
