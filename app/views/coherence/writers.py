"""Who is compared on the Coherence page, who judges, and where they begin. Choices only; nothing is
measured here."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from app import session
from app.engine import jobs
from app.shell import forms, page_header
from app.text.escape import plain, sentence
from cpart_core.analysis.coherence.prompts import Prompt, choose_prompts, other_of_each
from cpart_core.records.training import SHARED
from cpart_core.runs import folder
from cpart_core.runs.folder import Run, RunSummary, open_run
from cpart_core.runs.independent_judge import create_judge, relation

MOST_OTHERS = 3
DOCUMENTS = 16
LONGEST_TEXT = 4_000
KINDS = ("ablate", "scale", "forbid", "force")


class Saved(NamedTuple):
    """A run that has a checkpoint, opened once for all who ask."""

    run: Run
    step: int
    """Of its newest checkpoint."""


def checkpoints(listed: list[RunSummary]) -> dict[str, Saved]:
    """By id, every run of the list that has a checkpoint and can be read."""
    found = {}
    for entry in listed:
        if entry.info is not None:
            run = open_run(entry.id)
            steps = run.checkpoint_steps()
            if steps:
                found[entry.id] = Saved(run, steps[-1])
    return found


def choose(run: Run, checkpoint: int) -> dict[str, Any] | None:
    """Writers and judge, as the part of a request that names them; None where there is nobody to
    judge."""
    listed = folder.list_runs()
    there, labels = checkpoints(listed), page_header.run_labels(listed)
    options = [f"{run.id}@{step}" for step in run.checkpoint_steps() if step != checkpoint]
    options += [f"{other}@{saved.step}" for other, saved in there.items() if other != run.id]
    with st.container(border=True):
        left, right = st.columns([3, 2], gap="medium")
        key = f"coherence_others_{run.id}_{len(options)}"
        chosen = left.multiselect(
            "Compare with",
            options,
            default=first_others(run, options, there),
            format_func=lambda option: (
                f"{labels.get(option.partition('@')[0], '')} · step"
                f" {int(option.partition('@')[2]):,}"
            ),
            key=key,
            max_selections=MOST_OTHERS,
            help="Other runs, or other checkpoints of this one; at most 4 writers in all",
        )
        others: list[list[Any]] = [
            [option.partition("@")[0], int(option.partition("@")[2]), []] for option in chosen
        ]
        with left:
            change = changed_writer(run)
            if change is not None and len(others) == MOST_OTHERS:
                st.caption(
                    "Four writers already: the changed one is left out. Take another one away."
                )
        if change is not None and len(others) < MOST_OTHERS:
            others.append([run.id, checkpoint, [change]])
        writers = [run, *(run if other[0] == run.id else there[other[0]].run for other in others)]
        with right:
            judge = choose_judge(run, writers, there, labels)
    if judge is None:
        return None
    return {
        "run": run.id,
        "step": checkpoint,
        "interventions": [],
        "others": others,
        "judge": judge,
        "judge_step": there[judge].step,
    }


def first_others(run: Run, options: list[str], there: dict[str, Saved]) -> list[str]:
    """The dense twin, or whatever run is the twin's original; nobody where there is none: then a
    segment can be changed instead."""
    for option in options:
        other = option.partition("@")[0]
        info = there[other].run.info if other != run.id else run.info
        if (info.twin_of == run.id and info.twin_kind == "dense") or run.info.twin_of == other:
            return [option]
    return []


def changed_writer(run: Run) -> list[Any] | None:
    """One intervention on the chosen run, as a writer of its own; None when it is off."""
    if not st.toggle(
        "And this run with a segment changed", key="coherence_change", persist_state="session"
    ):
        return None
    model = run.settings.model
    kinds = [kind for kind in KINDS if model.execution != "dense" or kind in ("ablate", "scale")]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        kind = str(st.selectbox("Change", kinds, key=f"coherence_kind_{len(kinds)}", width=120))
        layer = int(
            st.number_input(
                "Layer",
                0,
                model.num_layers - 1,
                model.num_layers // 2,
                key=f"coherence_layer_{run.id}",
                width=110,
            )
        )
        lowest = SHARED if model.shared_neurons and kind in ("ablate", "scale") else 0
        segment = int(
            st.number_input(
                "Segment",
                lowest,
                model.num_segments - 1,
                0,
                key=f"coherence_segment_{run.id}_{lowest}",
                width=110,
                help="-1 is the shared one",
            )
        )
        factor = (
            float(st.slider("Factor", 0.0, 4.0, 2.0, 0.1, key="coherence_factor", width=160))
            if kind == "scale"
            else 1.0
        )
    return [layer, segment, kind, factor]


def choose_judge(
    run: Run, writers: list[Run], there: dict[str, Saved], labels: dict[str, str]
) -> str | None:
    """The id of the run that measures. Independent ones stand first; without one it is said, with a
    way to get one."""
    ties = {other: relation(saved.run, writers) for other, saved in there.items()}
    options = sorted(
        there,
        key=lambda other: (
            not ties[other][0],
            other in {writer.id for writer in writers},
            other == run.id,
        ),
    )
    if not options:
        return None
    judge = st.selectbox(
        "Judge",
        options,
        format_func=lambda other: (
            labels.get(other, "") + (" · independent" if ties[other][0] else "")
        ),
        key=f"coherence_judge_{run.id}_{len(options)}_{options[0]}",
        help=(
            "The model that says how likely each text is. It should have nothing to do with the"
            " writers."
        ),
    )
    independent, said = ties[judge]
    if independent:
        st.caption(sentence(said, 400))
    else:
        st.warning(sentence(said, 500), icon=":material/balance:")
        judge_button(run, any(tie for tie, _ in ties.values()))
    return judge


def judge_button(run: Run, there_is_one: bool) -> None:
    """Train an independent judge, where there is none."""
    if there_is_one:
        st.caption("There is an independent one in the list.")
        return

    def train() -> None:
        try:
            judge = create_judge(run)
            jobs.launch(judge, [])
            session.put("coherence_trains", judge.id)
        except (ValueError, OSError) as error:
            session.put("coherence_refused", str(error))

    st.button(
        "Train an independent judge",
        key="coherence_train_judge",
        icon=":material/play_arrow:",
        on_click=train,
        help=(
            "A dense model of another seed on the same training text, with the same documents held"
            " out. It takes as long as this run did."
        ),
    )
    if refused := session.get("coherence_refused"):
        st.error(sentence(str(refused), 400), icon=":material/error:")
    if session.get("coherence_trains"):
        st.caption(
            "It is being trained: see the Train page. It judges from its first checkpoint on."
        )


def held_out(run: Run) -> list[Prompt]:
    """Heads of held-out documents, read once a session; empty without a corpus."""
    known = session.get("coherence_prompts")
    if known is not None and known[0] == run.id:
        return list(known[1])
    from cpart_core.corpus.store import load_held_out
    from cpart_core.corpus.tokenizer import Tokenizer

    room = run.settings.model.context_length
    found: list[Prompt] = []
    try:
        corpus = load_held_out(run.folder / "corpus")
        found, _ = choose_prompts(
            corpus,
            Tokenizer.from_json(corpus.tokenizer_json),
            room // 3,
            room - room // 3,
            DOCUMENTS,
            0,
        )
    except (ValueError, OSError):
        found = []
    session.put("coherence_prompts", (run.id, found))
    return found


def choose_start(run: Run) -> dict[str, Any] | None:
    """Prompt, and what a human and chance made of it; None while there is no text."""
    prompts = held_out(run)
    ways = ["a held-out document", "a text of mine"] if prompts else ["a text of mine"]
    way = st.segmented_control(
        "Begin with",
        ways,
        default=ways[0],
        key=f"coherence_way_{len(ways)}",
        required=True,
        persist_state="session",
    )
    if way == ways[0] and prompts:
        number = int(
            st.selectbox(
                "Document",
                range(len(prompts)),
                format_func=lambda place: (
                    f"{plain(prompts[place].context, 40)} · {plain(prompts[place].title, 60)}"
                ),
                key=f"coherence_document_{run.id}",
                help="Its beginning is the prompt; how it really goes on is the human text",
            )
            or 0
        )
        prompt = prompts[number]
        random = (
            prompts[int(other_of_each(len(prompts), 0)[number])].rest if len(prompts) > 1 else ""
        )
        return {
            "text": prompt.text,
            "title": prompt.title,
            "rest": prompt.rest if random else "",
            "random": random,
        }
    text = forms.area(
        "Text",
        str(session.get("coherence_text") or ""),
        lambda given: session.put("coherence_text", given),
        limit=LONGEST_TEXT,
        key="coherence_text",
        height=110,
        placeholder="Type how it begins",
        help="Ctrl+Enter, or click elsewhere, to take it",
    )
    return {"text": text, "title": "", "rest": "", "random": ""} if text.strip() else None
