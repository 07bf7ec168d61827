"""Compare: two runs, or two steps of one. What differs comes first, then the segments matched, then
the same text through both."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import results, session
from app.charts.compare import differences as charts
from app.shell import page_header, reading
from app.shell.figure import show_figure
from app.shell.glossary import words
from app.shell.provenance import compared, source_of
from app.text.escape import escaped, plain, sentence
from app.views.compare import matched as compare_segments
from app.views.compare import same_text as compare_text
from app.views.compare import sides as compare_sides
from app.views.compare.sides import Sides
from cpart_core.analysis.compare import differences as compare_list
from cpart_core.records.comparison import LossComparison, SegmentComparison
from cpart_core.records.specialization import Specialization

SAID_AT_ONCE = 6
"""Differences said as sentences; the picture and its table have all."""
SEED = 0


def page() -> None:
    run, step = page_header.run_bar(
        "Compare",
        "Two runs, or two steps of one, side by side. A is chosen here, as on all pages; B"
        " below it.",
    )
    sides = compare_sides.choose(run, step)
    words("segment", "partition", "twin", "validation loss", "information", "chance")
    if (sides.first.id, sides.step) == (sides.second.id, sides.other_step):
        st.info(
            "A and B are the same run at the same step, so nothing can differ. Choose another run"
            " or step for B.",
            icon=":material/info:",
        )
    for one, at in ((sides.first, sides.step), (sides.second, sides.other_step)):
        reading.snapshot_or_stop(one, at)
    say_stages(sides)
    st.header("What differs", anchor=False)
    draw_settings(sides)
    segments = compare_segments.ask(sides)
    losses = ask_losses(sides)
    draw_differences(sides, segments, losses if sides.exact else None)
    if losses is not None:
        draw_losses(sides, losses)
    compare_segments.draw(sides, segments)
    compare_text.draw(sides, segments, losses)


def say_stages(sides: Sides) -> None:
    """What a reader must know of either side, such as that fusion is not applied yet."""
    for name, run, at in (("A", sides.first, sides.step), ("B", sides.second, sides.other_step)):
        for told in reading.stage(
            run.settings, at, results.snapshot(run, at).partitioned, run.info.discovered
        ):
            st.caption(f"{name}: {told}")


def draw_settings(sides: Sides) -> None:
    """Only the settings that differ, and whether the text is the same."""
    st.markdown(sentence(compare_list.corpus_words(sides.first, sides.second)))
    if sides.first.id == sides.second.id:
        return
    changed = compare_list.settings_that_differ(sides.first.settings, sides.second.settings)
    if not changed:
        st.markdown("All settings are the same.")
        return
    st.markdown(f"{len(changed)} setting{'s differ' if len(changed) > 1 else ' differs'}:")
    table = pd.DataFrame(
        [
            {"group": group, "setting": name, "A": plain(ours, 80), "B": plain(theirs, 80)}
            for group, name, ours, theirs in changed
        ]
    )
    st.dataframe(
        table, hide_index=True, key="compare_settings", alt="Settings that differ between A and B"
    )


def ask_losses(sides: Sides) -> LossComparison | None:
    """Both checkpoints on the same held-out documents; None while they are measured, and where
    there is nothing to measure."""
    if not sides.weights:
        return None
    request = {**sides.both_weights, "seed": SEED}
    found: LossComparison | None = page_header.result(
        sides.first, "compare_losses", request, "Reading the held-out documents with both"
    )
    return found


def draw_differences(
    sides: Sides, segments: SegmentComparison | None, losses: LossComparison | None
) -> None:
    """The list: the largest in words, all as bars with their table."""
    if losses is not None:
        st.markdown(f"**{compare_list.headline_words(losses)}**")
    recorded = recorded_losses(sides) if losses is None and not sides.exact else []
    found = compare_list.differences(
        sides.first, sides.second, segments, losses, meters(sides), recorded
    )
    if not found:
        if segments is not None and (losses is not None or not sides.exact):
            st.markdown("Nothing that is measured here differs.")
        return
    st.html(
        "<ul>"
        + "".join(f"<li>{escaped(one.words, 400)}</li>" for one in found[:SAID_AT_ONCE])
        + "</ul>"
    )
    how = "B less A. Size: as a share of the greater value, or of what is possible. "
    how += (
        "Bars with no filling: an interval that holds 0. Loss intervals: 95 % over documents; every"
        " context has its own."
    )
    if recorded:
        how += (
            " Losses are those that training noted at these steps, without intervals: there are no"
            " weights of these very steps."
        )
    show_figure(
        charts.difference_bars(found, dark=session.dark()),
        "compare_differences",
        how,
        "Differences, largest first: " + " ".join(one.words for one in found[:SAID_AT_ONCE]),
        lambda: charts.difference_table(found),
        compared(source_of(sides.first, sides.step), source_of(sides.second, sides.other_step)),
    )


def recorded_losses(sides: Sides) -> list[compare_list.Difference]:
    try:
        return compare_list.recorded_losses(sides.first, sides.step, sides.second, sides.other_step)
    except ValueError as error:
        st.warning(sentence(str(error)), icon=":material/broken_image:")
        return []


def meters(sides: Sides) -> tuple[Specialization, Specialization] | None:
    """I(S;C) of both: stored results at once, else measured when somebody asks. None for dense
    models and without weights of these steps."""
    both = ((sides.first, sides.step), (sides.second, sides.other_step))
    if not sides.exact or any(run.settings.model.execution == "dense" for run, _ in both):
        return None
    requests = [{"run": run.id, "step": at, "seed": SEED} for run, at in both]
    asked = "compare_meters_" + "_".join(
        f"{request['run']}_{request['step']}" for request in requests
    )
    stored = [
        results.stored_result(run, "specialization", request)
        for (run, _), request in zip(both, requests, strict=True)
    ]
    if None in stored and not session.widget(asked):
        st.button(
            "Measure I(S;C) of both",
            key="ask_compare_meters",
            icon=":material/science:",
            on_click=session.set_widget,
            args=(asked, True),
            help=(
                "What the segment of a token says about its context: some seconds for a small model"
            ),
        )
        return None
    found: list[Specialization] = []
    for (run, _), request, name in zip(both, requests, "AB", strict=True):
        one = page_header.result(run, "specialization", request, f"Measuring I(S;C) of {name}")
        if one is None:
            return None
        found.append(one)
    return found[0], found[1]


def draw_losses(sides: Sides, losses: LossComparison) -> None:
    """The difference of the losses by context, with intervals."""
    st.subheader(f"{losses.name[:1].upper()}{losses.name[1:]}, by context", anchor=False)
    if not sides.exact:
        st.caption(
            f"Losses need weights: these are the nearest checkpoints, step {losses.step:,} of A and"
            f" step {losses.other_step:,} of B, not the steps chosen above."
        )
    if losses.left_out:
        st.caption(
            f"{losses.left_out} documents that one run holds out were in the other's training text,"
            " so they are not read."
        )
    n = f"all {len(losses.titles)} validation documents, {int(losses.length.sum()):,} tokens"
    if not losses.whole:
        n = (
            f"{len(losses.titles)} documents held out from both, of each its beginning: not the"
            " text of either's own validation loss"
        )
    show_figure(
        charts.loss_dots(losses, dark=session.dark()),
        "compare_losses",
        f"Right of 0, A predicts better. Bars: 95 %, documents of each context drawn anew {losses.resamples} times, the same for both. Open "
        "points: the interval holds 0.",
        compare_list.headline_words(losses),
        lambda: charts.loss_table(losses),
        compared(
            source_of(sides.first, losses.step),
            source_of(sides.second, losses.other_step, n, losses.seed),
        ),
    )


page()
