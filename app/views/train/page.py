"""Train: choose text and settings, start, and watch structure form."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from app import session
from app.engine import jobs
from app.shell import forms, glossary, page_header
from app.text import readable
from app.text.escape import plain, sentence
from app.views.train.forecast import forecast
from app.views.train.text_choice import Source, choose_source, text_before_start
from app.views.train.watch import watch
from cpart_core.runs import folder
from cpart_core.runs.info import LONGEST_NAME
from cpart_core.runs.twins import TWINS, check_twins
from cpart_core.settings.presets import PRESETS
from cpart_core.settings.run import Settings
from cpart_core.training.estimate import Estimate, estimate
from cpart_core.training.precheck import TextCount, check_before

VIEWS = {"new": ":material/add: New run", "watch": ":material/monitoring: Watch"}
OFFERED = ("quick", "five", "own")
OFFERED_TWINS = ("dense", "random", "router")


def draw() -> None:
    if session.widget("train_view") not in VIEWS:
        session.set_widget("train_view", first_view())
    with st.container(horizontal=True, vertical_alignment="center", gap="large"):
        st.title("Train", anchor=False, width="content")
        view = st.segmented_control(
            "View",
            list(VIEWS),
            format_func=lambda name: VIEWS[name],
            key="train_view",
            label_visibility="collapsed",
            required=True,
            persist_state="session",
        )
    if view == "new":
        new_run()
        return
    run = page_header.run_chooser(with_step=False)
    if run is None:
        page_header.no_run()
        return
    watch(run.id)
    glossary.words("segment", "partition", "context", "fusion weights", "validation loss", "twin")


def first_view() -> str:
    """Watching, where a run of one's own is chosen or at work; otherwise the form."""
    run = session.chosen_run()
    return "watch" if run is not None and not run.read_only else "new"


def new_run() -> None:
    """The form, from top to bottom: how much, what text, which settings, what it will cost,
    start."""
    presets = {entry.name: entry for entry in PRESETS if entry.name in OFFERED}
    chosen = st.segmented_control(
        "Preset",
        list(presets),
        default="quick",
        format_func=lambda name: presets[name].title,
        key="preset",
        required=True,
        persist_state="session",
    )
    preset = presets[chosen or "quick"]
    st.caption(plain(preset.help[:1].upper() + preset.help[1:] + "."))
    text_box = st.container(border=True)
    key = f"set_{preset.name}"
    with st.expander("Settings", expanded=preset.name == "own", icon=":material/tune:"):
        changed = forms.settings_form(preset.settings, key)
        if changed:
            st.button(
                f"Reset {len(changed)} changed",
                icon=":material/undo:",
                on_click=forms.forget_form,
                args=(key,),
            )
    with text_box:
        st.subheader("Text", anchor=False)
        # drawn above, but what it finds depends on the settings
        source = choose_source(preset.settings.with_values(changed))
    settings, problem = combined(preset.settings, changed, source)
    start_box(settings, problem or source.trouble, source, preset.title, changed)


def combined(base: Settings, changed: dict[str, object], source: Source) -> tuple[Settings, str]:
    """The settings as chosen, and the sentence that says why they do not fit each other (empty when
    they do)."""
    settings = base.with_values({**source.values, **changed})
    try:
        return settings.check(), ""
    except ValueError as error:
        return settings, str(error)


def start_box(
    settings: Settings, problem: str, source: Source, title: str, changed: Collection[str]
) -> None:
    """Name, twins, what it will cost, and the button."""
    with st.container(border=True):
        left, right = st.columns(2, gap="medium")
        with left:
            name = forms.line(
                "Name of the run",
                limit=LONGEST_NAME,
                key="run_name",
                placeholder=title,
                persist=True,
            )
        with right:
            twins = st.pills(
                "Also train, afterwards and on the very same batches",
                OFFERED_TWINS,
                selection_mode="multi",
                key="twins",
                persist_state="session",
                format_func=lambda kind: f"{kind} twin",
                help="  \n".join(
                    f"**{kind}**: The same model {TWINS[kind].help}." for kind in OFFERED_TWINS
                ),
            )
        problem, said = (problem, ()) if problem else before(settings, source.text, changed, twins)
        if problem:
            st.warning(sentence(problem, 500), icon=":material/edit_note:")
        else:
            costs(settings, estimate(settings), 1 + len(twins))
        for entry in said:
            st.info(sentence(entry, 400), icon=":material/info:")
        if st.button(
            "Start training",
            type="primary",
            icon=":material/play_arrow:",
            disabled=bool(problem),
            key="start",
        ):
            start(settings, name.strip() or title, source, tuple(twins), changed)


def before(
    settings: Settings, text: TextCount | None, changed: Collection[str], twins: Collection[str]
) -> tuple[str, tuple[str, ...]]:
    """(why this cannot be trained, what is to be said of it), as the command line says it."""
    try:
        check_twins(settings, twins)
        return "", check_before(settings, text, folder.runs_root(), changed)
    except ValueError as error:
        return str(error), ()


def costs(settings: Settings, needed: Estimate, runs: int) -> None:
    """Parameters, memory and time, before anything is started, and from what each follows."""
    expected = forecast(settings)
    active = (
        f"{readable.amount(needed.active_parameters)} of them for each token"
        if needed.active_parameters < needed.num_parameters
        else "all of them for each token"
    )
    several = f", for each of {runs} runs" if runs > 1 else ""
    time = (
        "**time not known yet**"
        if expected.seconds is None
        else f"**about {readable.duration(expected.seconds)}**{several}"
    )
    st.markdown(
        f"**{readable.amount(needed.num_parameters)}** parameters, {active} \u00b7 about"
        f" **{readable.size(expected.memory_bytes)}** of memory ({expected.memory_basis}) \u00b7"
        f" {readable.amount(needed.total_tokens)} tokens in {settings.training.steps:,} steps"
        f" \u00b7 {time} ({expected.time_basis})"
    )


def start(
    settings: Settings, name: str, source: Source, twins: tuple[str, ...], changed: Collection[str]
) -> None:
    try:
        check_before(settings, text_before_start(settings, source), folder.runs_root(), changed)
        run_id = jobs.start_training(settings, name, source.gathered, twins)
    except (ValueError, OSError) as error:
        st.error(f"Training was not started: {sentence(str(error), 400)}", icon=":material/error:")
        return
    session.choose_run(run_id)
    session.put("next_train_view", "watch")
    st.rerun()


if (following := session.get("next_train_view")) is not None:
    session.set_widget("train_view", following)
    session.put("next_train_view", None)
draw()
