"""Do segments mean anything? The specialization meter's part of the Segments page: verdict,
informations, saturation, pairs, other seeds."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import results, session
from app.charts.segments import informations as meaning
from app.charts.segments import over_time as meaning_time
from app.charts.segments import pairs as meaning_pairs
from app.shell import page_header, reading
from app.shell.figure import show_figure
from app.shell.glossary import words
from app.shell.provenance import Provenance, source_of
from app.text.escape import code_span
from app.views.segments import meaning_twins as segments_meaning_twins
from cpart_core.analysis.segments.saturation import saturation
from cpart_core.analysis.segments.verdict import (
    caveats,
    headline,
    layer_rows,
    measured_on,
    most_possible,
    stability_verdict,
    verdict,
)
from cpart_core.records.specialization import SegmentUse, Specialization
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.settings.run import Settings
from cpart_core.wording.percent import percent

SEED = 0
"""Of rows, shuffles and draws: as `analyze` has it, so that what was computed ahead is found."""
MOST_SEEDS = 8
COLUMNS = {
    "layer": "layer",
    "h_segment_mass": "H(S) of the mass, bits",
    "h_segment_choice": "H(S) of the choice, bits",
    "h_context": "H(C), bits",
    "committee": "committee share",
    "dead": "dead segments",
    "ever_present": "ever-present",
    "imbalance_mass": "imbalance of the mass",
    "imbalance_choice": "imbalance of the choice",
}


def draw(run: Run, step: int) -> None:
    """The whole section. The meter needs weights and some seconds, so it is asked for; saturation
    is read from snapshots at once."""
    st.subheader("Do segments mean anything?", anchor=False)
    st.write(
        "Colours always look like structure. Here is how much a token's segment really says about"
        " its context, on validation text alone, beside what chance would give."
    )
    words("information", "chance", "committee share", "co-activation")
    page_header.layer_chooser(run)
    draw_meter(run, step)
    draw_saturation(run, step)
    draw_seeds(run)


def draw_meter(run: Run, step: int) -> None:
    """Verdict, informations and co-activation of the checkpoint nearest to the step."""
    checkpoint = session.checkpoint_step(run, step)
    if checkpoint is None:
        reading.no_checkpoint(run, "The meter")
        return
    request = {"run": run.id, "step": checkpoint, "seed": SEED}
    result = page_header.on_demand(
        run,
        "specialization",
        request,
        "Measuring specialization",
        f"Measure step {checkpoint:,}",
        key="ask_specialization",
        about=(
            "Reads up to 60,000 tokens of validation text, then shuffles contexts 200 times: some"
            " ten seconds for a small model."
        ),
    )
    if result is None:
        return
    use = use_chooser(result)
    st.markdown(f"**{verdict(result, use)}**")
    for sentence in caveats(result, run.info.discovered, run.settings.model.fusion.needs_context):
        st.caption(f":material/info: {sentence}")
    where = source_of(
        run, result.step, more=f"{measured_on(result)} · training seed {run.settings.training.seed}"
    )
    draw_informations(result, use, where)
    segments_meaning_twins.draw(run, result, use, SEED)
    draw_layers(result)
    draw_pairs(run, result, where)


def use_chooser(result: Specialization) -> SegmentUse:
    """By what a token is divided over the segments."""
    choice = f"top-{result.top_k} choice"
    chosen = st.segmented_control(
        "A token's segments are",
        [choice, "fusion weights"],
        default=choice if headline(result) is result.choice else "fusion weights",
        key="meaning_use",
        required=True,
        persist_state="session",
        help=(
            "The choice counts 1/k for each of the k strongest segments; fusion weights count each"
            " segment by its weight (alpha)."
        ),
    )
    return result.choice if chosen == choice else result.mass


def draw_informations(result: Specialization, use: SegmentUse, where: Provenance) -> None:
    names = ("I(S;C)", "I(S;T)", "I(S;C given T)")
    found = (use.context, use.token, use.context_given_token)
    finding = "; ".join(
        f"{name} {one.value[-1]:.2f} bits (95 % interval {one.low[-1]:.2f} to {one.high[-1]:.2f},"
        f" chance below {one.null_high[-1]:.2f})"
        for name, one in zip(names, found, strict=True)
    )
    show_figure(
        meaning.informations_figure(result, use, dark=session.dark()),
        "meaning_informations",
        "What a token's segment says, in bits as counted; lines are 95 % intervals over documents,"
        f" grey bars are chance. I(S;C) could be {most_possible(result, use):.2f} at most: H(C) is"
        f" {result.context_entropy:.2f}. Hollow: published for the last layer of large models"
        " (arXiv 2409.02060), H(C) = 2.32.",
        f"Means over the layers: {finding}.",
        lambda: meaning.informations_table(result),
        where,
    )


def draw_layers(result: Specialization) -> None:
    """How even the use of segments is, layer by layer."""
    table = pd.DataFrame(layer_rows(result)).rename(columns=COLUMNS)
    numbers = {
        name: st.column_config.NumberColumn(format="%.2f")
        for name in table.columns
        if table[name].dtype.kind == "f"
    }
    st.dataframe(
        table,
        hide_index=True,
        key="meaning_layers",
        column_config=numbers,
        alt="Entropies, committee share and imbalance by layer",
    )


def draw_pairs(run: Run, result: Specialization, where: Provenance) -> None:
    """Co-activation of the chosen layer."""
    layer = session.chosen_layer(run)
    if result.execution == "dense":
        return
    if not 1 < result.top_k < result.pairs.shape[1]:
        st.caption(
            f"Every token has {result.top_k} of {result.pairs.shape[1]} segments as its choice, so"
            " no pairs of segments can be told apart."
        )
        return
    st.markdown(f"#### Which segments of layer {layer} work together")
    ratio, pairs = meaning_pairs.pair_ratio(result)[layer], result.pairs[layer]
    often = pd.DataFrame(pairs).stack().idxmax()
    show_figure(
        meaning_pairs.pairs_figure(result, layer, dark=session.dark()),
        "meaning_pairs",
        f"Segments of layer {layer} that are chosen for the same token: times what chance would"
        " give if each were chosen as often as it is, independently of the others. 1 is chance.",
        f"Pairs of segments chosen together in layer {layer}. The most frequent pair: {often[0]}"
        f" and {often[1]}, on {percent(pairs[often])} of the tokens, {ratio[often]:.1f} times"
        " chance.",
        lambda: meaning_pairs.pairs_table(result),
        where,
    )


def draw_saturation(run: Run, step: int) -> None:
    """From the snapshots up to the step; no worker."""
    snapshots = reading.snapshots_until(run, step)
    if len(snapshots) < 2:
        st.caption(
            "How segments settle over training is drawn from the second snapshot with a"
            " partition on."
        )
        return
    st.markdown("#### When did it come about?")
    found = saturation(snapshots)
    settled = meaning_time.settled_step(found)
    said = (
        f"From step {settled:,} on, the choice agrees to 90 % or more with that of step"
        f" {found.steps[-1]:,}."
        if settled is not None
        else "The choice has not come to agree to 90 % with the last one at any step before it."
    )
    tokens = int(snapshots[-1].fusion_tokens.sum())
    last = found.context_information[-1]
    show_figure(
        meaning_time.saturation_figure(found, dark=session.dark()),
        "meaning_saturation",
        f"Saturation: {said} Read from snapshots, which hold means over each context and no single"
        " tokens: I(S;C) is that of the mean fusion weights, without chance or interval; agreement"
        " compares the contexts' mean choices.",
        f"I(S;C), agreement with the last choice, and churn over {len(snapshots)} snapshots. {said}"
        f" At the end I(S;C) is {last.min():.2f} to {last.max():.2f} bits.",
        lambda: meaning_time.saturation_table(found),
        source_of(
            run,
            step,
            f"{len(snapshots)} snapshots, {tokens:,} validation tokens each",
            run.settings.training.seed,
        ),
    )


def draw_seeds(run: Run) -> None:
    """Segments matched over runs that differ in their seed."""
    st.markdown("#### Would another seed find the same?")
    others = other_seeds(run)
    if len(others) < 2:
        st.caption(
            "Train at least two more runs with these settings and other seeds: once they have"
            " ended, their segments are matched with these here."
        )
        return
    ids = [run.id, *(other.id for other in others)][:MOST_SEEDS]
    runs = [run, *others][:MOST_SEEDS]
    request = {
        "run": run.id,
        "runs": ids,
        "steps": [one.snapshot_steps()[-1] for one in runs],
        "seed": SEED,
    }
    result = page_header.result(run, "stability", request, "Matching segments over seeds")
    if result is None:
        return
    st.markdown(f"**{stability_verdict(result)}**")
    compared = zip(runs, result.seeds, result.steps, strict=True)
    names = ", ".join(
        f"{code_span(one.info.name, 40)} (seed {seed}, step {at:,})" for one, seed, at in compared
    )
    text = (
        "the same documents"
        if result.same_text
        else "documents drawn anew by each seed from the same sources"
    )
    show_figure(
        meaning.stability_figure(result, dark=session.dark()),
        "meaning_stability",
        "Segments of each pair of runs, matched so that their context profiles (mean fusion"
        " weights) correlate most. Chance: the contexts of each run shuffled, matched again."
        f" {names}.",
        stability_verdict(result),
        lambda: meaning.stability_table(result),
        source_of(
            run,
            None,
            f"{len(runs)} runs, {len(result.contexts)} contexts, {text}",
            SEED,
            f"{result.shuffles} shuffles",
        ),
    )


def other_seeds(run: Run) -> list[Run]:
    """Ended runs with the same settings but for the seed, over the same labelled contexts; the
    newest of each seed, lowest seeds first."""
    found: dict[int, Run] = {}
    if run.info.discovered or run.state().alive:
        return []
    for entry in folder.list_runs():
        info = entry.info
        if (
            info is None
            or entry.state.alive
            or info.discovered
            or info.contexts != run.info.contexts
            or not info.fingerprint
        ):
            continue
        seed = info.settings.training.seed
        if (
            seed == run.settings.training.seed
            or seed in found
            or but_for_seed(info.settings) != but_for_seed(run.settings)
        ):
            continue
        other = folder.open_run(entry.id)
        if is_partitioned(other):
            found[seed] = other
    return [found[seed] for seed in sorted(found)] if is_partitioned(run) else []


def but_for_seed(settings: Settings) -> Settings:
    """Settings that two runs must share; where they were trained makes no difference."""
    return settings.with_values({"seed": 0, "device": "auto", "threads": 0, "keep_checkpoints": 1})


def is_partitioned(run: Run) -> bool:
    """Whether the newest snapshot is there, sound, and has a partition."""
    steps = run.snapshot_steps()
    try:
        return bool(steps) and results.snapshot(run, steps[-1]).partitioned
    except ValueError:
        return False
