"""Maps of the Gradients page: the wanted layout, or PCA until it is there, with the worker's
progress out of the way."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import results, session
from app.shell import page_header
from app.text.escape import sentence
from cpart_core.runs.folder import Run
from cpart_core.service.registry import analysis_named


def laid_out(run: Run, name: str, request: dict[str, Any], beside: DeltaGenerator) -> Any | None:
    """The map of the request; while UMAP is being made, the PCA of the same points. None while
    there is nothing at all.

    beside: where it is said how far the UMAP is, and that the map may be made anew, so that the map
    stays where it is.
    """
    quick = {**request, "method": "pca"}
    if request["method"] == "pca":
        return with_renewal(run, name, quick, first_map(run, name, quick), beside)
    wanted = results.stored_result(run, name, request)
    if wanted is not None:
        return with_renewal(run, name, request, wanted, beside)
    meanwhile = first_map(run, name, quick)
    if meanwhile is not None:
        with beside:
            wait_beside(run, name, request)
    return meanwhile


def first_map(run: Run, name: str, request: dict[str, Any]) -> Any | None:
    """The PCA. That of neurons is made here at once, from snapshots and without torch; that of
    documents needs the worker."""
    if name != "neuron_map":
        return page_header.result(
            run, name, request, "Taking the gradients of validation documents"
        )
    stored = results.stored_result(run, name, request)
    if stored is not None:
        return stored
    from cpart_core.service.answering import answer

    try:
        with st.spinner("Laying out neurons"):
            result = answer(name, request)
            run.store_result(name, request, result)
    except (ValueError, OSError) as error:
        st.error(
            f"The neurons cannot be laid out. {sentence(str(error), 400)}", icon=":material/error:"
        )
        return None
    return result


def with_renewal(
    run: Run, name: str, request: dict[str, Any], result: Any | None, beside: DeltaGenerator
) -> Any | None:
    """The same map; where the run has gone on since it was made, a button that makes it anew."""
    if (
        result is not None
        and not analysis_named(name).is_current(run, result)
        and not run.read_only
    ):
        with beside.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"Laid out for the steps up to {result.steps[-1]:,}; the run is at"
                f" {run.snapshot_steps()[-1]:,} now.",
                width="content",
            )
            st.button(
                "Lay out anew",
                key="renew_map",
                icon=":material/refresh:",
                on_click=results.drop_result,
                args=(run, name, request),
            )
    return result


def wait_beside(run: Run, name: str, request: dict[str, Any]) -> None:
    """A line that says how far the worker is; the page is drawn again when it is done. It can be
    stopped, and PCA stays."""
    stopped = (
        f"no_umap_{name}_{run.id}_{request['layer'] if 'layer' in request else request['step']}"
    )
    if session.get(stopped):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("Shown as PCA; making the UMAP was stopped.", width="content")
            st.button("Make it", key=f"go_{stopped}", on_click=lambda: session.put(stopped, False))
        return

    def stop() -> None:
        results.forget(name, request)
        session.put(stopped, True)

    page_header.wait(
        run,
        name,
        request,
        stopped,
        stop,
        beside="PCA is shown until the UMAP is there. ",
        failed="Shown as PCA, since the UMAP failed. ",
    )
