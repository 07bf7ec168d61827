"""The live view of one run: controls, numbers, and boards that update in place. Used by the Train page; polls only while a trainer lives."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from app import chrome, jobs, state, steps, words
from app.charts.training import MOST_LAYERS, MOST_NEURONS, fusion_board, loss_board, segment_board
from app.figure import under_figure
from app.live import Words, show_board
from app.source import source_of
from app.texts import code_span, sentence
from app.twins import draw_differences, twins_of
from cpart_core.percent import percent
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.runs.info import RunInfo
from cpart_core.runs.state import IN_USE, RunState
from cpart_core.runs.tables import EvaluationTable
from cpart_core.runs.validation import validation_loss

TICK_SECONDS = 2.0
LIVE_POINTS = 128
"""Training steps drawn in each curve while it is live."""
AFTER = {"fusion": "See its weights on a text", "compare": "Compare it with another", "carve": "Cut a smaller one out of it"}
"""Page -> what one can do there with a model that is trained."""
LIVE_EVALUATIONS = 512
"""Validations drawn in each curve; the table below has them all."""


def watch(run_id: str) -> None:
    """Everything about the run. While a trainer lives, only this fragment is drawn again."""
    state_now = folder.open_run(run_id).state().state
    st.fragment(live_view, run_every=TICK_SECONDS if state_now in chrome.ALIVE else None)(run_id, state_now)


def live_view(run_id: str, known_state: str) -> None:
    try:
        run = folder.open_run(run_id)
        said = run.state()
    except ValueError as error:
        st.error(sentence(str(error)), icon=":material/folder_off:")
        return
    if said.state != known_state:
        st.rerun()  # the rest of the page says the new state too, and polling begins or ends
    if said.state in ("damaged", "busy") or said.phase == IN_USE:
        chrome.state_badge("busy" if said.phase == IN_USE else said.state)
        trouble(run, said)
        if said.state == "damaged" and run.checkpoint_steps() and not run.read_only:
            act("Resume training", ":material/play_arrow:", lambda: jobs.resume_training(run), f"resume_{run.id}", primary=True)
            command_trouble()
        return
    header(run, said)
    if said.state == "finished" and run.snapshot_steps():
        lead_on(run)
    controls(run, said)
    trouble(run, said)
    try:
        figures(run, said)
    except ValueError as error:
        st.warning(sentence(str(error), 400), icon=":material/broken_image:")


def header(run: Run, said: RunState) -> None:
    """Name, state, progress and the numbers of this moment."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chrome.state_badge(said.state)
        if said.phase and said.phase != said.state:
            st.caption(said.phase)
        if run.info.twin_of:
            st.caption(f"{run.info.twin_kind} twin of {code_span(run.info.twin_of)}")
        if not said.responding:
            st.badge(f"not responding for {words.duration(said.heartbeat_age)}", color="orange", icon=":material/hourglass_disabled:")
    st.progress(min(1.0, said.step / max(1, said.steps)), text=f"step {said.step:,} of {said.steps:,}")
    evaluations = run.evaluations(max_points=2)
    found = validation_loss(run)
    change = (
        f"{evaluations.loss[-1] - evaluations.loss[0]:+.3f} since step {int(evaluations.step[0]):,}" if len(evaluations.loss) > 1 else None
    )
    if found is not None and not found.sampled:
        change = found.interval or None  # the step is the last one, and the first look was at a sample
    label = "Validation loss" if found is None else found.name.capitalize()
    numbers: list[tuple[str, str, str | None]] = [
        (label, words.loss(math.nan if found is None else found.value), change),
        ("Time left", words.duration(said.eta_seconds) if said.state == "running" else "\u2013", None),
        ("Tokens per second", words.amount(said.tokens_per_second), None),
        ("Memory of the trainer", words.size(said.memory_bytes), None),
    ]
    with st.container(horizontal=True, gap="large"):
        for label, value, delta in numbers:
            value = "\u2013" if value == words.UNKNOWN else value
            st.metric(
                label,
                value,
                delta,
                delta_color="inverse" if found is None or found.sampled else "off",
                delta_arrow="auto" if found is None or found.sampled else "off",
                width="content",
                help=f"Nats per token, mean over contexts; {found.n}" if delta and found is not None else None,
            )


