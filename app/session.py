"""What a person has chosen: with address.py the only file that touches session_state, and with
results.py the only one that touches caches.

One run, one step, one layer, one segment, one text and one selection of neurons for all pages; and
the second side of a comparison. All but the selection are in the URL too, so that a link opens the
same view. A step that was not chosen means the newest, and follows a running run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar

import streamlit as st

from app import address
from cpart_core.runs import folder
from cpart_core.runs.folder import Run, RunSummary

P = ParamSpec("P")
R = TypeVar("R")

NEWEST = -1
"""On the step slider: the newest step, whichever that is."""


@dataclass(frozen=True)
class Selection:
    """Neurons chosen on any page."""

    run: str
    neurons: frozenset[tuple[int, int]]
    """(layer, neuron)"""


def get(name: str) -> Any:
    return st.session_state.get(f"cpart_{name}")


def put(name: str, value: Any) -> None:
    st.session_state[f"cpart_{name}"] = value
    if name in address.IN_URL:
        address.write()


# --- The run and the step -------------------------------------------------------------------------


def chosen_run() -> Run | None:
    """The chosen run; without a choice, or when it is gone, the one that trains now (a person comes
    back to it), else the newest of a person's own that can be looked at, else the first one listed
    (the sample). Twins come last. None when there is no run at all."""
    wanted = get("run")
    if wanted:
        try:
            return folder.open_run(wanted)
        except ValueError:
            st.session_state["cpart_missing"] = wanted
    for summary in sorted(folder.list_runs(), key=interest):
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


def interest(entry: RunSummary) -> tuple[bool, bool, bool]:
    """Sorts the list of runs, whose order stands among equals: what a person who comes anew most
    likely wants to see is first."""
    unreadable = entry.info is None
    begun = entry.state.step > 0 and entry.state.state != "damaged"
    return (
        not entry.state.alive,
        unreadable or bool(entry.info and entry.info.twin_of),
        not (begun and not entry.read_only),
    )


def missing_run() -> str | None:
    """The id that was asked for and does not exist (asked once, then forgotten)."""
    return st.session_state.pop("cpart_missing", None)


def choose_run(run_id: str) -> None:
    """Choose a run; the step follows its newest, the layer and segment stay."""
    if get("run") != run_id:
        st.session_state["cpart_step"] = None
    put("run", run_id)


def chosen_step(run: Run) -> int:
    """The snapshot step nearest to the chosen one; the newest without a choice; 0 when the run has
    no snapshot yet."""
    steps = run.snapshot_steps()
    if not steps:
        return 0
    wanted = get("step")
    return steps[-1] if wanted is None else min(steps, key=lambda step: abs(step - wanted))


def follows() -> bool:
    """Whether the pages show the newest step, whichever that is."""
    return get("step") is None


def grows(run: Run) -> bool:
    """Whether a trainer is at work on the run, or about to be."""
    said = run.state()
    return said.alive or said.phase == "starting"


def choose_step(run: Run | None, step: int) -> None:
    """Hold a step of a run. NEWEST, and the last one of a run that no longer grows, are no choice:
    the pages follow."""
    last = step == NEWEST or (
        run is not None and not grows(run) and [step] == run.snapshot_steps()[-1:]
    )
    put("step", None if last else step)


def checkpoint_step(run: Run, step: int) -> int | None:
    """The step of the checkpoint nearest to a step: analysis needs weights, and not every snapshot
    has them. None without any."""
    steps = run.checkpoint_steps()
    return min(steps, key=lambda saved: (abs(saved - step), -saved)) if steps else None


def chosen_layer(run: Run) -> int:
    """0-based; the middle layer without a choice: the first ones see little more than single
    tokens."""
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
    return (
        kept
        if isinstance(kept, Selection) and kept.run == run.id
        else Selection(run.id, frozenset())
    )


def select(run: Run, neurons: Iterable[tuple[int, int]]) -> None:
    """Select (layer, neuron) pairs for all pages; an empty list clears."""
    put(
        "selection",
        Selection(run.id, frozenset((int(layer), int(neuron)) for layer, neuron in neurons)),
    )


def widget(key: str, missing: Any = None) -> Any:
    """The value of a widget by its key."""
    return st.session_state.get(key, missing)


def set_widget(key: str, value: Any) -> None:
    """Give a widget its value before it is drawn. For one with `on_change` this is wrong: see
    `showing`."""
    st.session_state[key] = value


def showing(key: str, wanted: Any, take: Callable[[Any], None]) -> dict[str, Any]:
    """The arguments `key` and `on_change` of a widget that is to show `wanted` and gives what a
    person chooses to `take`: a new key whenever the widget that is there shows something else.

    A widget that a person may move is never given a value. Until the browser has received the new
    value it goes on reporting the old one, with every tick of a fragment that refreshes itself, and
    Streamlit takes the report of an old value for a person's choice. For the same reason a widget
    that has been replaced is not listened to.
    """
    name = shown_name(key)
    if name in st.session_state and st.session_state[name] != wanted:
        st.session_state[f"cpart_number_{key}"] = st.session_state.get(f"cpart_number_{key}", 0) + 1
        name = shown_name(key)

    def changed() -> None:
        if name == shown_name(key) and name in st.session_state:
            take(st.session_state[name])

    return {"key": name, "on_change": changed}


def shown_name(key: str) -> str:
    """The key of the widget that stands there now, of those that `showing` has put up for `key`."""
    number = st.session_state.get(f"cpart_number_{key}", 0)
    return f"{key}_{number}" if number else key


def go_to(page: str) -> None:
    """Leave for another page, taking along what is chosen."""
    st.switch_page(f"views/{page}/page.py", query_params=address.chosen())


def drop_widgets(prefix: str) -> None:
    """Forget the values of all widgets whose key begins so; they start again from their
    defaults."""
    for name in [name for name in st.session_state if str(name).startswith(prefix)]:
        del st.session_state[name]


def remembered(
    max_entries: int, ttl: float | None = None, scope: Literal["global", "session"] = "global"
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: keep what a function returned for its arguments, for all sessions; or for each
    alone, and until its page is closed.

    It says nothing meanwhile, since what a cache says is printed over what stands below: callers
    that may take long say so by st.spinner, which has a place of its own.
    """
    return st.cache_data(max_entries=max_entries, show_spinner=False, ttl=ttl, scope=scope)


def dark() -> bool:
    """Whether the page is shown dark."""
    return st.context.theme.type == "dark"
