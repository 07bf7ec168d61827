"""What a person has chosen, and what has been read for it: the only file that touches session_state, query_params and caches.

One run, one step, one layer, one segment, one text and one selection of neurons for all pages; and the second side of a comparison. All but the
selection are in the URL too, so that a link opens the same view. A step that was not chosen means the newest, and follows a running run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from app.handle import Handle
from app.worker import Worker
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.runs.results import result_file
from cpart_core.training.records import Snapshot

P = ParamSpec("P")
R = TypeVar("R")

IN_URL = ("run", "step", "layer", "segment", "text", "other", "other_step", "document")
LONGEST_TEXT_IN_URL = 400
"""Characters; a longer text stays in the session only."""


@dataclass(frozen=True)
class Selection:
    """Neurons chosen on any page."""

    run: str
    neurons: frozenset[tuple[int, int]]
    """(layer, neuron)"""

    def of_layer(self, layer: int) -> frozenset[int]:
        return frozenset(neuron for its_layer, neuron in self.neurons if its_layer == layer)


@dataclass(frozen=True)
class Answer:
    """What is known of an analysis result at this moment: the result, or how far the worker is, or why there will be none."""

    result: Any = None
    progress: float = 0.0
    say: str = ""
    error: str = ""
    partial: dict[str, Any] | None = None


def get(name: str) -> Any:
    return st.session_state.get(f"cpart_{name}")


def put(name: str, value: Any) -> None:
    st.session_state[f"cpart_{name}"] = value
    if name in IN_URL:
        write_url()


# --- URL ---------------------------------------------------------------------------------------------------------------------------------


def follow_url() -> None:
    """Take over what the URL says and we have not written ourselves (a link, the back button), then write the state into the URL.

    Changing the page clears the URL: then the state of the session stands and is written again.
    """
    written = get("written") or {}
    for name in IN_URL:
        given = st.query_params.get(name)
        if given is not None and given != written.get(name):
            st.session_state[f"cpart_{name}"] = from_url(name, given)
    write_url()


def from_url(name: str, given: str) -> Any:
    """A value of the URL, or None where it says nothing sensible. Whether such a run or step exists is asked where it is used."""
    if name in ("run", "other", "text"):
        return given[:LONGEST_TEXT_IN_URL]
    return int(given) if given.isascii() and given.isdigit() and len(given) < 9 else None


def write_url() -> None:
    """Put the state into the URL where it is not there yet."""
    wanted = {name: str(get(name)) for name in IN_URL if get(name) not in (None, "")}
    if len(wanted.get("text", "")) > LONGEST_TEXT_IN_URL:
        del wanted["text"]
    st.session_state["cpart_written"] = wanted
    present = {name: st.query_params[name] for name in IN_URL if name in st.query_params}
    if present != wanted:
        for name in set(present) - set(wanted):
            del st.query_params[name]
        for name, value in wanted.items():
            if present.get(name) != value:
                st.query_params[name] = value


# --- The run and the step ------------------------------------------------------------------------------------------------------------------


def chosen_run() -> Run | None:
    """The chosen run; without a choice, or when it is gone, the one that trains now (a person comes back to it), else the first one listed
    (the sample) that is no twin. None when there is no run at all."""
    wanted = get("run")
    if wanted:
        try:
            return folder.open_run(wanted)
        except ValueError:
            st.session_state["cpart_missing"] = wanted
    for summary in sorted(folder.list_runs(), key=lambda entry: (not entry.state.alive, entry.info is None or bool(entry.info.twin_of))):
        try:
            run = folder.open_run(summary.id)
        except ValueError:
            continue
        if wanted:
            choose_run(run.id)
        else:
            put("run", run.id)  # a link may name a step and no run: the step stands
        return run
    return None


def missing_run() -> str | None:
    """The id that was asked for and does not exist (asked once, then forgotten)."""
    return st.session_state.pop("cpart_missing", None)


def choose_run(run_id: str) -> None:
    """Choose a run; the step follows its newest, the layer and segment stay."""
    if get("run") != run_id:
        st.session_state["cpart_step"] = None
    put("run", run_id)


def chosen_step(run: Run) -> int:
    """The snapshot step nearest to the chosen one; the newest without a choice; 0 when the run has no snapshot yet."""
    steps = run.snapshot_steps()
    if not steps:
        return 0
    wanted = get("step")
    return steps[-1] if wanted is None else min(steps, key=lambda step: abs(step - wanted))


def choose_step(run: Run, step: int) -> None:
    """The newest step is kept as 'no choice', so that the pages follow a running run."""
    steps = run.snapshot_steps()
    put("step", None if steps and step == steps[-1] else step)


def checkpoint_step(run: Run, step: int) -> int | None:
    """The step of the checkpoint nearest to a step: analysis needs weights, and not every snapshot has them. None without any."""
    steps = run.checkpoint_steps()
    return min(steps, key=lambda saved: (abs(saved - step), -saved)) if steps else None


def chosen_layer(run: Run) -> int:
    """0-based; the middle layer without a choice: the first ones see little more than single tokens."""
    layers = run.settings.model.num_layers
    wanted = get("layer")
    return wanted if wanted is not None and 0 <= wanted < layers else layers // 2


def choose_layer(layer: int) -> None:
    put("layer", layer)


def chosen_segment(run: Run) -> int:
    """0-based; segment 0 without a choice."""
    wanted = get("segment")
    return wanted if wanted is not None and 0 <= wanted < run.settings.model.num_segments else 0


def choose_segment(segment: int) -> None:
    put("segment", segment)


def chosen_text() -> str | None:
    return get("text")


def choose_text(text: str) -> None:
    put("text", text)


def selection(run: Run) -> Selection:
    """The neurons selected in this run; empty after another run was chosen."""
    kept = get("selection")
    return kept if isinstance(kept, Selection) and kept.run == run.id else Selection(run.id, frozenset())


def select(run: Run, neurons: Iterable[tuple[int, int]]) -> None:
    """Select (layer, neuron) pairs for all pages; an empty list clears."""
    put("selection", Selection(run.id, frozenset((int(layer), int(neuron)) for layer, neuron in neurons)))


def widget(key: str, missing: Any = None) -> Any:
    """The value of a widget by its key."""
    return st.session_state.get(key, missing)


def set_widget(key: str, value: Any) -> None:
    """Give a widget its value before it is drawn."""
    st.session_state[key] = value


def drop_widgets(prefix: str) -> None:
    """Forget the values of all widgets whose key begins so; they start again from their defaults."""
    for name in [name for name in st.session_state if str(name).startswith(prefix)]:
        del st.session_state[name]


def remembered(max_entries: int, spinner: str | bool = False, ttl: float | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: keep what a function returned for its arguments, for all sessions."""
    return st.cache_data(max_entries=max_entries, show_spinner=spinner, ttl=ttl)