def lead_on(run: Run) -> None:
    """What to do with a model that is trained: the next pages, with this run chosen."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Look inside your run" if not run.read_only else "Look inside", key="look_inside", type="primary", icon=":material/search:"
        ):
            state.choose_run(run.id)
            state.go_to("segments")
        for page, label in AFTER.items():
            if st.button(label, key=f"after_{page}", type="tertiary"):
                state.choose_run(run.id)
                state.go_to(page)


def controls(run: Run, said: RunState) -> None:
    """Buttons that fit the state. A sample has none."""
    if run.read_only:
        st.caption("A finished example; it is only for looking at. Train a model of your own to steer it.")
        return
    with st.container(horizontal=True, gap="small"):
        if said.state == "running":
            command(run, "Pause", "pause", ":material/pause:")
        if said.state == "paused":
            command(run, "Step", "step", ":material/skip_next:", "One training step, then pause again")
            command(run, "Resume", "resume", ":material/play_arrow:")
        if said.state == "new" and said.phase != "starting":
            act("Start now", ":material/play_arrow:", lambda: jobs.resume_training(run), f"begin_{run.id}", primary=True)
        elif said.state == "queued":
            command(run, "Leave the queue", "stop", ":material/close:", "Ends its waiting; nothing is lost, and Resume queues it again.")
        elif said.state in chrome.ALIVE:
            command(run, "Stop", "stop", ":material/stop:", "Finishes the step, writes a checkpoint and ends. Resume goes on from there.")
        if said.state in ("stopped", "crashed", "failed") and said.step < said.steps:
            act("Resume training", ":material/play_arrow:", lambda: jobs.resume_training(run), f"resume_{run.id}", primary=True)
            if run.settings.training.device == "cuda":
                about = "For a machine without a GPU: the same up to rounding. Its settings stay as they are."
                act("Resume on the CPU", ":material/memory:", lambda: jobs.resume_training(run, device="cpu"), f"cpu_{run.id}", about=about)
        if not said.responding:
            act("Kill the trainer", ":material/dangerous:", lambda: jobs.kill_training(run), f"kill_{run.id}")
    command_trouble()


def command_trouble() -> None:
    """Why the last button did nothing."""
    problem = state.get("command_trouble")
    if problem:
        st.warning(sentence(problem, 300), icon=":material/info:")
        state.put("command_trouble", None)


def command(run: Run, label: str, name: str, icon: str, about: str = "") -> None:
    act(label, icon, lambda: run.send(name), f"{name}_{run.id}", about=about)


def act(label: str, icon: str, action: Any, key: str, primary: bool = False, about: str = "") -> None:
    """A button whose action may be refused with a sentence (the trainer ended a moment ago)."""

    def pressed() -> None:
        try:
            action()
        except (ValueError, OSError) as error:
            state.put("command_trouble", str(error))

    st.button(label, icon=icon, key=key, type="primary" if primary else "secondary", on_click=pressed, help=about or None)


def trouble(run: Run, said: RunState) -> None:
    """A dead trainer is said to be dead, with its last words."""
    if said.state == "crashed":
        saved = run.checkpoint_steps()
        kept = (
            f"Nothing up to its checkpoint of step {saved[-1]:,} is lost." if saved else "It had stored no checkpoint, so it begins anew."
        )
        st.error(f"The trainer of this run died at step {said.step:,} without saying why. {kept}", icon=":material/error:")
    elif said.state == "failed":
        st.error(f"Training ended itself at step {said.step:,}.", icon=":material/error:")
    elif said.state == "busy" or said.phase == IN_USE:
        st.info("Another program has the records of this run in use. This page shows them as soon as it lets go.", icon=":material/lock:")
    elif said.state == "stopped" and said.last_words:
        st.info(sentence(said.last_words, 400), icon=":material/info:")
    elif said.state == "damaged":
        saved = run.checkpoint_steps()
        weights = f" Its checkpoint of step {saved[-1]:,} lies apart from them: Resume sets them aside and goes on." if saved else ""
        st.error(
            f"The records of this run cannot be read in full. Other runs are not touched by it.{weights}", icon=":material/broken_image:"
        )
    if said.state in ("crashed", "failed", "damaged"):
        chrome.last_words(said)


def figures(run: Run, said: RunState) -> None:
    """Loss on the left, segments and fusion on the right; on a narrow window below one another."""
    dark = state.dark()
    if not run.info.contexts:
        if said.state == "queued":
            st.info(
                f"{said.phase[0].upper()}{said.phase[1:]}. It begins by itself as soon as there is room.", icon=":material/hourglass_top:"
            )
        elif said.state in chrome.ALIVE and said.phase:
            st.info("The trainer is reading the text and cutting it into tokens. The first curves follow.", icon=":material/hourglass_top:")
        return
    left, right = st.columns(2, gap="large")
    with left:
        losses(run, said, dark)
    with right:
        if run.snapshot_steps():
            structure(run, dark)
        elif said.state in chrome.ALIVE:
            st.caption("The first snapshot of the segments is on its way.")


def losses(run: Run, said: RunState, dark: bool) -> None:
    records, evaluations = run.records(max_points=LIVE_POINTS), run.evaluations(max_points=LIVE_EVALUATIONS)
    if not len(records.step):
        return
    trained = twins_of(run, folder.list_runs())
    twins = validated(trained)
    st.markdown("#### Loss by context")
    newest = (
        f"sampled validation {evaluations.loss[-1]:.3f} at step {int(evaluations.step[-1])}"
        if len(evaluations.loss)
        else "no validation yet"
    )
    alt = f"Loss by context over {said.step} steps: {newest}."
    tokens = int(evaluations.tokens_by_context[-1].sum()) if len(evaluations.step) else 0
    thinned = f"every {records.stride} steps" if records.stride > 1 else "every step"
    more = f"nats per token; training batches {thinned}" + twin_note(run, trained, bool(twins))
    if run.info.discovered and not tokens:
        more += f"; contexts are found at step {run.settings.partition.first_step:,}"
    source = source_of(run, said.step, f"{tokens:,} sampled validation tokens" if tokens else "", run.settings.training.seed, more)
    words = Words(alt, "", source, "loss")
    show_board(loss_board(run.info.contexts, records, evaluations, twins, said.steps, dark), f"loss_{run.id}", words)
    under_figure(f"loss_{run.id}", words, lambda: loss_table(run))
    draw_differences(run, evaluations, twins, dark)


def twin_note(run: Run, twins: list[RunInfo], drawn: bool) -> str:
    """Why there is no twin's curve; nothing where there is one."""
    if drawn or run.info.twin_of:
        return ""
    return f"; the {' and the '.join(twin.twin_kind for twin in twins)} twin follows" if twins else "; no twin was trained"


