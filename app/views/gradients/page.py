"""Gradients: neurons by their signature and documents by their gradient, on a plane. What is
selected here is selected on every page."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.charts.gradients import documents as gradients_documents
from app.charts.gradients import signature_map as gradients_map
from app.shell import page_header, reading
from app.shell.figure import place, show_figure
from app.shell.glossary import words
from app.shell.provenance import source_of
from app.views.gradients import selection as gradients_selection
from app.views.gradients.layout import laid_out
from cpart_core.records.maps import NeuronMap
from cpart_core.records.training import Snapshot
from cpart_core.runs.folder import Run
from cpart_core.wording.percent import percent

SEED = 0
"""Seed of the layouts: one for everybody, so that everybody sees the same map."""
HOW_TO_READ = {
    "umap": (
        "How to read it: neurons that lie together have similar signatures. "
        "How large a group is, how far groups lie apart, and where up is mean nothing."
    ),
    "pca": (
        "How to read it: a straight view from the side that shows most. "
        "What lies apart differs; what lies together may still differ in hidden directions."
    ),
}


def page() -> None:
    run, step = page_header.run_bar(
        "Gradients",
        "A neuron's signature says how much it contributes to the loss of each context. Here"
        " neurons with similar signatures lie together.",
    )
    snapshot = reading.snapshot_or_stop(run, step)
    left, right = st.columns([3, 2], gap="large")
    map_place = left.container()
    with right:
        what = st.segmented_control(
            "Map of",
            ["neurons", "documents"],
            default="neurons",
            key="gradients_what",
            required=True,
            persist_state="session",
        )
        reading.say_stage(run, snapshot)
    if what == "documents":
        draw_documents(run, step, map_place, right)
    else:
        draw_neurons(run, step, snapshot, map_place, right)
    words("signature", "neuron", "context", "faithfulness")


def draw_neurons(
    run: Run, step: int, snapshot: Snapshot, left: DeltaGenerator, right: DeltaGenerator
) -> None:
    """The neuron map, beside it what it shows, its selection, and the neighbours of a neuron."""
    with right, st.container(horizontal=True, gap="medium"):
        layer = layer_of_map(run)
        colouring = st.segmented_control(
            "Colour by",
            gradients_map.COLOURINGS,
            default="segment",
            key="gradients_colour",
            required=True,
            persist_state="session",
        )
        method = method_chooser("gradients_method")
        trails = st.toggle(
            "Trails of the selected",
            key="gradients_trails",
            persist_state="session",
            help="The way of each selected neuron over the steps",
        )
    request = {"run": run.id, "method": method, "layer": layer, "seed": SEED}
    with left, place("neuron_map_place", gradients_map.HEIGHT):
        result = laid_out(run, "neuron_map", request, right)
        if result is None:
            return
        at = min(result.steps, key=lambda mapped: abs(mapped - step))
        scatter(run, result, at, step, str(colouring), trails)
    with right:
        gradients_selection.draw_selected(run, snapshot)
        gradients_selection.draw_neighbours(run, snapshot, layer)


def layer_of_map(run: Run) -> int:
    """-1 = all layers: kept by this page, since the other pages need one layer."""
    options = [-1, *range(run.settings.model.num_layers)]
    chosen = st.segmented_control(
        "Layer",
        options,
        default=-1,
        format_func=lambda layer: "all" if layer < 0 else str(layer),
        key=f"gradients_layer_{run.id}",
        required=True,
        persist_state="session",
    )
    if chosen is not None and chosen >= 0 and chosen != session.chosen_layer(run):
        session.choose_layer(chosen)
    return -1 if chosen is None else int(chosen)


def method_chooser(key: str) -> str:
    chosen = st.segmented_control(
        "Layout",
        ["umap", "pca"],
        default="umap",
        format_func=str.upper,
        key=key,
        required=True,
        persist_state="session",
        help=(
            "UMAP keeps neighbours together; it takes the worker some seconds, and PCA is shown"
            " until it is there."
        ),
    )
    return str(chosen)


def scatter(run: Run, result: NeuronMap, at: int, step: int, colouring: str, trails: bool) -> None:
    """The map itself. The figure stays the same while somebody selects in it; it is drawn anew when
    the choice came from elsewhere."""
    identity = (
        run.id,
        result.method,
        int(result.layer.min()),
        int(result.layer.max()),
        result.steps,
        at,
        colouring,
        trails,
    )
    base = gradients_selection.base_of(run, identity, redraw=trails)
    profiles = reading.stored_profiles(run, step)
    typical = profiles.neuron_tokens if profiles is not None else None
    figure = gradients_map.neuron_map(
        result,
        at,
        colouring,
        selected=base.drawn,
        trails=trails,
        typical=typical,
        dark=session.dark(),
    )
    key = gradients_selection.map_key(base.number)
    shown = (
        f"the step chosen above is {step:,}; the map holds {len(result.steps)} steps, this is the"
        " nearest"
        if at != step
        else ""
    )
    with st.container(key="neuron_map_box"):
        show_figure(
            figure,
            key,
            told(result),
            f"{result.method.upper()} of {result.sampled} neuron signatures at step {at}, coloured"
            f" by {colouring}. " + kept(result.faithfulness, result.sampled),
            lambda: gradients_map.neuron_table(result, at),
            source_of(run, at, counted(result), result.seed, shown),
            on_select=lambda: gradients_selection.take(run, key),
            file="neuron_map",
        )
        st.caption(
            HOW_TO_READ[result.method]
            + (
                ""
                if typical
                else " Typical tokens join the hover once a segment's page has been opened."
            )
        )


def counted(result: NeuronMap) -> str:
    """n in words."""
    if result.sampled == result.total:
        return f"all {result.total:,} neurons"
    return f"{result.sampled:,} of {result.total:,} neurons, drawn evenly from layers and segments"


def told(result: NeuronMap | gradients_documents.DocumentMap) -> str:
    """Method and parameters."""
    given = result.parameters
    if result.method == "umap":
        names = {
            "n_neighbors": "neighbours",
            "min_dist": "min_dist",
            "n_epochs": "epochs",
            "metric": "distance",
        }
        said = (
            "UMAP"
            f" ({', '.join(f'{word} {given[name]}' for name, word in names.items() if name in given)})"
        )
    else:
        said = (
            f"PCA (two axes keep {percent(float(given.get('explained_variance', 0)))} of the"
            " variance)"
        )
    note = f" {given['note']}." if "note" in given else ""
    steps = ", one layout for all steps" if result.position.ndim == 3 else ""
    asked = (
        f" Asked of {given['faithfulness_points']} points, evenly chosen."
        if "faithfulness_points" in given
        else ""
    )
    return f"{said}{steps}.{note} {kept(result.faithfulness, result.position.shape[-2])}{asked}"


def kept(faithfulness: float, points: int) -> str:
    """Faithfulness beside chance."""
    chance = 15 / max(15, points - 1)
    return (
        f"Faithfulness: {percent(faithfulness)} of each point's 15 nearest neighbours are still its"
        f" nearest here (chance: {percent(chance)})."
    )


def draw_documents(run: Run, step: int, left: DeltaGenerator, right: DeltaGenerator) -> None:
    """Documents of the validation split by their gradient; beside them what they show."""
    checkpoint = session.checkpoint_step(run, step)
    if checkpoint is None:
        with left:
            reading.no_checkpoint(run, "The gradient of a document")
        return
    with right, st.container(horizontal=True, gap="medium"):
        colouring = st.segmented_control(
            "Colour by",
            gradients_documents.COLOURINGS,
            default="context",
            key="documents_colour",
            required=True,
            persist_state="session",
        )
        layer = (
            page_header.layer_chooser(run)
            if colouring == "strongest segment"
            else session.chosen_layer(run)
        )
        method = method_chooser("documents_method")
    request = {"run": run.id, "step": checkpoint, "method": method, "seed": SEED}
    with left, place("document_map_place", gradients_map.HEIGHT):
        result = laid_out(run, "document_map", request, right)
        if result is not None:
            document_scatter(run, result, step, str(colouring), layer)


def document_scatter(
    run: Run, result: gradients_documents.DocumentMap, step: int, colouring: str, layer: int
) -> None:
    """The map itself."""
    documents = len(result.position)
    colours = (
        "context" if colouring == "context" else f"the segment of layer {layer} that it uses most"
    )
    near = (
        f"gradients need weights: the checkpoint nearest to step {step:,}"
        if result.step != step
        else ""
    )
    show_figure(
        gradients_documents.document_map(result, colouring, layer, dark=session.dark()),
        "document_map",
        told(result),
        f"{result.method.upper()} of the gradients of {documents} documents, coloured by {colours}."
        f" {kept(result.faithfulness, documents)}",
        lambda: gradients_documents.document_table(result),
        source_of(
            run,
            result.step,
            f"{documents:,} validation documents, {int(result.tokens.sum()):,} tokens",
            result.seed,
            near,
        ),
    )
    st.caption(
        HOW_TO_READ[result.method]
        .replace("neurons", "documents")
        .replace("signatures", "gradients")
    )


page()