def dark() -> bool:
    """Whether the page is shown dark."""
    return st.context.theme.type == "dark"


# --- What was read --------------------------------------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=200, show_spinner=False)
def read_snapshot(run_id: str, step: int, written: str) -> Snapshot:
    return folder.open_run(run_id).snapshot(step)


def snapshot(run: Run, step: int) -> Snapshot:
    """A snapshot, read once. Do not write into its arrays: all pages share them. ValueError when it is damaged or missing."""
    return read_snapshot(run.id, step, run.info.created)


@st.cache_resource(max_entries=20, show_spinner=False)
def read_records(run_id: str, written: str, newest: int, max_points: int) -> Any:
    return folder.open_run(run_id).records(max_points=max_points)


def records(run: Run, max_points: int = 2000) -> Any:
    """RecordTable of the run, read again when it has gone on."""
    return read_records(run.id, run.info.created, run.state().step, max_points)


def step_seconds(run_id: str) -> float | None:
    """Median time of the run's recorded steps; None before there are any."""
    seconds = records(folder.open_run(run_id)).seconds
    return sorted(seconds)[len(seconds) // 2] if len(seconds) else None


@st.cache_resource(max_entries=40, show_spinner=False)
def kept_results() -> dict[tuple[str, str, str], Any]:
    """Results read so far, newest last."""
    return {}


MOST_RESULTS = 60


def stored_result(run: Run, name: str, request: dict[str, Any]) -> Any | None:
    """A result of the run folder, read once; None when nobody has asked for it yet."""
    key = (run.id + run.info.created, name, json.dumps(request, sort_keys=True))
    kept = kept_results()
    if key not in kept:
        result = run.result(name, request)
        if result is None:
            return None
        while len(kept) >= MOST_RESULTS:
            kept.pop(next(iter(kept)), None)
        kept[key] = result
    return kept[key]


def drop_result(run: Run, name: str, request: dict[str, Any]) -> None:
    """Take a result that is out of date off the disk, so that it is made anew when it is asked for."""
    kept_results().pop((run.id + run.info.created, name, json.dumps(request, sort_keys=True)), None)
    # Of a sample this is the cache; what lies in its own folder stays.
    (run.result_folders()[-1] / result_file(name, request)).unlink(missing_ok=True)


@st.cache_resource(show_spinner=False)
def worker(kind: str = "quick") -> Worker:
    """An analysis process of this server; it ends when the server does. Two of them, so that a long layout ("slow") keeps nobody waiting."""
    return Worker()


SLOW = ("ablation_matrix", "router_audit", "coherence")


def worker_for(name: str, request: dict[str, Any]) -> Worker:
    """UMAP compiles and lays out for seconds, carving and taking segments away measure for many: they have a process of their own."""
    return worker("slow" if name in SLOW or request.get("method") == "umap" or "ranking" in request else "quick")


@st.cache_resource(show_spinner=False)
def handles() -> dict[tuple[str, str], Handle]:
    """Requests under way or failed, of all sessions: (name, request as JSON) -> handle."""
    return {}


def result_or_ask(run: Run, name: str, request: dict[str, Any]) -> Answer:
    """The result when it is there; otherwise the worker is asked (once), and the answer says how far it is. Returns at once."""
    result = stored_result(run, name, request)
    key = (name, json.dumps(request, sort_keys=True))
    if result is not None:
        handles().pop(key, None)
        return Answer(result=result, progress=1.0)
    handle = handles().get(key)
    if handle is None:
        handle = handles().setdefault(key, worker_for(name, request).submit(name, request))
    if not handle.done:
        return Answer(progress=handle.progress, say=handle.say, partial=handle.partial)
    if handle.error:
        return Answer(error=handle.error)
    result = stored_result(run, name, request)
    if result is None:
        return Answer(error="The analysis is done, but its result cannot be read. Ask again.")
    return Answer(result=result, progress=1.0)


def forget(name: str, request: dict[str, Any]) -> None:
    """Stop working on a request, or clear its error so that it can be asked again."""
    handle = handles().pop((name, json.dumps(request, sort_keys=True)), None)
    if handle is not None and not handle.done:
        worker_for(name, request).cancel(handle)
