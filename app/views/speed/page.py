"""Speed: what `bench all` measured beside other people's models, with the figures that were to be
reached and the curves of cost."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from app import session
from app.charts.speed.curves import curve_figure, curve_says, curve_table, measured_table
from app.shell import file_choice, glossary
from app.shell.figure import csv_button, show_figure
from app.shell.provenance import Provenance
from app.text.escape import code_span, plain, sentence
from cpart_core.bench.speed import (
    AT_THE_EDGE,
    NOT_REACHED,
    REACHED,
    RESULTS,
    Speed,
    read_speed,
    speed_files,
)

NUMBERS = ("median", "low quartile", "high quartile", "by CPU time")
WIDEST_QUANTITY = 170
"""Pixels for "bytes kept for backward" in the column "of", which its narrow heading would cut."""


def draw() -> None:
    st.title("Speed", anchor=False)
    st.markdown(
        "What computing fewer segments saves, and how fast training is beside other people's models"
        " of the same size. Everything that is compared ran in one process in turns; ratios are"
        " medians over repetitions, with quartiles. Below 1 is faster where time is compared."
    )
    speeds, troubles = file_choice.read_all(speed_files(), read_speed, "measurement")
    for trouble in troubles:
        st.warning(sentence(trouble, 300), icon=":material/broken_image:")
    if not speeds:
        nothing_stored()
        return
    speed = speeds[file_choice.choose(speeds, RESULTS, "Measurement", "speed", called)]
    about(speed)
    numbers(speed)
    curves(speed)
    left_out(speed)
    glossary.words("segment", "context", "partition")


def nothing_stored() -> None:
    with st.container(border=True):
        st.subheader("No measurement is stored yet", anchor=False)
        st.write(
            "This command measures everything on this machine, in about half an hour, and stores it"
            " for this page. Nothing else should run meanwhile. The extra `bench` brings the models"
            " it compares with; without it they are left out, and the page says so."
        )
        st.code("python -m cpart_core bench all", language=None)


def called(speed: Speed) -> str:
    """What a measurement is called among others."""
    return f"{plain(speed.date[:16], 16)} \u00b7 {plain(processor(speed), 60)}"


def processor(speed: Speed) -> str:
    gpu = speed.machine.get("gpu", "none")
    return str(speed.machine.get("processor", "an unknown machine") if gpu == "none" else gpu)


def about(speed: Speed) -> None:
    """Where the numbers are from."""
    packages = speed.machine.get("packages")
    torch = packages.get("torch", "?") if isinstance(packages, dict) else "?"
    pieces = [
        f"measured {plain(speed.date[:10], 10)} on {code_span(processor(speed), 80)}",
        f"{plain(str(speed.machine.get('cores', '?')), 8)} cores",
        f"torch {code_span(str(torch), 20)}",
        f"transformers {code_span(str(speed.machine.get('transformers', '?')), 20)}",
        f"{sum(speed.seconds.values()) / 60:.0f} minutes",
    ]
    st.markdown(" \u00b7 ".join(pieces))
    st.caption(f"Repeat it: {code_span(speed.command, 200)}")
    if speed.quick:
        st.warning(
            "This was a quick run: small shapes and few repetitions. Its numbers decide nothing.",
            icon=":material/hourglass_top:",
        )


def numbers(speed: Speed) -> None:
    """How many figures are reached, then all numbers."""
    st.subheader("Figures to reach", anchor=False)
    if not speed.measured:
        st.write("This measurement holds no ratios.")
        return
    counted = {
        verdict: sum(item.verdict == verdict for item in speed.measured)
        for verdict in (REACHED, AT_THE_EDGE, NOT_REACHED)
    }
    for column, (verdict, count) in zip(st.columns(3), counted.items(), strict=True):
        column.metric(verdict.capitalize(), f"{count} of {sum(counted.values())}")
    everything = st.toggle("All numbers", key="speed_everything")
    table = measured_table(tuple(item for item in speed.measured if everything or item.told))
    shown: dict[str, Any] = {name: st.column_config.NumberColumn(format="%.4g") for name in NUMBERS}
    shown["of"] = st.column_config.TextColumn(width=WIDEST_QUANTITY)
    st.dataframe(table, hide_index=True, column_config=shown, key="speed_table", placeholder="")
    st.caption(
        "Reached: median and both quartiles keep to the figure; at the edge: not all three. Time is"
        " by the wall clock; on a busy machine the column by CPU time is the one to believe. All"
        " models compared have equally many feed-forward weights. Share of the roof: the least time"
        " that a layer's products and bytes could take at the best rates measured here, over the"
        " time it took."
    )
    csv_button(
        "All numbers as CSV",
        measured_table(speed.measured),
        "speed",
        source(speed),
        key="speed_csv",
    )


def curves(speed: Speed) -> None:
    """Each curve beside its ideal line, two in a row where there is room."""
    if not speed.curves:
        return
    st.subheader("Cost against each size", anchor=False)
    columns = st.columns(2)
    for number, curve in enumerate(speed.curves):
        with columns[number % 2]:
            st.markdown(f"**{sentence(curve.title, 100)}**")
            figure = curve_figure(curve, dark=session.dark())
            show_figure(
                figure, f"speed_curve_{number}", "Medians with quartiles; dotted: ideal.", curve_says(curve), partial(curve_table, curve),
                source(speed), file=curve.title,
            )  # fmt: skip


def source(speed: Speed) -> Provenance:
    """Day and machine."""
    return Provenance(
        speed.date[:10], speed.date[:16], more=code_span(processor(speed), 80), kind="measurement"
    )


def left_out(speed: Speed) -> None:
    if not speed.left_out:
        return
    with st.expander(f"What could not be measured here ({len(speed.left_out)})"):
        st.markdown(
            "\n".join(
                f"- {code_span(item.name, 80)}: {code_span(item.why, 220)}"
                for item in speed.left_out
            )
        )


draw()