def validated(twins: list[RunInfo]) -> list[tuple[str, EvaluationTable]]:
    """(kind, evaluations) of the twins that have been validated and can be read."""
    found = []
    for twin in twins:
        try:
            table = folder.open_run(twin.id).evaluations(max_points=LIVE_EVALUATIONS)
        except ValueError:
            continue
        if len(table.step):
            found.append((twin.twin_kind, table))
    return found


def loss_table(run: Run) -> pd.DataFrame:
    evaluations = run.evaluations()
    table = pd.DataFrame({"step": evaluations.step, "mean over contexts": evaluations.loss})
    for place, context in enumerate(run.info.contexts):
        table[f"{context} (nats per token)"] = evaluations.loss_by_context[:, place]
        table[f"{context} (n tokens)"] = evaluations.tokens_by_context[:, place]
    return table


def structure(run: Run, dark: bool) -> None:
    """Segment map and fusion use at the chosen step."""
    steps.chooser(run)
    step = state.chosen_step(run)
    try:
        shown = state.snapshot(run, step)
    except ValueError as error:
        st.warning(sentence(str(error)), icon=":material/broken_image:")
        return
    model = run.settings.model
    st.markdown("#### Segments")
    st.caption(partition_sentence(run, step, shown.partitioned, shown.frozen))
    neurons = shown.segment_of.shape[1]
    stride = math.ceil(neurons / MOST_NEURONS)
    alt = f"Segment of each of {neurons} neurons in {model.num_layers} layers at step {step}."
    more = f"one neuron in {stride} is drawn" if stride > 1 else ""
    words = Words(
        alt, "", source_of(run, step, f"{model.num_layers} \u00d7 {neurons} neurons", run.settings.training.seed, more), "segments"
    )
    show_board(segment_board(shown, model.num_segments, dark), f"map_{run.id}", words)
    under_figure(f"map_{run.id}", words, lambda: segment_table(shown))
    if not shown.fusion_tokens.sum() > 0:
        return  # nothing is known by context before contexts are found
    st.markdown("#### Fusion weight by context")
    st.caption(fusion_sentence(run, step))
    top = float(shown.fusion_mass.max()) if shown.fusion_mass.size else 0.0
    alt = f"Mean fusion weight by context and segment at step {step}; the largest is {top:.2f}."
    more = f"{MOST_LAYERS} of {model.num_layers} layers, evenly" if model.num_layers > MOST_LAYERS else ""
    source = source_of(run, step, f"{int(shown.fusion_tokens.sum()):,} sampled validation tokens", run.settings.training.seed, more)
    words = Words(alt, "", source, "fusion_weight_by_context")
    show_board(fusion_board(shown, run.info.contexts, dark), f"fusion_{run.id}", words)
    under_figure(f"fusion_{run.id}", words, lambda: fusion_table(shown, run.info.contexts))


