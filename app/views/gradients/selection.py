"""The selection of neurons as the Gradients page sees it: taken from the map, listed, and widened
by neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import session
from app.charts.gradients.neighbours import listed, nearest
from app.charts.theme import in_percent
from app.shell import reading
from app.shell.figure import caption_of
from app.shell.live import selected
from cpart_core.records.training import Snapshot
from cpart_core.runs.folder import Run

MOST_LISTED = 400
Neurons = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Base:
    """What the map on the screen was drawn with. A chart that changes loses its lasso, so it stays
    while somebody selects."""

    identity: Any
    number: int
    drawn: Neurons
    """The selection that is in the figure."""
    taken: Neurons | None
    """The selection that was made in the figure since."""


def base_of(run: Run, identity: Any, redraw: bool) -> Base:
    """The figure to draw: the one on the screen, unless map, colours or selection changed
    elsewhere. redraw: also after a lasso."""
    now = session.selection(run).neurons
    base = session.get("map_base")
    same = isinstance(base, Base) and base.identity == identity and now in (base.drawn, base.taken)
    # the lasso itself shows the selection, as long as the chart has not left the screen with its
    # page
    if same and now != base.drawn:
        same = not redraw and session.widget(map_key(base.number)) is not None
    if not same:
        # Without a lasso that a changed figure would lose, the browser may keep its chart and only
        # move the points: half the work of a new one.
        free = (
            isinstance(base, Base)
            and base.identity is not None
            and not (base.drawn or base.taken or now)
        )
        number = base.number + (not free) if isinstance(base, Base) else 0
        base = Base(identity, number, now, None)
        session.put("map_base", base)
    return base


def map_key(number: int) -> str:
    """Key of the chart; streamlit forgets its value when its page is left."""
    return f"neuron_map_{number}"


def take(run: Run, key: str) -> None:
    """What was boxed, lassoed or clicked becomes the selection of all pages; a double click in the
    map clears it."""
    neurons = frozenset(
        neuron
        for point in selected(session.widget(key))
        if (neuron := neuron_of(point)) is not None
    )
    session.select(run, neurons)
    base = session.get("map_base")
    if isinstance(base, Base) and neurons:
        session.put("map_base", Base(base.identity, base.number, base.drawn, neurons))
    elif isinstance(base, Base):
        session.put("map_base", Base(None, base.number, frozenset(), None))


def neuron_of(customdata: Any) -> tuple[int, int] | None:
    """(layer, neuron) of a point as the browser names it; None for what is no neuron."""
    known = (
        isinstance(customdata, (list, tuple))
        and len(customdata) == 2
        and all(isinstance(value, int) for value in customdata)
    )
    return (customdata[0], customdata[1]) if known else None


def draw_selected(run: Run, snapshot: Snapshot) -> None:
    """The selected neurons in a table."""
    st.subheader("Selected neurons", anchor=False)
    neurons = session.selection(run).neurons
    if not neurons:
        st.write(
            "Draw a box or a lasso in the map, or choose a neuron below. The selection is kept on"
            " all pages."
        )
        return
    reading.selection_line(run, snapshot)
    profiles = reading.stored_profiles(run, snapshot.step)
    table = listed(
        snapshot,
        run.info.contexts,
        neurons,
        profiles.neuron_tokens if profiles is not None else None,
    )
    st.dataframe(
        table.head(MOST_LISTED).assign(
            share_of_signature=in_percent(table["share_of_signature"].head(MOST_LISTED))
        ),
        hide_index=True,
        height=260,
        alt=f"{len(table)} selected neurons with segment and strongest context",
        column_config={
            "share_of_signature": st.column_config.NumberColumn(
                "share",
                format="%.1f %%",
                help="Of the neuron's signature, each context in units of its layer's mean",
            ),
            "strongest_context": st.column_config.TextColumn("strongest context"),
            "typical_tokens": st.column_config.TextColumn("typical tokens"),
        },
    )
    if len(table) > MOST_LISTED:
        st.caption(f"The first {MOST_LISTED} of {len(table):,}.")


def draw_neighbours(run: Run, snapshot: Snapshot, layer: int) -> None:
    """The neurons most alike to one neuron, measured among signatures, not on the map."""
    st.subheader("Neighbours of a neuron", anchor=False)
    layers, count = snapshot.segment_of.shape
    chosen = sorted(session.selection(run).neurons)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        start = next(
            ((where, neuron) for where, neuron in chosen if layer in (-1, where)),
            (max(layer, 0), 0),
        )
        where = st.number_input(
            "Layer", 0, layers - 1, min(start[0], layers - 1), key=f"near_layer_{start}", width=110
        )
        neuron = st.number_input(
            "Neuron", 0, count - 1, min(start[1], count - 1), key=f"near_neuron_{start}", width=140
        )
        found = nearest(snapshot, int(where), int(neuron), 15)
        st.button(
            "Select them",
            key="select_neighbours",
            icon=":material/select_all:",
            on_click=lambda: session.select(
                run, [(int(where), int(neuron)), *((int(where), near) for near, _ in found)]
            ),
        )
    profiles = reading.stored_profiles(run, snapshot.step)
    pairs = {(int(where), near): cosine for near, cosine in found}
    table = listed(
        snapshot, run.info.contexts, pairs, profiles.neuron_tokens if profiles is not None else None
    )
    table.insert(2, "likeness", [pairs[(int(where), near)] for near in table["neuron"].tolist()])
    table = table.sort_values("likeness", ascending=False).drop(
        columns=["layer", "share_of_signature"]
    )
    st.dataframe(
        table,
        hide_index=True,
        height=260,
        alt=f"The 15 neurons most similar to neuron {neuron} of layer {where}",
        column_config={
            "likeness": st.column_config.NumberColumn(
                format="%.3f",
                help="Cosine between the two signatures, as the map measures them: 1 is the same",
            ),
            "strongest_context": st.column_config.TextColumn("strongest context"),
            "typical_tokens": st.column_config.TextColumn("typical tokens"),
        },
    )
    own = int(snapshot.segment_of[int(where), int(neuron)])
    of = "shared" if own < 0 else str(own)
    together = int((table["segment"] == of).sum())
    st.caption(
        f"{together} of these {len(table)} lie in its segment ({of}). "
        + caption_of(
            run, snapshot.step, f"all {count:,} neurons of the layer", run.settings.training.seed
        )
    )