def fusion_sentence(run: Run, step: int) -> str:
    """What the weights mean at this step: they are computed before they are applied."""
    first = run.settings.partition.fusion_step
    if run.settings.model.execution == "dense":
        return "This run is dense: every neuron counts fully, so no weights are computed and all segments are drawn alike."
    if step < first:
        return f"Computed, but applied only from step {first:,} on: until then every neuron counts fully. Rows sum to 1."
    return "How much each segment's output counts, mean on validation text of each context. Rows sum to 1."


def partition_sentence(run: Run, step: int, partitioned: bool, frozen: bool) -> str:
    """What the partition of this step is, in a sentence."""
    if not partitioned:
        first = run.settings.partition.first_step
        return f"Not divided yet: the first partition comes at step {first:,}. Until then the model is dense and segments are only a numbering."
    changes = run.changes()
    done = [number for number, when in enumerate(changes.step) if when <= step]
    if not done:
        return f"Divided at step {step:,}."
    last = done[-1]
    churn = changes.churn[last]
    moved = "" if not bool((churn == churn).all()) else f"; {percent(float(churn.mean()))} of the neurons moved"
    method = run.settings.partition.method
    return f"Partition {len(done)} (method {method}) at step {int(changes.step[last]):,}{moved}" + (
        "; segments are now frozen." if frozen else "."
    )


def segment_table(shown: Any) -> pd.DataFrame:
    layers, neurons = shown.segment_of.shape
    return pd.DataFrame(
        {
            "step": shown.step,
            "layer": [layer for layer in range(layers) for _ in range(neurons)],
            "neuron": list(range(neurons)) * layers,
            "segment": shown.segment_of.reshape(-1),
        }
    )


def fusion_table(shown: Any, contexts: tuple[str, ...]) -> pd.DataFrame:
    layers, num_contexts, segments = shown.fusion_mass.shape
    rows = [
        (
            shown.step,
            layer,
            contexts[context],
            segment,
            float(shown.fusion_mass[layer, context, segment]),
            int(shown.fusion_tokens[context]),
        )
        for layer in range(layers)
        for context in range(min(num_contexts, len(contexts)))
        for segment in range(segments)
    ]
    return pd.DataFrame(rows, columns=["step", "layer", "context", "segment", "mean fusion weight", "n tokens"])
